//! What a judge must know of a packet: who speaks to whom, what an ICMP error quotes, whose tag it carries. It does
//! not say whether the packet was right.

mod parse;
mod tag;

use std::fmt;
use std::iter::successors;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub use tag::Tag;

/// One packet as the network layer sees it; the kernel has taken the link layer off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    Arp {
        sender: Ipv4Addr,
        target: Ipv4Addr,
    },
    Ip(Datagram),
    Other {
        ethertype: u16,
    },
    /// Says it is ARP or IP and is not. A judge must not pass over it: it might have been anything.
    Unreadable {
        ethertype: u16,
        why: &'static str,
    },
}

/// An IPv4 or IPv6 header with what it carries, also one that an ICMP error quotes or a tunnel wraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub transport: Transport,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    Udp {
        ports: Ports,
        tag: Option<Tag>,
    },
    /// In a quote that ends before them, `flags` are empty.
    Tcp {
        ports: Ports,
        flags: TcpFlags,
        sequence: u32,
        tag: Option<Tag>,
    },
    Icmp {
        kind: u8,
        code: u8,
        about: About,
    },
    /// IPv4 or IPv6 in IP (protocols 4 and 41).
    Wrapped(Box<Datagram>),
    /// A fragment that is not the first: its ports went with the first.
    LaterFragment {
        protocol: u8,
        tag: Option<Tag>,
    },
    /// ESP, GRE, SCTP and whatever else: a payload is looked for behind the few words that their headers have.
    Other {
        protocol: u8,
        tag: Option<Tag>,
    },
}

/// What an ICMP message speaks about beside its own header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Nothing,
    /// What an echo request carries, and its answer brings back.
    Echo(Option<Tag>),
    /// The packet that an error answers.
    Quoted(Box<Datagram>),
    /// The target of a neighbour solicitation or advertisement (RFC 4861, 4.3 and 4.4): the ARP of IPv6.
    Neighbour(IpAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub source: u16,
    pub destination: u16,
}

/// The flag byte of a TCP header (RFC 9293, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    pub const SYN: Self = Self(0x02);
    pub const RST: Self = Self(0x04);
    pub const ACK: Self = Self(0x10);

    pub fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}

impl Packet {
    /// Reads a network-layer packet of the given `EtherType`, cut off or not.
    pub fn parse(ethertype: u16, bytes: &[u8]) -> Self {
        parse::packet(ethertype, bytes)
    }

    pub fn datagram(&self) -> Option<&Datagram> {
        match self {
            Self::Ip(datagram) => Some(datagram),
            Self::Arp { .. } | Self::Other { .. } | Self::Unreadable { .. } => None,
        }
    }

    /// The datagram itself, then what it quotes or wraps, outermost first.
    pub fn headers(&self) -> impl Iterator<Item = &Datagram> {
        successors(self.datagram(), |datagram| datagram.inner())
    }

    /// Whether any address in it, also in a quoted header, ARP or neighbour discovery, is of the given sort.
    pub fn mentions(&self, of_the_sort: impl Fn(IpAddr) -> bool) -> bool {
        if let Self::Arp { sender, target } = *self {
            return of_the_sort(sender.into()) || of_the_sort(target.into());
        }
        self.headers().any(|header| header.addresses().into_iter().flatten().any(&of_the_sort))
    }

    /// The tag of the load's flow it belongs to or quotes.
    pub fn tag(&self) -> Option<Tag> {
        self.headers().find_map(Datagram::tag)
    }
}

impl Datagram {
    pub fn inner(&self) -> Option<&Self> {
        match &self.transport {
            Transport::Icmp { about: About::Quoted(inner), .. } | Transport::Wrapped(inner) => Some(inner),
            Transport::Icmp { about: About::Nothing | About::Echo(_) | About::Neighbour(_), .. }
            | Transport::Udp { .. }
            | Transport::Tcp { .. }
            | Transport::LaterFragment { .. }
            | Transport::Other { .. } => None,
        }
    }

    /// The two ends of a UDP or TCP packet.
    pub fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        match &self.transport {
            Transport::Udp { ports, .. } | Transport::Tcp { ports, .. } => Some((
                SocketAddr::new(self.source, ports.source),
                SocketAddr::new(self.destination, ports.destination),
            )),
            Transport::Icmp { .. }
            | Transport::Wrapped(_)
            | Transport::LaterFragment { .. }
            | Transport::Other { .. } => None,
        }
    }

    fn tag(&self) -> Option<Tag> {
        match self.transport {
            Transport::Udp { tag, .. }
            | Transport::Tcp { tag, .. }
            | Transport::LaterFragment { tag, .. }
            | Transport::Other { tag, .. }
            | Transport::Icmp { about: About::Echo(tag), .. } => tag,
            Transport::Icmp { about: About::Nothing | About::Quoted(_) | About::Neighbour(_), .. }
            | Transport::Wrapped(_) => None,
        }
    }

    fn addresses(&self) -> [Option<IpAddr>; 3] {
        let neighbour = if let Transport::Icmp { about: About::Neighbour(target), .. } = self.transport {
            Some(target)
        } else {
            None
        };
        [Some(self.source), Some(self.destination), neighbour]
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arp { sender, target } => write!(f, "arp {sender} about {target}"),
            Self::Ip(datagram) => datagram.fmt(f),
            Self::Other { ethertype } => write!(f, "ethertype {ethertype:#06x}"),
            Self::Unreadable { ethertype, why } => {
                write!(f, "unreadable packet of ethertype {ethertype:#06x}: {why}")
            }
        }
    }
}

impl fmt::Display for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((from, to)) = self.ends() {
            return write!(f, "{} {from} > {to}{}", self.transport, Described(self.tag()));
        }
        write!(f, "{} {} > {}{}", self.transport, self.source, self.destination, Described(self.tag()))?;
        if let Transport::Icmp { about: About::Neighbour(target), .. } = self.transport {
            write!(f, " about {target}")?;
        }
        self.inner().map_or(Ok(()), |inner| write!(f, ", inside: {inner}"))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp { .. } => f.write_str("udp"),
            Self::Tcp { flags, sequence, .. } => write!(f, "tcp {flags} seq {sequence}"),
            Self::Icmp { kind, code, .. } => write!(f, "icmp {kind}/{code}"),
            Self::Wrapped(_) => f.write_str("ip in ip"),
            Self::LaterFragment { protocol, .. } => write!(f, "later fragment of protocol {protocol}"),
            Self::Other { protocol, .. } => write!(f, "protocol {protocol}"),
        }
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
        let set: Vec<_> = names
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| *name)
            .collect();
        write!(f, "[{}]", set.join(" "))
    }
}

struct Described(Option<Tag>);

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |tag| write!(f, " (flow {} #{})", tag.flow, tag.sequence))
    }
}
