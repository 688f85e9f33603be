//! The Internet checksum (RFC 1071): sums of native-endian words, since it comes out the same in either order.

/// How many lanes the compiler can keep in its vector registers.
const LANES: usize = 8;

/// The sum of `bytes` as 16-bit words added to `start`, not folded yet. An odd byte at the end counts as if a
/// zero followed, so only the last of several pieces may be odd.
pub fn sum(bytes: &[u8], start: u64) -> u64 {
    let mut lanes = [0_u64; LANES];
    let (blocks, rest) = bytes.as_chunks::<{ 4 * LANES }>();
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let (words, odd) = rest.as_chunks::<2>();
    let sum = words.iter().fold(start, |sum, word| sum + u64::from(u16::from_ne_bytes(*word)));
    let sum = sum + odd.first().map_or(0, |byte| u64::from(u16::from_ne_bytes([*byte, 0])));
    sum + lanes.iter().sum::<u64>()
}

/// The ones-complement sum in 16 bits, as it lies in memory; its complement is the checksum.
pub fn fold(sum: u64) -> [u8; 2] {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let [low, high, ..] = sum.to_le_bytes();
    u16::from_le_bytes([low, high]).to_ne_bytes()
}

/// What stands in a header's checksum field.
pub fn finish(sum: u64) -> [u8; 2] {
    fold(sum).map(|byte| !byte)
}

/// The sum of the pseudo header of RFC 793 (IPv4) and RFC 8200, 8.1 (IPv6): `addresses` are both addresses as
/// they follow each other in the packet, `length` the bytes behind the IP header.
pub fn pseudo_header(addresses: &[u8], protocol: u8, length: usize) -> u64 {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    sum(addresses, sum(&length, sum(&[0, protocol], 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_the_example_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&bytes, 0)), [0xdd, 0xf2]);
        assert_eq!(finish(sum(&bytes, 0)), [0x22, 0x0d]);
    }

    #[test]
    fn sums_as_word_by_word_whatever_the_length() {
        let bytes: Vec<u8> = (0..1500_u32).map(|n| n.wrapping_mul(167).to_le_bytes()[0]).collect();
        for length in (0..bytes.len()).step_by(if cfg!(miri) { 97 } else { 1 }) {
            assert_eq!(fold(sum(&bytes[..length], 7)), word_by_word(&bytes[..length], 7), "{length}");
        }
    }

    #[test]
    fn keeps_every_carry() {
        let bytes = vec![0xff; 65_534];
        assert_eq!(fold(sum(&bytes, u64::from(u32::MAX))), [0xff, 0xff]);
    }

    /// As RFC 1071, 4.1 has it, in big-endian words.
    fn word_by_word(bytes: &[u8], start: u16) -> [u8; 2] {
        let mut sum = u32::from(u16::from_be_bytes(start.to_ne_bytes()));
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap().to_be_bytes()
    }
}
