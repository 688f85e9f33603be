//! The promises of DESIGN 1 and 4 as a judge sees them, from what was reported to the core and what it did then:
//! the evidence for a door is weighed here a second time, without the core's help.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use byway_core::posture::Difference;
use byway_core::relays::{Proof, RelayId};
use byway_core::{Core, Door, Effect, Egress, Input, Phase, Posture, Uplink, Uptime, View, Wish};

use crate::deed::{Deed, Relay};
use crate::house::{self, at};
use crate::world::{Kernel, ms_of};

/// So many changes of somebody else's in so many milliseconds are a fight.
const FIGHT: usize = 10;
const QUIET: u64 = 30_000;
/// Bytes that clients may move by the house's line in a day.
const MOST: u64 = 1_000_000_000;
/// No order takes longer in this world.
const SLOWEST_ORDER: u64 = 200;
const PATIENCE: u64 = 300;

#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) orders: u64,
    pub(crate) ticks: u64,
    /// How often the tunnel was given to a relay.
    pub(crate) taken: u64,
    /// Of the agent that runs now.
    sealed_first: bool,
    /// In this boot, over all agents.
    last_epoch: u32,
    wish: Wish,
    last_egress: Egress,
    /// When the wish changed, or the agent started.
    wished: u64,
    /// When something new was asked of the kernel or read back: proof of a relay must be younger.
    since: u64,
    confirmed: u64,
    evidence: Evidence,
    checking: BTreeSet<Egress>,
    proving: Option<RelayId>,
    /// The check host has just said "not Mullvad".
    foreign: bool,
    /// Since when the relay answers nothing, and whether it talks all the same; and since when clients send.
    silent: Option<(u64, bool)>,
    traffic: Option<u64>,
    /// In which second, and how many in it so far.
    deadlines: (u64, u32),
    ordered: (u64, u32),
    deeds: BTreeMap<u64, u32>,
    /// Bytes by the house's line on this day, as they were reported; all that was counted; and what day it is.
    used: u64,
    counted: u64,
    today: Option<u32>,
    /// By the owner's word, over all agents.
    paused: BTreeSet<IpAddr>,
    /// When the agent that runs now put right what somebody else had changed.
    healed: Vec<u64>,
}

/// What the agent reported.
#[derive(Debug, Default)]
struct Evidence {
    uplink: Option<Uplink>,
    gateway: bool,
    handshake: Option<Uptime>,
    pong: Option<Uptime>,
    /// Asked when, and whether every answer was "Mullvad".
    exit: Option<(Uptime, bool)>,
    /// The same of each relay's last proof.
    proofs: [Option<(Uptime, bool)>; 2],
    /// Whom the tunnel leads to, and since when.
    called: Option<RelayId>,
    called_at: u64,
}

impl Judge {
    pub(crate) fn new(now: u64, wish: Wish) -> Self {
        Self {
            orders: 0,
            ticks: 0,
            taken: 0,
            sealed_first: false,
            last_epoch: 0,
            wish,
            last_egress: wish.egress().unwrap_or(Egress::Privacy),
            wished: now,
            since: now,
            confirmed: now,
            evidence: Evidence::default(),
            checking: BTreeSet::new(),
            proving: None,
            foreign: false,
            silent: None,
            traffic: None,
            deadlines: (0, 0),
            ordered: (0, 0),
            deeds: BTreeMap::new(),
            paused: BTreeSet::new(),
            used: 0,
            counted: 0,
            today: None,
            healed: Vec::new(),
        }
    }

    pub(crate) fn restarts(&mut self, now: u64, wish: Wish) {
        let (orders, ticks, last_epoch) = (self.orders, self.ticks, self.last_epoch);
        let (used, counted, today) = (self.used, self.counted, self.today);
        let (silent, traffic) = (self.silent.map(|(_, talks)| (now, talks)), self.traffic.map(|_| now));
        let (deeds, paused) = (std::mem::take(&mut self.deeds), std::mem::take(&mut self.paused));
        *self = Self {
            orders,
            ticks,
            last_epoch,
            silent,
            traffic,
            deeds,
            used,
            counted,
            today,
            paused,
            ..Self::new(now, wish)
        };
    }

    pub(crate) fn sees(&mut self, now: u64, deed: &Deed) {
        *self.deeds.entry(now / 1000).or_default() += 1;
        if let Deed::Traffic(flows) = deed {
            self.traffic = flows.then_some(self.traffic.unwrap_or(now));
        }
    }

    pub(crate) fn heals(&mut self, now: u64) {
        self.healed.push(now);
    }

    pub(crate) fn looks_at_the_relay(&mut self, now: u64, relay: Option<Relay>) {
        let talks = relay == Some(Relay::Deaf);
        self.silent = match self.silent {
            _ if relay == Some(Relay::Answers) => None,
            Some((since, before)) if before == talks => Some((since, talks)),
            Some(_) | None => Some((now, talks)),
        };
    }

    pub(crate) fn counts_a_deadline(&mut self, now: u64) {
        self.ticks += 1;
        let this_second = count_in(&mut self.deadlines, now / 1000);
        assert!(this_second <= 10, "a busy loop: {this_second} deadlines in the second before {now} ms");
    }

    pub(crate) fn hears(&mut self, now: u64, input: &Input) {
        let evidence = &mut self.evidence;
        match input {
            Input::Wished(wish) => self.wants(now, *wish),
            Input::Toggled => {
                let next = self.wish.egress().map_or(self.last_egress, Egress::other);
                self.wants(now, next.into());
            }
            Input::Paused => {
                let next = self.wish.egress().map_or(self.last_egress.into(), |_| Wish::Sealed);
                self.wants(now, next);
            }
            Input::Uplink(uplink) => evidence.uplink.clone_from(uplink),
            Input::Counted(ledger, today) => self.count(ledger.house_bytes(), *today),
            Input::ClientPaused(client) => _ = self.paused.insert(client.addresses[0]),
            Input::ClientResumed(id) => self.paused.retain(|address| address.to_string() != *id),
            Input::Gateway(there) => evidence.gateway = *there,
            Input::Tunnel(report) => evidence.handshake = report.handshake,
            Input::Ping(report) if report.round_trip.is_some() => {
                evidence.pong = evidence.pong.max(Some(report.sent));
            }
            Input::Exit(report) => {
                self.checking.remove(&report.by);
                let is_of_this_relay = ms_of(report.asked) >= evidence.called_at;
                if let (Egress::Privacy, Ok(exits), true) = (report.by, &report.result, is_of_this_relay) {
                    let mullvad = exits.iter().all(|exit| exit.mullvad == Some(true));
                    evidence.exit = Some((report.asked, mullvad));
                    self.foreign = !mullvad;
                }
            }
            Input::Proved(attempt, asked, verdict) => {
                self.proving = None;
                let mullvad = |proof: &Proof| proof.exits.iter().all(|exit| exit.mullvad == Some(true));
                let proof = verdict.as_ref().ok().map(|proof| (*asked, mullvad(proof)));
                evidence.proofs[attempt.relay.0] = proof;
            }
            Input::Ping(_)
            | Input::Relays(..)
            | Input::Account(_)
            | Input::UseRelay(_)
            | Input::TestRelays
            | Input::Tailnet(_)
            | Input::Ways(_)
            | Input::Applied(..)
            | Input::Remembered(_)
            | Input::Clock(_)
            | Input::Board(_)
            | Input::Peers(_)
            | Input::Drifted(_)
            | Input::Names(..)
            | Input::Mended(_)
            | Input::Attached(_)
            | Input::Nat64(_)
            | Input::Portal(_)
            | Input::Routers(_)
            | Input::Apart(_)
            | Input::Tick => {}
        }
    }

    fn count(&mut self, counted: u64, today: Option<u32>) {
        self.used =
            if today == self.today { self.used + counted - self.counted } else { counted - self.counted };
        (self.counted, self.today) = (counted, today);
    }

    /// An order came to its end, whichever.
    pub(crate) fn confirms(&mut self, now: u64) {
        (self.since, self.confirmed) = (now, now);
    }

    fn wants(&mut self, now: u64, wish: Wish) {
        if wish != self.wish {
            (self.wish, self.wished, self.since) = (wish, now, now);
            self.last_egress = wish.egress().unwrap_or(self.last_egress);
        }
    }

    pub(crate) fn judges_effects(&mut self, now: u64, before: &View, effects: &[Effect], kernel: &Kernel) {
        let mut sealed = false;
        for effect in effects {
            match effect {
                Effect::Apply(_, posture) => {
                    assert!(kernel.under_way.is_none(), "a second order while one is under way");
                    sealed |= posture.door.is_none();
                    self.judges_order(now, posture, kernel);
                }
                Effect::Amend(_, posture) => {
                    assert!(kernel.under_way.is_none(), "an amendment while the door changes");
                    let verified = kernel.verified.as_ref().expect("an amendment of what was read back");
                    assert!(posture.differs_in_refused_alone(verified), "{posture:?} amends {verified:?}");
                    self.judges_refused(posture);
                }
                Effect::CheckExit(by) => {
                    assert!(self.checking.insert(*by), "two checks by one door at a time");
                }
                Effect::Forget(epoch) => {
                    assert!(now - self.confirmed >= 90_000, "forgets too early");
                    assert!(kernel.under_way.is_none(), "forgets while the door changes");
                    let open = kernel.verified.as_ref().and_then(|posture| posture.door);
                    assert!(open.is_none_or(|door| door.epoch == *epoch), "forgets the open door's flows");
                }
                Effect::Remember(wish) => assert_eq!(*wish, self.wish),
                Effect::Prove(attempt) => {
                    assert!(self.proving.replace(attempt.relay).is_none(), "two attempts at a time");
                    assert!(
                        self.evidence.called != Some(attempt.relay),
                        "one key, two sessions at one relay"
                    );
                }
                Effect::Handshake(relay, _) => self.calls(now, *relay),
                Effect::HangUp => self.evidence.called = None,
                Effect::RememberRelay(_)
                | Effect::RememberPaused(_)
                | Effect::RememberUsed(_)
                | Effect::LookForPortal
                | Effect::Ping
                | Effect::ShutNames
                | Effect::OpenNames(_)
                | Effect::StopForwarding => {}
            }
        }
        let foreign = std::mem::take(&mut self.foreign);
        assert!(!foreign || before.door != Some(Egress::Privacy) || sealed, "a foreign exit, and not sealed");
    }

    /// Whatever is ordered is ordered with the newest word about single clients.
    pub(crate) fn judges_refused(&self, posture: &Posture) {
        let refused: BTreeSet<IpAddr> = posture.refused.clients.iter().copied().collect();
        assert_eq!(refused, self.paused);
    }

    fn judges_order(&mut self, now: u64, posture: &Posture, kernel: &Kernel) {
        self.judges_refused(posture);
        self.orders += 1;
        let second = now / 1000;
        let orders = count_in(&mut self.ordered, second);
        let deeds: u32 = self.deeds.range(second.saturating_sub(1)..=second).map(|(_, deeds)| deeds).sum();
        assert!(orders <= 6 + 3 * deeds, "{orders} orders in one second after {deeds} deeds");
        assert_eq!(posture.facts.uplink, self.evidence.uplink, "an order of other facts than the newest");
        let Some(Door { egress, epoch }) = posture.door else {
            self.sealed_first = true;
            return;
        };
        assert!(self.sealed_first, "the first order opens a door");
        let lately = self.healed.iter().filter(|healed| now - **healed < QUIET).count();
        assert!(lately < FIGHT, "a door is opened for somebody who changes the kernel all the time");
        // Of the house's own flows a change of the relay is no business.
        let goes_on = kernel.verified.as_ref().is_some_and(|verified| {
            let is_no_matter = egress == Egress::Residential
                || posture.facts.differ(&verified.facts) == Difference::Candidates;
            is_no_matter && verified.door == posture.door
        });
        assert!(goes_on || epoch.number() > self.last_epoch, "epoch {epoch} is not fresh");
        self.last_epoch = epoch.number();
        assert_eq!(Wish::from(egress), self.wish, "a door that nobody wished");
        assert!(posture.facts.uplink.is_some(), "a door without a line");
        let proven = match egress {
            Egress::Privacy => {
                let relay = posture.facts.tunnel.as_ref().expect("a tunnel").relay;
                let relay =
                    house::settings().relays.iter().position(|known| known.end.relay.ip() == relay.ip());
                let relay = RelayId(relay.expect("a relay of the list"));
                let goes_on = kernel.verified.as_ref().is_some_and(|open| {
                    let is_privacy = open.door.is_some_and(|door| door.egress == Egress::Privacy);
                    is_privacy && posture.facts.differ(&open.facts) == Difference::Relay
                });
                if goes_on {
                    self.is_proven_to_go_on(now, relay)
                } else {
                    self.evidence.called == Some(relay) && self.privacy_is_proven(now)
                }
            }
            Egress::Residential => self.evidence.gateway && self.used < MOST,
        };
        assert!(proven, "{egress} opened at {now} ms on {:?}", self.evidence);
    }

    fn privacy_is_proven(&self, now: u64) -> bool {
        let age = |when: Uptime| now.saturating_sub(ms_of(when));
        let Evidence { handshake, pong, exit, .. } = &self.evidence;
        handshake.is_some_and(|made| age(made) < 180_000)
            && pong.is_some_and(|sent| ms_of(sent) >= self.since)
            && exit.is_some_and(|(asked, mullvad)| mullvad && age(asked) <= 60_000)
    }

    /// The door leads to another relay from now on, in one step.
    fn is_proven_to_go_on(&self, now: u64, relay: RelayId) -> bool {
        let proof = self.evidence.proofs[relay.0];
        proof.is_some_and(|(asked, mullvad)| mullvad && now - ms_of(asked) <= 300_000)
    }

    /// What was known of another relay counts no more.
    fn calls(&mut self, now: u64, relay: RelayId) {
        if self.evidence.called != Some(relay) {
            self.taken += 1;
            let (handshake, pong, exit) = (None, None, self.evidence.proofs[relay.0]);
            let (called, called_at) = (Some(relay), now);
            assert!(
                exit.is_some_and(|(_, mullvad)| mullvad),
                "the tunnel leads to a relay that is not proven"
            );
            let evidence = std::mem::take(&mut self.evidence);
            self.evidence = Evidence { handshake, pong, exit, called, called_at, ..evidence };
            // What the one before has kept silent is not this one's fault.
            self.silent = None;
        }
    }

    pub(crate) fn judges_claims(&self, now: u64, core: &Core, kernel: &Kernel) {
        let view = core.view();
        let verified = kernel.verified.as_ref().and_then(|posture| posture.door).map(|door| door.egress);
        assert_eq!(kernel.names, verified, "names are asked for by another way than what was read back");
        if view.door.is_some() {
            assert_eq!(view.door, verified, "the view names a door that was not read back: {view:#?}");
            assert!(kernel.forwarding, "the view names a door of a box that forwards nothing");
        }
        assert_eq!(view.wish, self.wish);
        assert!(!view.why.is_empty());
        match view.phase {
            Phase::Open => assert_eq!(view.door, self.wish.egress()),
            Phase::Sealed => assert_eq!(view.door, None),
            Phase::Proving => {}
        }
        let soon = core.deadline().expect("there is always the next ping");
        assert!(soon.0 > at(now), "{soon:?} is due at {now} ms already");
        let held = kernel.verified.as_ref().map(|posture| &posture.refused.clients);
        for client in view.clients.iter().flatten().filter(|client| client.paused) {
            let is_held = |held: &Vec<IpAddr>| client.addresses.iter().all(|address| held.contains(address));
            assert!(held.is_none_or(is_held), "paused is told before it was read back: {client:?}");
        }
        self.judges_packets(now, kernel);
    }

    /// What the kernel does with packets meanwhile, claimed or not.
    fn judges_packets(&self, now: u64, kernel: &Kernel) {
        let open = kernel.posture.door.filter(|_| kernel.forwarding).map(|door| door.egress);
        let wanted = self.wish.egress();
        let grace = 2 * SLOWEST_ORDER + if wanted.is_some() { PATIENCE } else { 0 };
        assert!(
            open.is_none() || open == wanted || now <= self.wished + grace,
            "{open:?} is open though {:?} is wished since {} ms",
            self.wish,
            now - self.wished
        );
        if let (Some(Egress::Privacy), Some((silent, talks))) = (open, self.silent) {
            let busy = self.traffic.filter(|_| !talks).map(|traffic| traffic.max(silent) + 10_000);
            let limit = busy.map_or(silent + 30_000, |busy| busy.min(silent + 30_000));
            assert!(now <= limit + SLOWEST_ORDER, "the relay is silent since {} ms", now - silent);
        }
    }
}

fn count_in(counter: &mut (u64, u32), second: u64) -> u32 {
    let before = if counter.0 == second { counter.1 } else { 0 };
    *counter = (second, before + 1);
    counter.1
}
