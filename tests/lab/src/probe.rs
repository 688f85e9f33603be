//! Packets that no well-behaved neighbour sends, built whole, each with a tag by which it is known wherever it comes
//! out. What may come of them is for the test to say.

mod build;
pub mod lan;

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use anyhow::Result;

use crate::packet::Tag;
use crate::wire::Wire;

/// More than one packet of the tailnet holds: it travels in fragments.
const HUGE: usize = 4000;

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Talk {
    Echo,
    Udp {
        port: u16,
    },
    /// Of 4,000 bytes, in fragments.
    HugeUdp {
        port: u16,
    },
    Syn {
        port: u16,
    },
    Gre,
    Esp,
    Sctp,
}

/// Why an error is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    PortUnreachable,
    /// With an MTU that would be a nuisance.
    TooBig,
    TimeExceeded,
}

/// One thing to say to somebody, as often as one likes: the same flow each time.
#[derive(Debug, Clone)]
pub struct Probe {
    pub talk: Talk,
    pub from: IpAddr,
    pub to: IpAddr,
    /// Of its tags.
    pub flow: u32,
    packets: Vec<Vec<u8>>,
}

impl Talk {
    pub const ALL: [Self; 7] = [
        Self::Echo,
        Self::Udp { port: 9 },
        Self::HugeUdp { port: 9 },
        Self::Syn { port: 10 },
        Self::Gre,
        Self::Esp,
        Self::Sctp,
    ];
}

impl Complaint {
    pub const ALL: [Self; 3] = [Self::PortUnreachable, Self::TooBig, Self::TimeExceeded];
}

impl Probe {
    pub fn new(talk: Talk, from: IpAddr, to: IpAddr) -> Result<Self> {
        let flow = Tag::new_flow();
        let payload = Tag { flow, sequence: 0 }.payload(SystemTime::now());
        let room = match talk {
            Talk::HugeUdp { .. } => HUGE / Tag::LENGTH,
            Talk::Echo | Talk::Udp { .. } | Talk::Syn { .. } | Talk::Gre | Talk::Esp | Talk::Sctp => 1,
        };
        let whole = build::packet(talk, from, to, port_of(flow), &payload.repeat(room))?;
        let packets = match talk {
            Talk::HugeUdp { .. } => build::fragments(&whole, flow)?,
            Talk::Echo | Talk::Udp { .. } | Talk::Syn { .. } | Talk::Gre | Talk::Esp | Talk::Sctp => {
                vec![whole]
            }
        };
        Ok(Self { talk, from, to, flow, packets })
    }

    /// An ICMP error of `from` about a packet with these ends, which carries this probe's tag.
    pub fn complaint(
        complaint: Complaint,
        from: IpAddr,
        about: (IpAddr, u16),
        sent_to: (IpAddr, u16),
    ) -> Result<Self> {
        let flow = Tag::new_flow();
        let payload = Tag { flow, sequence: 0 }.payload(SystemTime::now());
        let talk = Talk::Udp { port: sent_to.1 };
        let quoted = build::packet(talk, about.0, sent_to.0, about.1, &payload)?;
        let packets = vec![build::error(complaint, from, about.0, &quoted)?];
        Ok(Self { talk: Talk::Echo, from, to: about.0, flow, packets })
    }

    /// The port that it comes from, where there is one.
    pub fn port(&self) -> u16 {
        port_of(self.flow)
    }

    pub fn send(&self, wire: &Wire) -> Result<()> {
        self.packets.iter().try_for_each(|packet| wire.send(packet))
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} > {} (flow {})", self.talk, self.from, self.to, self.flow)
    }
}

/// Each flow has its own, as far as they go.
fn port_of(flow: u32) -> u16 {
    u16::try_from(20_000 + flow % 12_000).unwrap_or_default()
}
