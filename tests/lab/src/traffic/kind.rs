//! What a flip could get wrong, kind by kind: whom each talks to and how long its flows live.

use std::net::SocketAddr;
use std::time::Duration;

/// What one line of the load does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    LongUdp,
    NewUdp,
    NewTcp,
    LongTcp,
    /// One UDP socket that keeps its port (SIP, a VPN inside the VPN).
    OnePort,
    /// Echo requests with one identifier.
    Ping,
    Esp,
    Gre,
    /// The same INIT over and over, as a client that nobody answers sends it.
    Sctp,
    /// A connection that nobody answers: the kernel sends the same SYN again after a second, and again.
    PendingSyn,
    /// A UDP flow whose client answers every answer with "port unreachable": an ICMP error that is a client's own.
    Objection,
    /// Packets that may take no more hops when they reach the box.
    LastHop,
    /// Asks for answers that are too big for the tailnet and must not be fragmented.
    BigAnswer,
    /// Asks for answers that may take no more hops when they reach the box.
    DyingAnswer,
}

/// How long the flows of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// One at a time; an app opens another when it seems dead.
    UntilDead,
    /// One from the beginning to the end, whatever happens to it.
    Whole,
    Short(ShortLife),
}

/// Of a flow that sends a few packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShortLife {
    pub(super) packets: u64,
    /// The least time between two of them.
    pub(super) gap: Duration,
    /// When it ends, answered or not. Until then it must not come through by another door.
    pub(super) ends_after: Duration,
}

/// As long as an app would try.
const LAST_TRIES: Duration = Duration::from_secs(2);
/// Long enough for a flip in the middle.
const TALKATIVE: ShortLife =
    ShortLife { packets: 20, gap: Duration::from_millis(100), ends_after: LAST_TRIES };

impl Kind {
    /// Flows that are never given up.
    pub const FOR_LIFE: [Self; 5] = [Self::OnePort, Self::Ping, Self::Esp, Self::Gre, Self::Sctp];
    /// What makes the box, the phone or its kernel speak.
    pub const ODD: [Self; 5] =
        [Self::PendingSyn, Self::Objection, Self::LastHop, Self::BigAnswer, Self::DyingAnswer];

    pub(super) fn all() -> impl Iterator<Item = Self> {
        let plain = [Self::LongUdp, Self::NewUdp, Self::NewTcp, Self::LongTcp];
        plain.into_iter().chain(Self::FOR_LIFE).chain(Self::ODD)
    }

    /// Where the kind is served, on the echo server's host.
    pub(super) fn addressed(self, echo: SocketAddr) -> SocketAddr {
        let port = match self {
            Self::LongUdp
            | Self::NewUdp
            | Self::NewTcp
            | Self::LongTcp
            | Self::OnePort
            | Self::Objection
            | Self::LastHop => echo.port(),
            // A raw socket has none.
            Self::Ping | Self::Esp | Self::Gre | Self::Sctp => 0,
            Self::BigAnswer => Self::BIG_ANSWERS,
            Self::DyingAnswer => Self::DYING_ANSWERS,
            Self::PendingSyn => Self::NO_ANSWER,
        };
        SocketAddr::new(echo.ip(), port)
    }

    pub(super) const BIG_ANSWERS: u16 = 1001;
    pub(super) const DYING_ANSWERS: u16 = 1002;
    /// Takes a SYN and says nothing.
    pub const NO_ANSWER: u16 = 1003;

    pub(super) fn life(self) -> Life {
        let short = |packets, gap, ends_after| Life::Short(ShortLife { packets, gap, ends_after });
        match self {
            Self::LongUdp | Self::LongTcp => Life::UntilDead,
            Self::OnePort | Self::Ping | Self::Esp | Self::Gre | Self::Sctp => Life::Whole,
            Self::NewUdp => short(3, Duration::from_millis(20), LAST_TRIES),
            Self::NewTcp => short(1, Duration::ZERO, LAST_TRIES),
            // Its SYN is sent again and again meanwhile, at last 19 s after the first.
            Self::PendingSyn => short(1, Duration::ZERO, Duration::from_secs(20)),
            Self::Objection | Self::LastHop | Self::BigAnswer | Self::DyingAnswer => Life::Short(TALKATIVE),
        }
    }
}
