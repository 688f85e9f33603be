//! What was observed of the world, and whether it is proof enough to open a door or to keep it open (DESIGN 4,
//! Proof). Unknown is never proven.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::NamesReport;
use crate::uplink::Trouble;
use crate::{Egress, Expect, Uptime};

/// A session older than this is dead (`WireGuard`'s reject-after-time).
const FRESH_HANDSHAKE: Duration = Duration::from_mins(3);
/// A flip to privacy accepts an exit check of at most this age.
const FRESH_EXIT: Duration = Duration::from_mins(1);
/// Sent and nothing heard for so long: suspect.
const SUSPICION: Duration = Duration::from_secs(2);
/// Nothing heard for so long, unanswered pings included: dead.
const SILENCE: Duration = Duration::from_secs(7);
const UNANSWERED_PINGS: u32 = 3;
/// A check is given five times as long as a ping.
const UNANSWERED_CHECKS: u32 = 1;

/// What the tunnel's engine knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelReport {
    /// When the present session was made.
    pub handshake: Option<Uptime>,
    /// When the last packet came that the relay's key vouches for.
    pub heard: Option<Uptime>,
    /// When the last packet of ours or of a client's went in.
    pub sent: Option<Uptime>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    /// In this order, each once.
    pub offloads: Vec<Offload>,
}

/// Work that the kernel takes from the tunnel's engine: many packets handed over as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Offload {
    /// TCP, between the kernel and the engine.
    Tso,
    /// UDP, between the kernel and the engine.
    Uso,
    /// The tunnel's datagrams, on their way out.
    UdpGso,
    /// The tunnel's datagrams, on their way in.
    UdpGro,
}

impl fmt::Display for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tso => "tso",
            Self::Uso => "uso",
            Self::UdpGso => "udp-gso",
            Self::UdpGro => "udp-gro",
        })
    }
}

/// One ping of the relay's gateway through the tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingReport {
    pub sent: Uptime,
    pub answered: bool,
}

/// What the check host says of one address family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The address it saw.
    pub address: IpAddr,
    /// Whether it is one of Mullvad's; `None` when the host does not say.
    pub mullvad: Option<bool>,
    /// The host's name for the exit, or the city, where it tells.
    pub place: Option<String>,
}

/// One exit check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitReport {
    pub by: Egress,
    pub asked: Uptime,
    /// One answer a family that works; never an empty list.
    pub result: Result<Vec<Exit>, String>,
}

/// What is missing before a door may be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    Uplink(Trouble),
    Gateway,
    Handshake,
    Pong,
    /// Why the last check gave no answer.
    ExitCheck(Option<String>),
    NotMullvad(IpAddr),
    Silence,
    /// Why the kernel did not take the open rule set a moment ago.
    Refused(String),
    /// What somebody else has changed in the kernel, again and again.
    Contested(String),
}

impl Lack {
    /// Whether another exit check may end it.
    pub(crate) const fn is_about_exit(&self) -> bool {
        match self {
            Self::ExitCheck(_) | Self::NotMullvad(_) => true,
            Self::Uplink(_)
            | Self::Gateway
            | Self::Handshake
            | Self::Pong
            | Self::Silence
            | Self::Refused(_)
            | Self::Contested(_) => false,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The house's router is there: a valid neighbour entry.
    pub(crate) gateway: bool,
    pub(crate) tunnel: TunnelReport,
    /// When the last answered ping was sent.
    pong: Option<Uptime>,
    unanswered: u32,
    /// The last check that got an answer, a door.
    privacy_exit: Option<ExitReport>,
    residential_exit: Option<ExitReport>,
    /// The doors by which an exit check is under way.
    pub(crate) checking: BTreeSet<Egress>,
    /// By which door and why the newest check got none, and how many by that door in a row.
    failed_check: Option<(Egress, String)>,
    pub(crate) check_failures: u32,
    privacy_names: NamesReport,
    residential_names: NamesReport,
}

impl Evidence {
    pub(crate) fn learn_names(&mut self, egress: Egress, report: NamesReport) {
        match egress {
            Egress::Privacy => self.privacy_names = report,
            Egress::Residential => self.residential_names = report,
        }
    }

    pub(crate) const fn names(&self, egress: Egress) -> &NamesReport {
        match egress {
            Egress::Privacy => &self.privacy_names,
            Egress::Residential => &self.residential_names,
        }
    }

    pub(crate) fn learn_ping(&mut self, report: &PingReport) {
        if report.answered {
            self.unanswered = 0;
            self.pong = self.pong.max(Some(report.sent));
        } else {
            self.unanswered = self.unanswered.saturating_add(1);
        }
    }

    pub(crate) fn learn_exit(&mut self, report: ExitReport) {
        self.checking.remove(&report.by);
        if let Err(error) = &report.result {
            let before = if self.check_error(report.by).is_some() { self.check_failures } else { 0 };
            self.check_failures = before.saturating_add(1);
            self.failed_check = Some((report.by, error.clone()));
        } else {
            self.failed_check = None;
            self.check_failures = 0;
            match report.by {
                Egress::Privacy => self.privacy_exit = Some(report),
                Egress::Residential => self.residential_exit = Some(report),
            }
        }
    }

    /// Why the newest check got no answer, if it went by that door.
    pub(crate) fn check_error(&self, by: Egress) -> Option<&str> {
        self.failed_check.as_ref().filter(|(egress, _)| *egress == by).map(|(_, error)| error.as_str())
    }

    /// The newest answer by that door, and when it was asked for.
    pub(crate) fn exits(&self, by: Egress) -> Option<(&[Exit], Uptime)> {
        let report = match by {
            Egress::Privacy => self.privacy_exit.as_ref(),
            Egress::Residential => self.residential_exit.as_ref(),
        }?;
        report.result.as_deref().ok().map(|exits| (exits, report.asked))
    }

    pub(crate) fn exit_is_fresh(&self, now: Uptime) -> bool {
        self.exits(Egress::Privacy).is_some_and(|(_, asked)| now.since(asked) <= FRESH_EXIT)
    }

    /// May client packets be let through, given that it was asked for at `asked`?
    pub(crate) fn may_open(
        &self,
        egress: Egress,
        expect: Expect,
        asked: Uptime,
        now: Uptime,
    ) -> Result<(), Lack> {
        match egress {
            Egress::Residential => self.gateway.then_some(()).ok_or(Lack::Gateway),
            Egress::Privacy => {
                self.handshake_is_fresh(now)?;
                self.pong.filter(|sent| *sent >= asked).ok_or(Lack::Pong)?;
                // Asked long ago, it may have been answered and have died since: a fight lasts half a minute.
                self.is_heard(expect, now)?;
                self.exit_is_expected(expect)?;
                self.exit_is_fresh(now).then_some(()).ok_or_else(|| self.lack_of_answer())
            }
        }
    }

    /// May an open door stay open? A check that gets no answer closes nothing.
    pub(crate) fn may_stay(&self, egress: Egress, expect: Expect, now: Uptime) -> Result<(), Lack> {
        match egress {
            Egress::Residential => self.gateway.then_some(()).ok_or(Lack::Gateway),
            Egress::Privacy => {
                self.handshake_is_fresh(now)?;
                self.exit_is_expected(expect)?;
                self.is_heard(expect, now)
            }
        }
    }

    /// Whether the relay shares a session with us that still counts.
    pub(crate) fn has_session(&self, now: Uptime) -> bool {
        self.tunnel.handshake.is_some_and(|made| now.since(made) < FRESH_HANDSHAKE)
    }

    /// Whether the relay must be asked more often than in calm times.
    pub(crate) fn is_suspect(&self, now: Uptime) -> bool {
        let unheard = self.tunnel.sent > self.heard();
        self.unanswered > 0 || unheard && self.heard().is_none_or(|heard| now.since(heard) > SUSPICION)
    }

    fn heard(&self) -> Option<Uptime> {
        self.tunnel.heard.max(self.pong)
    }

    fn is_heard(&self, expect: Expect, now: Uptime) -> Result<(), Lack> {
        let unanswered = match expect {
            Expect::Mullvad => UNANSWERED_PINGS,
            Expect::Any => UNANSWERED_CHECKS,
        };
        let silent = self.heard().is_none_or(|heard| now.since(heard) >= SILENCE);
        if self.unanswered >= unanswered && silent { Err(Lack::Silence) } else { Ok(()) }
    }

    fn handshake_is_fresh(&self, now: Uptime) -> Result<(), Lack> {
        self.has_session(now).then_some(()).ok_or(Lack::Handshake)
    }

    fn lack_of_answer(&self) -> Lack {
        Lack::ExitCheck(self.check_error(Egress::Privacy).map(String::from))
    }

    fn exit_is_expected(&self, expect: Expect) -> Result<(), Lack> {
        let Some((exits, _)) = self.exits(Egress::Privacy) else {
            return Err(self.lack_of_answer());
        };
        let foreign = exits.iter().find(|exit| exit.mullvad != Some(true));
        match (expect, foreign) {
            (Expect::Mullvad, Some(exit)) => Err(Lack::NotMullvad(exit.address)),
            (Expect::Mullvad, None) | (Expect::Any, _) => Ok(()),
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uplink(trouble) => trouble.fmt(f),
            Self::Gateway => f.write_str("the house's router does not answer"),
            Self::Handshake => f.write_str("the relay does not answer the handshake"),
            Self::Pong => f.write_str("the relay does not answer through the tunnel"),
            Self::ExitCheck(None) => f.write_str("waiting for the exit check"),
            Self::ExitCheck(Some(error)) => write!(f, "the exit check gets no answer: {error}"),
            Self::NotMullvad(address) => {
                write!(
                    f,
                    "the exit check says that {address} is not mullvad: is the config of another provider?"
                )
            }
            Self::Silence => f.write_str("the relay fell silent"),
            Self::Refused(error) => write!(f, "the kernel does not take the open rule set: {error}"),
            Self::Contested(what) => {
                write!(f, "somebody keeps changing the kernel, end that program: {what}")
            }
        }
    }
}
