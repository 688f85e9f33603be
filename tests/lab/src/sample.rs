//! TCP and UDP packets field by field, made with etherparse, which shares no code with the engine; and what Linux
//! makes of one that is too long for the wire (`tcp_gso_segment`, `__udp_gso_segment`, `inet_gso_segment`).

use etherparse::{
    IpDscp, IpEcn, IpNumber, Ipv4Header, Ipv4Options, Ipv6FlowLabel, Ipv6Header, TcpHeader, TransportHeader,
    UdpHeader,
};

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const URG: u8 = 0x20;
pub const ECE: u8 = 0x40;
pub const CWR: u8 = 0x80;

const FROM_V4: [u8; 4] = [198, 51, 100, 7];
const TO_V4: [u8; 4] = [203, 0, 113, 9];
const FROM_V6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const TO_V6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// A packet. What its family or protocol does not have is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub family: Family,
    pub protocol: Protocol,
    pub ports: [u16; 2],
    pub identification: u16,
    pub dont_fragment: bool,
    /// Six bits of code point, two of ECN.
    pub traffic_class: u8,
    pub hops: u8,
    pub flow_label: u32,
    /// Whole words.
    pub ip_options: Vec<u8>,
    pub sequence: u32,
    pub acknowledged: u32,
    pub window: u16,
    pub urgent: u16,
    pub flags: u8,
    /// The bit before the flags (once NS).
    pub accurate_ecn: bool,
    /// Whole words.
    pub tcp_options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Sample {
    /// In the middle of a flow, `length` bytes of it.
    pub fn new(family: Family, protocol: Protocol, length: usize) -> Sample {
        Sample {
            family,
            protocol,
            ports: [40_000, 443],
            identification: 0xfffe,
            dont_fragment: true,
            traffic_class: 0,
            hops: 63,
            flow_label: 0x1_2345,
            ip_options: Vec::new(),
            sequence: 0xffff_f000,
            acknowledged: 77,
            window: 501,
            urgent: 0,
            flags: ACK,
            accurate_ecn: false,
            // two of nothing, then a time stamp
            tcp_options: vec![1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8],
            payload: pattern(length),
        }
    }

    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Sample)) -> Sample {
        change(&mut self);
        self
    }

    /// With such a first word in its payload that its checksum comes out as zero.
    #[must_use]
    pub fn summing_to_zero(mut self) -> Sample {
        self.payload[..2].fill(0);
        let (bytes, at) = (self.bytes(), self.transport_at() + self.checksum_offset());
        self.payload[..2].copy_from_slice(&bytes[at..at + 2]);
        self
    }

    /// The flow's next packet, `length` bytes of it.
    #[must_use]
    pub fn then(&self, length: usize) -> Sample {
        let sent = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        Sample {
            identification: self.identification.wrapping_add(1),
            sequence: self.sequence.wrapping_add(sent),
            payload: pattern(length),
            ..self.clone()
        }
    }

    /// As it is on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut transport = self.transport();
        let length = transport.header_len() + self.payload.len();
        let mut bytes = match self.family {
            Family::V4 => {
                let ip = self.v4(length);
                transport.update_checksum_ipv4(&ip, &self.payload).expect("a sample fits into a packet");
                ip.to_bytes().to_vec()
            }
            Family::V6 => {
                let ip = self.v6(length);
                transport.update_checksum_ipv6(&ip, &self.payload).expect("a sample fits into a packet");
                ip.to_bytes().to_vec()
            }
        };
        transport.write(&mut bytes).expect("memory takes it");
        bytes.extend(&self.payload);
        bytes
    }

    /// As a sender leaves it that has the checksum computed by its device: the sum of the pseudo header in its place.
    pub fn left_open(&self) -> Vec<u8> {
        let mut bytes = self.bytes();
        let addresses = match self.family {
            Family::V4 => 12..20,
            Family::V6 => 8..40,
        };
        let length = u32::try_from(bytes.len() - self.transport_at()).unwrap_or(u32::MAX);
        let sum = folded(&[&bytes[addresses], &[0, self.number().0], &length.to_be_bytes()]);
        let at = self.transport_at() + self.checksum_offset();
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// What Linux cuts out of it where a packet carries `size` bytes.
    pub fn segments(&self, size: usize) -> Vec<Sample> {
        let chunks: Vec<&[u8]> = self.payload.chunks(size).collect();
        let last = chunks.len() - 1;
        let nth = |(nth, payload): (usize, &&[u8])| {
            let sent = u32::try_from(nth * size).unwrap_or(u32::MAX);
            let not_last = if nth < last { FIN | PSH } else { 0 };
            let not_first = if nth > 0 { CWR } else { 0 };
            Sample {
                identification: self.identification.wrapping_add(u16::try_from(nth).unwrap_or(u16::MAX)),
                sequence: self.sequence.wrapping_add(sent),
                flags: self.flags & !not_last & !not_first,
                payload: payload.to_vec(),
                ..self.clone()
            }
        };
        chunks.iter().enumerate().map(nth).collect()
    }

    /// Where the transport header begins.
    pub fn transport_at(&self) -> usize {
        match self.family {
            Family::V4 => Ipv4Header::MIN_LEN + self.ip_options.len(),
            Family::V6 => Ipv6Header::LEN,
        }
    }

    /// Bytes of all headers.
    pub fn header_length(&self) -> usize {
        self.transport_at() + self.transport().header_len()
    }

    /// Where the checksum is in the transport header.
    pub fn checksum_offset(&self) -> usize {
        match self.protocol {
            Protocol::Tcp => 16,
            Protocol::Udp => 6,
        }
    }

    fn v4(&self, length: usize) -> Ipv4Header {
        let options = Ipv4Options::try_from(&self.ip_options[..]).expect("at most ten words");
        let total = Ipv4Header::MIN_LEN + self.ip_options.len() + length;
        let mut ip = Ipv4Header {
            dscp: IpDscp::try_new(self.traffic_class >> 2).expect("six bits"),
            ecn: IpEcn::try_new(self.traffic_class & 3).expect("two bits"),
            total_len: u16::try_from(total).expect("a sample fits into a packet"),
            identification: self.identification,
            dont_fragment: self.dont_fragment,
            time_to_live: self.hops,
            protocol: self.number(),
            source: FROM_V4,
            destination: TO_V4,
            options,
            ..Ipv4Header::default()
        };
        ip.header_checksum = ip.calc_header_checksum();
        ip
    }

    fn v6(&self, length: usize) -> Ipv6Header {
        Ipv6Header {
            traffic_class: self.traffic_class,
            flow_label: Ipv6FlowLabel::try_new(self.flow_label).expect("twenty bits"),
            payload_length: u16::try_from(length).expect("a sample fits into a packet"),
            next_header: self.number(),
            hop_limit: self.hops,
            source: FROM_V6,
            destination: TO_V6,
        }
    }

    fn transport(&self) -> TransportHeader {
        let [source_port, destination_port] = self.ports;
        match self.protocol {
            Protocol::Udp => TransportHeader::Udp(UdpHeader {
                source_port,
                destination_port,
                length: u16::try_from(UdpHeader::LEN + self.payload.len()).expect("a sample fits"),
                checksum: 0,
            }),
            Protocol::Tcp => {
                let has = |flag| self.flags & flag != 0;
                let mut tcp = TcpHeader {
                    acknowledgment_number: self.acknowledged,
                    ns: self.accurate_ecn,
                    fin: has(FIN),
                    syn: has(SYN),
                    rst: has(RST),
                    psh: has(PSH),
                    ack: has(ACK),
                    urg: has(URG),
                    ece: has(ECE),
                    cwr: has(CWR),
                    urgent_pointer: self.urgent,
                    ..TcpHeader::new(source_port, destination_port, self.sequence, self.window)
                };
                tcp.set_options_raw(&self.tcp_options).expect("at most ten words");
                TransportHeader::Tcp(tcp)
            }
        }
    }

    fn number(&self) -> IpNumber {
        match self.protocol {
            Protocol::Tcp => IpNumber::TCP,
            Protocol::Udp => IpNumber::UDP,
        }
    }
}

/// Bytes that [`behind_routing_header`] adds.
pub const ROUTING_HEADER: u16 = 24;

/// The IPv6 packet on its way to a stop before its destination, which stands in a routing header of no known type.
pub fn behind_routing_header(mut packet: Vec<u8>) -> Vec<u8> {
    let length = u16::from_be_bytes([packet[4], packet[5]]) + ROUTING_HEADER;
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    let protocol = std::mem::replace(&mut packet[6], IpNumber::IPV6_ROUTE_HEADER.0);
    packet[38..40].copy_from_slice(&[0, 10]);
    let mut routing = [0; ROUTING_HEADER as usize];
    routing[..4].copy_from_slice(&[protocol, 2, 253, 1]);
    routing[8..].copy_from_slice(&TO_V6);
    packet.splice(40..40, routing);
    packet
}

/// Bytes of which no two stretches look alike.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|nth| u8::try_from((nth * 167 + nth / 251) % 256).unwrap_or_default()).collect()
}

/// The ones-complement sum of pieces of even length, word by word.
pub fn folded(pieces: &[&[u8]]) -> u16 {
    let words = pieces.iter().flat_map(|piece| piece.chunks(2));
    let mut sum: u32 =
        words.map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or_default()
}
