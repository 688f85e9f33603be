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
use crate::relays::foreign;
use crate::uplink::Trouble;
use crate::{Egress, Expect, Spent, Uptime};

/// A session older than this is dead (`WireGuard`'s reject-after-time).
const FRESH_HANDSHAKE: Duration = Duration::from_mins(3);
/// A flip to privacy accepts an exit check of at most this age.
const FRESH_EXIT: Duration = Duration::from_mins(1);
/// Sent and nothing heard for so long: suspect. A relay on another continent answers sooner.
const SUSPICION: Duration = Duration::from_millis(600);
/// Then whether the next relay is any better should be known before this one is lost: a proof takes a second or two.
const DOUBT: Duration = Duration::from_millis(1_600);
/// Nothing heard for so long, and so many pings unanswered: lost. Of a path that loses every fifth packet each way and
/// delays others by a third of a second, that is one silence in ten thousand.
const SILENCE: Duration = Duration::from_millis(4_800);
const UNANSWERED_PINGS: u32 = 8;
/// The same where a check takes the ping's place: it is given five times as long.
const SILENCE_OF_CHECKS: Duration = Duration::from_secs(7);
const UNANSWERED_CHECKS: u32 = 1;
/// No ping of so long a time answered, not even ten seconds late: whatever comes from the relay, servers that say again
/// what nobody confirms, it does not hear us.
const DEAFNESS: Duration = Duration::from_secs(15);
/// A relay that was just proven makes a session at once.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What the tunnel's engine knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TunnelReport {
    /// When the present session was made.
    pub handshake: Option<Uptime>,
    /// When the last packet came that the relay's key vouches for.
    pub heard: Option<Uptime>,
    /// When the first packet of ours or of a client's went in since then; `None`: none did.
    pub unanswered: Option<Uptime>,
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
    /// `None`: not in time. It may be reported once more.
    pub round_trip: Option<Duration>,
}

/// What the check host says of one address family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The address it saw.
    pub address: IpAddr,
    /// Whether it is one of Mullvad's; `None` when the host does not say.
    pub mullvad: Option<bool>,
    /// Where it takes it to be, if it tells.
    pub city: Option<String>,
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
    /// Of the house's line enough is used for the day.
    Spent(Spent),
    /// Why the tunnel leads to no relay.
    Relay(String),
    Handshake,
    Pong,
    /// Why the last check gave no answer.
    ExitCheck(Option<String>),
    NotMullvad(IpAddr),
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
            | Self::Spent(_)
            | Self::Relay(_)
            | Self::Handshake
            | Self::Pong
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
    /// When the last answered ping was sent, and how long the answer took.
    pong: Option<(Uptime, Duration)>,
    /// The pings without an answer since the last one was heard, and when the first of them was sent.
    unanswered: u32,
    ignored: Option<Uptime>,
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

    /// The tunnel leads to a relay now that was proven when it was asked then. Nothing else is known of it.
    pub(crate) fn begin_with(&mut self, asked: Uptime, exits: &[Exit]) {
        self.begin_without();
        let result = Ok(exits.to_vec());
        self.privacy_exit = Some(ExitReport { by: Egress::Privacy, asked, result });
    }

    /// It leads to nobody.
    pub(crate) fn begin_without(&mut self) {
        self.learn_tunnel(self.tunnel.clone(), false);
        (self.pong, self.unanswered, self.ignored, self.privacy_exit) = (None, 0, None, None);
        if self.check_error(Egress::Privacy).is_some() {
            (self.failed_check, self.check_failures) = (None, 0);
        }
    }

    /// Of a session with another relay than ours only the counters count.
    pub(crate) fn learn_tunnel(&mut self, report: TunnelReport, is_ours: bool) {
        self.tunnel = if is_ours {
            report
        } else {
            TunnelReport { handshake: None, heard: None, unanswered: None, ..report }
        };
    }

    pub(crate) fn learn_ping(&mut self, report: &PingReport) {
        if let Some(round_trip) = report.round_trip {
            (self.unanswered, self.ignored) = (0, None);
            self.pong = self.pong.max(Some((report.sent, round_trip)));
        } else {
            self.unanswered = self.unanswered.saturating_add(1);
            self.ignored = self.ignored.or(Some(report.sent));
        }
    }

    /// The last answered ping: when it was sent, and how long the answer took.
    pub(crate) const fn pong(&self) -> Option<(Uptime, Duration)> {
        self.pong
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
                self.pong.filter(|(sent, _)| *sent >= asked).ok_or(Lack::Pong)?;
                self.exit_is_expected(expect)?;
                self.exit_is_fresh(now).then_some(()).ok_or_else(|| self.lack_of_answer())
            }
        }
    }

    /// May an open door stay open, while the relay is not lost? A check that gets no answer closes nothing.
    pub(crate) fn may_stay(&self, egress: Egress, expect: Expect) -> Result<(), Lack> {
        match egress {
            Egress::Residential => self.gateway.then_some(()).ok_or(Lack::Gateway),
            Egress::Privacy => self.exit_is_expected(expect),
        }
    }

    /// Whether the check host says that the relay's exit is somebody else's.
    pub(crate) fn is_foreign(&self, expect: Expect) -> bool {
        matches!(self.exit_is_expected(expect), Err(Lack::NotMullvad(_)))
    }

    /// Whether the relay shares a session with us that still counts.
    pub(crate) fn has_session(&self, now: Uptime) -> bool {
        self.tunnel.handshake.is_some_and(|made| now.since(made) < FRESH_HANDSHAKE)
    }

    /// Whether the relay must be asked more often than in calm times.
    pub(crate) fn is_suspect(&self, now: Uptime) -> bool {
        self.unanswered > 0 || self.tunnel.unanswered.is_some_and(|since| now.since(since) > SUSPICION)
    }

    /// Since when a relay that may be lost, which is judged from `since` on, was not heard, or has not heard us.
    pub(crate) fn doubtful_since(&self, since: Uptime, expect: Expect, now: Uptime) -> Option<Uptime> {
        let ignored = self.ignored_since(since, expect).filter(|since| now.since(*since) >= SILENCE);
        self.silent_since(since, now).into_iter().chain(ignored).min()
    }

    fn silent_since(&self, since: Uptime, now: Uptime) -> Option<Uptime> {
        let unheard = self.tunnel.unanswered.map(|first| first.max(since));
        let sessionless = (!self.has_session(now)).then_some(since);
        unheard.or(sessionless).filter(|since| now.since(*since) >= DOUBT)
    }

    /// A check host that is away is no reason to leave a relay that is heard.
    fn ignored_since(&self, since: Uptime, expect: Expect) -> Option<Uptime> {
        match expect {
            Expect::Mullvad => self.ignored.map(|first| first.max(since)),
            Expect::Any => None,
        }
    }

    /// Since when the relay, which is judged from `since` on, carries no more.
    pub(crate) fn lost_since(&self, since: Uptime, expect: Expect, now: Uptime) -> Option<Uptime> {
        let (unanswered, silence) = match expect {
            Expect::Mullvad => (UNANSWERED_PINGS, SILENCE),
            Expect::Any => (UNANSWERED_CHECKS, SILENCE_OF_CHECKS),
        };
        let in_vain = self.unanswered >= unanswered;
        let sessionless = !self.has_session(now) && now.since(since) >= HANDSHAKE;
        let is_lost = |first: &Uptime| sessionless || in_vain && now.since(*first) >= silence;
        let is_deaf = |first: &Uptime| in_vain && now.since(*first) >= DEAFNESS;
        let silent = self.silent_since(since, now).filter(is_lost);
        silent.or_else(|| self.ignored_since(since, expect).filter(is_deaf))
    }

    /// When nothing but time is missing for that.
    pub(crate) fn lost_at(&self, since: Uptime) -> Uptime {
        let end_of_session = self.tunnel.handshake.map(|made| made + FRESH_HANDSHAKE);
        end_of_session.max(Some(since + HANDSHAKE)).unwrap_or(since)
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
        foreign(exits, expect).map_or(Ok(()), |address| Err(Lack::NotMullvad(address)))
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uplink(trouble) => trouble.fmt(f),
            Self::Gateway => f.write_str("the house's router does not answer"),
            Self::Spent(spent) => spent.fmt(f),
            Self::Relay(sentence) => f.write_str(sentence),
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
            Self::Refused(error) => write!(f, "the kernel does not take the open rule set: {error}"),
            Self::Contested(what) => {
                write!(f, "somebody keeps changing the kernel, end that program: {what}")
            }
        }
    }
}
