//! The header before each packet of a TUN device with `IFF_VNET_HDR`: what the kernel left for us to do, or what we
//! leave for it (`struct virtio_net_hdr`; virtio 1.2, 5.1.6; in native order here, `linux/if_tun.h`).

/// Bytes before the packet.
pub const LENGTH: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;

const GSO_NONE: u8 = 0;
const GSO_TCP_V4: u8 = 1;
const GSO_TCP_V6: u8 = 4;
const GSO_UDP: u8 = 5;
/// A TCP sender has reduced its window: the first segment alone says so.
const GSO_ECN: u8 = 0x80;

/// What is left to do with a packet before it may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Nothing,
    Checksum(Field),
    /// Cut into segments of `size` bytes of payload each, the last one shorter or not.
    Segments {
        transport: Transport,
        size: u16,
        headers: u16,
        checksum: Field,
    },
}

/// Where a checksum goes: `offset` bytes behind `start`, over everything from `start` on; the sum of the pseudo
/// header stands there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub start: u16,
    pub offset: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    TcpV4,
    TcpV6,
    Udp,
}

/// A header that promises a kind of segments unknown here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

impl Work {
    /// How long the headers are is left open by the kernel: the packet tells it.
    pub fn read(bytes: [u8; LENGTH]) -> Result<Work, Unknown> {
        let [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1] = bytes;
        let word = u16::from_ne_bytes;
        let checksum = Field { start: word([c0, c1]), offset: word([o0, o1]) };
        let transport = match kind & !GSO_ECN {
            GSO_NONE if flags & NEEDS_CHECKSUM != 0 => return Ok(Work::Checksum(checksum)),
            GSO_NONE => return Ok(Work::Nothing),
            GSO_TCP_V4 => Transport::TcpV4,
            GSO_TCP_V6 => Transport::TcpV6,
            GSO_UDP => Transport::Udp,
            _ => return Err(Unknown),
        };
        if flags & NEEDS_CHECKSUM == 0 {
            return Err(Unknown);
        }
        Ok(Work::Segments { transport, size: word([s0, s1]), headers: word([h0, h1]), checksum })
    }

    pub fn write(self) -> [u8; LENGTH] {
        let (flags, kind, headers, size, field) = match self {
            Work::Nothing => return [0; LENGTH],
            Work::Checksum(field) => (NEEDS_CHECKSUM, GSO_NONE, 0, 0, field),
            Work::Segments { transport, size, headers, checksum } => {
                let kind = match transport {
                    Transport::TcpV4 => GSO_TCP_V4,
                    Transport::TcpV6 => GSO_TCP_V6,
                    Transport::Udp => GSO_UDP,
                };
                (NEEDS_CHECKSUM, kind, headers, size, checksum)
            }
        };
        let [h0, h1] = u16::to_ne_bytes(headers);
        let [s0, s1] = u16::to_ne_bytes(size);
        let [c0, c1] = field.start.to_ne_bytes();
        let [o0, o1] = field.offset.to_ne_bytes();
        [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: Field = Field { start: 40, offset: 16 };

    #[test]
    fn reads_what_it_writes() {
        let mut all = vec![Work::Nothing, Work::Checksum(FIELD)];
        for transport in [Transport::TcpV4, Transport::TcpV6, Transport::Udp] {
            all.push(Work::Segments { transport, size: 1340, headers: 60, checksum: FIELD });
        }
        for work in all {
            assert_eq!(Work::read(work.write()), Ok(work));
        }
    }

    #[test]
    fn takes_a_reduced_window_for_what_it_is() {
        let work = Work::Segments { transport: Transport::TcpV4, size: 9, headers: 0, checksum: FIELD };
        let mut bytes = work.write();
        bytes[1] |= GSO_ECN;
        assert_eq!(Work::read(bytes), Ok(work));
    }

    #[test]
    fn refuses_segments_that_it_cannot_cut() {
        let mut bytes = Work::Checksum(FIELD).write();
        bytes[1] = 3; // UDP fragments, the old way
        assert_eq!(Work::read(bytes), Err(Unknown));
        bytes[..2].copy_from_slice(&[0, GSO_TCP_V4]);
        assert_eq!(Work::read(bytes), Err(Unknown));
    }
}
