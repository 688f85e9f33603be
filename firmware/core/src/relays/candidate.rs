//! What is known of one relay of the owner's list, and when it is worth another attempt.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::{Obstacle, Proof, RelayId, RelayView, Role};
use crate::posture::TunnelEnd;
use crate::settings::RelaySettings;
use crate::{Exit, Expect, Uptime};

/// A relay that stands by is proven anew this often.
const STANDBY_EVERY: Duration = Duration::from_mins(3);
/// What was seen longer ago says nothing of now.
const PROOF_LASTS: Duration = Duration::from_mins(5);
/// While nobody waits for it.
const CALM_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_CALM_PAUSE: Duration = Duration::from_mins(10);
/// While no relay carries.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) id: RelayId,
    pub(super) settings: RelaySettings,
    /// Where the provider's relays listen, its own port first.
    ports: Vec<u16>,
    /// Which of them was good last, or is to be tried next.
    port: usize,
    /// The newest; none after a failure.
    proven: Option<(Uptime, Proof)>,
    /// It was proven once.
    known: bool,
    /// When the last attempt began.
    tried: Option<Uptime>,
    /// When the last one began after which no port was left to try.
    tested: Option<Uptime>,
    /// In a row.
    pub(super) failures: u32,
    pub(super) obstacle: Option<Obstacle>,
    /// Since when somebody wants to know. What was asked before is no answer to them.
    hastened: Option<Uptime>,
    /// From 0.8 to 1.2, in thousandths: boxes of one kind do not ask all at once.
    jitter: u32,
}

impl Candidate {
    pub(super) fn new(id: RelayId, settings: RelaySettings) -> Self {
        let own = settings.end.relay.port();
        let others = settings.ports.iter().copied().filter(|port| *port != own);
        Self {
            id,
            ports: core::iter::once(own).chain(others).collect(),
            settings,
            port: 0,
            proven: None,
            known: false,
            tried: None,
            tested: None,
            failures: 0,
            obstacle: None,
            hastened: None,
            jitter: 1000,
        }
    }

    /// The tunnel to it, by the port that is good, or to be tried.
    pub(super) fn end(&self) -> TunnelEnd {
        let end = &self.settings.end;
        let mtu = self.proven.as_ref().map_or(end.mtu, |(_, proof)| proof.mtu.min(end.mtu));
        TunnelEnd { relay: self.endpoint(), mtu, ..end.clone() }
    }

    /// What an attempt is to try, in bytes.
    pub(super) const fn largest(&self) -> u16 {
        self.settings.end.mtu
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.ports.iter().map(|port| SocketAddr::new(self.settings.end.relay.ip(), *port))
    }

    pub(super) fn endpoint(&self) -> SocketAddr {
        SocketAddr::new(self.settings.end.relay.ip(), self.ports[self.port])
    }

    /// The file's own port, if it is reached by another one.
    pub(super) fn blocked_port(&self) -> Option<u16> {
        (self.port > 0).then(|| self.settings.end.relay.port())
    }

    /// Fewer bytes came through than were asked for.
    pub(super) fn is_narrow(&self) -> bool {
        self.end().mtu < self.settings.end.mtu
    }

    pub(super) const fn tried(&self) -> Option<Uptime> {
        self.tried
    }

    /// And when it was asked for.
    pub(super) fn proof(&self) -> Option<(Uptime, &Proof)> {
        self.proven.as_ref().map(|(asked, proof)| (*asked, proof))
    }

    /// May the tunnel be given to it?
    pub(super) fn is_ready(&self, now: Uptime) -> bool {
        self.proven.as_ref().is_some_and(|(asked, _)| now.since(*asked) < PROOF_LASTS)
    }

    pub(super) fn succeed(&mut self, asked: Uptime, proof: Proof) {
        (self.proven, self.tried, self.tested) = (Some((asked, proof)), Some(asked), Some(asked));
        (self.failures, self.obstacle, self.known) = (0, None, true);
        self.answer(asked);
    }

    pub(super) fn hasten(&mut self, since: Uptime) {
        self.hastened = self.hastened.max(Some(since));
    }

    pub(super) const fn is_hastened(&self) -> bool {
        self.hastened.is_some()
    }

    fn answer(&mut self, asked: Uptime) {
        self.hastened = self.hastened.filter(|since| asked < *since);
    }

    /// Where nothing answers, another port may.
    pub(super) fn fail(&mut self, asked: Uptime, obstacle: Obstacle) {
        let begins = self.is_end_of_round();
        (self.proven, self.tried) = (None, Some(asked));
        self.failures = self.failures.saturating_add(1);
        let goes_on = obstacle.is_of_the_port() && !self.is_end_of_round();
        let told = self.obstacle.take().filter(|told| !begins && told.distance() > obstacle.distance());
        if obstacle.is_of_the_port() {
            self.port = (self.port + 1) % self.ports.len();
        }
        if !goes_on {
            self.tested = Some(asked);
            self.answer(asked);
        }
        // What one port has told is not taken back by the next one's silence.
        self.obstacle = Some(told.unwrap_or(obstacle));
    }

    pub(super) fn view(&self, role: Role) -> RelayView {
        let proof = self.proven.as_ref().map(|(_, proof)| proof);
        RelayView {
            id: self.id,
            keys: self.settings.keys,
            name: self.settings.name.clone(),
            endpoint: self.endpoint(),
            role,
            round_trip: proof.and_then(|proof| proof.round_trip),
            mtu: proof.map(|_| self.end().mtu),
            proven: self.proven.as_ref().map(|(asked, _)| *asked),
            tested: self.tested,
            failures: self.failures,
            obstacle: self.sentence(),
            seen_as: proof.into_iter().flat_map(|proof| &proof.exits).map(|exit| exit.address).collect(),
        }
    }

    /// What stands in its way.
    pub(super) fn sentence(&self) -> Option<String> {
        self.obstacle.as_ref().map(|obstacle| obstacle.sentence(&self.settings.name, self.known))
    }

    pub(super) const fn roll(&mut self, dice: u64) {
        self.jitter = 800 + (dice % 401) as u32;
    }

    /// When another attempt is worth it.
    pub(super) fn due(&self, is_needed: bool) -> Uptime {
        let Some(tried) = self.tried.filter(|_| !self.is_hastened()) else { return Uptime::default() };
        let pause = match (&self.proven, is_needed) {
            (Some(_), _) => STANDBY_EVERY,
            (None, true) => self.pause_between_rounds(),
            (None, false) => doubled(CALM_PAUSE, self.failures, LONGEST_CALM_PAUSE),
        };
        tried + pause * self.jitter / 1000
    }

    fn is_end_of_round(&self) -> bool {
        self.failures.is_multiple_of(self.round())
    }

    fn round(&self) -> u32 {
        u32::try_from(self.ports.len()).unwrap_or(1)
    }

    /// None as long as there are ports that were not tried.
    fn pause_between_rounds(&self) -> Duration {
        let rounds = self.failures / self.round();
        if rounds == 0 { Duration::ZERO } else { doubled(PAUSE, rounds, LONGEST_PAUSE) }
    }
}

/// The `nth` pause, from 1 on.
fn doubled(first: Duration, nth: u32, longest: Duration) -> Duration {
    (first * (1 << nth.saturating_sub(1).min(10))).min(longest)
}

impl Obstacle {
    const fn is_of_the_port(&self) -> bool {
        match self {
            Self::Refused | Self::Silence { .. } => true,
            Self::Unsent(_)
            | Self::Clock
            | Self::Gateway
            | Self::Narrow(_)
            | Self::ExitCheck(_)
            | Self::NotMullvad(_)
            | Self::FellSilent => false,
        }
    }
}

/// The first exit that is not what was expected.
pub(crate) fn foreign(exits: &[Exit], expect: Expect) -> Option<IpAddr> {
    let foreign = exits.iter().find(|exit| exit.mullvad != Some(true)).map(|exit| exit.address);
    match expect {
        Expect::Mullvad => foreign,
        Expect::Any => None,
    }
}
