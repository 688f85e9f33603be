//! Datagrams on their way out, one behind the other in one buffer, so that the kernel can take many of one length
//! in one call (`UDP_SEGMENT`).

/// `UDP_MAX_SEGMENTS` of the kernels before 6.9.
const MOST_DATAGRAMS: usize = 64;
/// What one UDP datagram could hold in an IPv6 packet: the kernel cuts a train out of one.
const LONGEST_TRAIN: usize = 65_535 - 40 - 8;

/// A batch of datagrams.
#[derive(Debug)]
pub struct Trains {
    buffer: Box<[u8]>,
    filled: usize,
    lengths: Vec<usize>,
}

/// Datagrams of `each` bytes, the last one shorter or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train<'a> {
    pub bytes: &'a [u8],
    pub each: usize,
}

impl Trains {
    /// With room for `bytes` in all.
    pub fn with_room(bytes: usize) -> Trains {
        Trains { buffer: vec![0; bytes].into(), filled: 0, lengths: Vec::new() }
    }

    /// Where the next datagram is to be written.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// What was written at the begin of [`Trains::room`] is a datagram; none if it is empty.
    pub fn push(&mut self, length: usize) {
        if length > 0 {
            self.filled += length;
            self.lengths.push(length);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    pub fn clear(&mut self) {
        self.filled = 0;
        self.lengths.clear();
    }

    /// In the order of the datagrams.
    pub fn trains(&self) -> impl Iterator<Item = Train<'_>> {
        let (mut bytes, mut lengths) = (&self.buffer[..self.filled], &self.lengths[..]);
        std::iter::from_fn(move || {
            let each = *lengths.first()?;
            let count = couple(lengths, each);
            let (these, rest) = lengths.split_at(count);
            let (train, later) = bytes.split_at(these.iter().sum());
            (bytes, lengths) = (later, rest);
            Some(Train { bytes: train, each })
        })
    }
}

impl<'a> Train<'a> {
    /// Of one datagram.
    pub fn single(datagram: &'a [u8]) -> Train<'a> {
        Train { bytes: datagram, each: datagram.len().max(1) }
    }

    pub fn datagrams(self) -> impl Iterator<Item = &'a [u8]> {
        self.bytes.chunks(self.each)
    }

    pub fn is_single(self) -> bool {
        self.bytes.len() <= self.each
    }
}

/// How many of the first datagrams can go together.
fn couple(lengths: &[usize], each: usize) -> usize {
    let most = MOST_DATAGRAMS.min(LONGEST_TRAIN / each).max(1);
    let alike = lengths.iter().take(most).take_while(|length| **length == each).count();
    let shorter = lengths.get(alike).is_some_and(|length| *length < each);
    if alike < most && shorter { alike + 1 } else { alike }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn couples_datagrams_of_one_length_and_one_shorter_one() {
        let trains = loaded(&[100, 100, 60, 60, 200, 100, 100]);
        assert_eq!(shape(&trains), [(260, 100), (60, 60), (300, 200), (100, 100)]);
    }

    #[test]
    fn makes_no_train_longer_than_the_kernel_takes() {
        let trains = loaded(&[1_412; 94]);
        assert_eq!(shape(&trains), [(46 * 1_412, 1_412), (46 * 1_412, 1_412), (2 * 1_412, 1_412)]);
        let trains = loaded(&[32; 130]);
        assert_eq!(shape(&trains), [(64 * 32, 32), (64 * 32, 32), (2 * 32, 32)]);
        let trains = loaded(&[65_000, 100]);
        assert_eq!(shape(&trains), [(65_000, 65_000), (100, 100)]);
    }

    #[test]
    fn gives_back_every_datagram_in_order() {
        let lengths = [100, 100, 60, 60, 200, 1, 1_412, 1_412, 1_412, 0, 7];
        let trains = loaded(&lengths);
        let back: Vec<_> = trains.trains().flat_map(Train::datagrams).map(<[u8]>::to_vec).collect();
        let sent: Vec<_> =
            lengths.iter().enumerate().filter(|(_, length)| **length > 0).map(datagram).collect();
        assert_eq!(back, sent);
    }

    fn loaded(lengths: &[usize]) -> Trains {
        let mut trains = Trains::with_room(1 << 18);
        for (nth, length) in lengths.iter().enumerate() {
            trains.room()[..*length].copy_from_slice(&datagram((nth, length)));
            trains.push(*length);
        }
        trains
    }

    fn datagram((nth, length): (usize, &usize)) -> Vec<u8> {
        vec![u8::try_from(nth).unwrap(); *length]
    }

    fn shape(trains: &Trains) -> Vec<(usize, usize)> {
        trains.trains().map(|train| (train.bytes.len(), train.each)).collect()
    }
}
