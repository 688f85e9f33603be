//! The one state of the box and what moves it.
//!
//! ```text
//!             start, and after every Applied: "sealed"
//!                 │
//!                 ▼          wish: sealed
//!  ┌──────►  Applying ─────────────────────────►  Sealed
//!  │             │  ▲                                │ wish: an egress
//!  │ Applied:    │  │ proven: open it                ▼
//!  │ "open"      │  └─────────────────────────── Proving ◄─┐
//!  │             ▼      lost its proof, facts        │     │ wish: the other egress, whose
//!  │           Open ──► changed: seal first          │     │ door stays for a moment's proof
//!  │             └───────────────────────────────────┼─────┘
//!  └── Retry ── Unverified  ◄── the kernel would not seal, or somebody keeps changing it
//! ```
//!
//! Beside it runs what the tunnel leads to (`relay`): a door whose relay alone changes goes from `Open` by `Applying` to
//! `Open`, in one transaction.
//!
//! Nor is it a state who is refused, by the owner's word (`amend`): a door stays open meanwhile.
//!
//! `on_*` decides, `to_*` changes the state and is the only writer of it.

mod amend;
mod contest;
mod demand;
mod house;
pub(crate) mod household;
mod on;
mod pursue;
mod relay;
mod to;
mod words;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

pub(crate) use house::{House, has_ipv4};
pub use words::{Effect, Generation, Input, State, Unapplied};

use self::contest::Contest;
use crate::account;
use crate::agenda::Agenda;
use crate::allowance::Allowance;
use crate::board::Board;
use crate::clients::Clients;
use crate::evidence::Evidence;
use crate::relays::{RelayId, Relays};
use crate::tailnet::{TailnetFacts, Ways};
use crate::view::{self, View};
use crate::{
    ClockReport, Drift, Egress, Epoch, Facts, Posture, RelaySettings, Settings, Uplink, Uptime, Used, Why,
    Wish,
};

/// The core. Cheap to call; call [`Core::step`] for every input and whenever [`Core::deadline`] has passed.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    wish: Wish,
    last_egress: Egress,
    /// Why the wish is not kept across reboots.
    unsaved: Option<String>,
    state: State,
    /// When what the view tells of state and door last changed.
    since: Uptime,
    /// The newest; the posture in the kernel may still be of older ones.
    facts: Facts,
    kernel: Kernel,
    evidence: Evidence,
    house: House,
    relays: Relays,
    /// `None`: the owner's configuration names none.
    account: Option<account::Report>,
    called: Option<Call>,
    tailnet: TailnetFacts,
    ways: Ways,
    clock: ClockReport,
    board: Board,
    clients: Clients,
    allowance: Allowance,
    agenda: Agenda,
}

/// Whom the engine was told to talk to, where and when.
#[derive(Clone, Copy, Debug)]
struct Call {
    relay: RelayId,
    endpoint: SocketAddr,
    at: Uptime,
}

/// What was ordered and what was read back.
#[derive(Debug, Default)]
struct Kernel {
    generation: Generation,
    epoch: Option<Epoch>,
    posture: Option<Posture>,
    /// The order that changes nothing but who is refused, while it is on its way.
    amending: Option<(Generation, Posture)>,
    /// When and why it did not open a door.
    refused: Option<(Uptime, String)>,
    drift: Drift,
    contest: Contest,
}

/// One call of `step`: the time, and what came of it.
struct Turn {
    now: Uptime,
    effects: Vec<Effect>,
}

impl Core {
    /// Whatever the kernel holds, the first order is to seal it. `uplink` is as it was found: a box that carries its
    /// owner's session must not close it for the moment until the first [`Input::Uplink`].
    pub fn start(now: Uptime, settings: Settings, wish: Wish, uplink: Option<Uplink>) -> (Self, Vec<Effect>) {
        let relays = Relays::new(&settings);
        let Settings { flow_table, refuse_dot, refuse_smtp, limit_mbit, house_access, reach, .. } = settings;
        let interfaces = settings.interfaces.names();
        let (tunnel, candidates) = (None, Vec::new()); // learn_way
        let household = None; // learn_household
        let facts = Facts {
            uplink,
            interfaces,
            tunnel,
            candidates,
            flow_table,
            refuse_dot,
            refuse_smtp,
            limit_mbit,
            house_access,
            household,
            reach,
        };
        let clients = Clients::new(settings.paused.clone());
        let allowance = Allowance::new(settings.daily_gb, settings.used, now);
        let mut core = Self {
            last_egress: wish.egress().unwrap_or(settings.last_egress),
            settings,
            wish,
            unsaved: None,
            state: State::Unverified { error: String::from("starting") },
            since: now,
            facts,
            kernel: Kernel::default(),
            evidence: Evidence::default(),
            house: House::default(),
            relays,
            account: None,
            called: None,
            tailnet: TailnetFacts::default(),
            ways: Ways::default(),
            clock: ClockReport::default(),
            board: Board::default(),
            clients,
            allowance,
            agenda: Agenda::default(),
        };
        let mut turn = Turn { now, effects: Vec::new() };
        core.agenda.set(Why::Ping, now);
        core.learn_way();
        core.learn_household();
        core.to_seal(None, &mut turn);
        (core, turn.effects)
    }

    pub fn step(&mut self, now: Uptime, input: Input) -> Vec<Effect> {
        let mut turn = Turn { now, effects: Vec::new() };
        match input {
            Input::Wished(wish) => self.on_wished(wish, &mut turn),
            Input::Toggled => {
                let wish = self.wish.egress().map_or(self.last_egress, Egress::other);
                self.on_wished(wish.into(), &mut turn);
            }
            Input::Paused => {
                let wish = self.wish.egress().map_or(self.last_egress.into(), |_| Wish::Sealed);
                self.on_wished(wish, &mut turn);
            }
            Input::Uplink(uplink) => self.on_uplink(uplink, &turn),
            Input::Attached(attached) => self.house.trouble = attached.err(),
            Input::Nat64(prefix) => self.on_nat64(prefix, &turn),
            Input::Portal(page) => self.on_portal(page, &turn),
            Input::Gateway(reachable) => self.evidence.gateway = reachable,
            Input::Routers(routers) => self.on_routers(routers),
            Input::Apart(trouble) => self.house.apart = trouble,
            Input::Tunnel(report) => self.on_tunnel(report, &turn),
            Input::Ping(report) => self.on_ping(&report, &turn),
            Input::Exit(report) => self.on_exit(report, &turn),
            Input::Proved(attempt, asked, verdict) => self.on_proved(attempt, asked, verdict),
            Input::Relays(list, wanted) => self.on_relays(list, wanted, &turn),
            Input::Account(report) => self.account = Some(report),
            Input::UseRelay(relay) => self.on_use_relay(relay, &mut turn),
            Input::TestRelays => self.on_test_relays(&turn),
            Input::Tailnet(facts) => self.tailnet = facts,
            Input::Ways(ways) => self.ways = ways,
            Input::Applied(generation, result) => self.on_applied(generation, result, &mut turn),
            Input::Names(egress, report) => self.evidence.learn_names(egress, report),
            Input::Clock(report) => self.on_clock(report, &turn),
            Input::Board(board) => self.board = board.after(&self.board),
            Input::Peers(roll) => self.on_peers(roll, &mut turn),
            Input::Counted(ledger, today) => self.on_counted(ledger, today, &mut turn),
            Input::ClientPaused(client) => self.on_client_paused(client, &mut turn),
            Input::ClientResumed(id) => self.on_client_resumed(&id, &mut turn),
            Input::Remembered(result) => self.unsaved = result.err(),
            Input::Drifted(what) => self.on_drifted(what, &mut turn),
            Input::Mended(what) => self.kernel.drift.count(what),
            Input::Tick => {}
        }
        self.pursue_relay(&mut turn);
        self.pursue(&mut turn);
        self.amend(&mut turn);
        while let Some(why) = self.agenda.take_due(now) {
            self.on_due(why, &mut turn);
        }
        turn.effects
    }

    /// When `step` wants to be called though nothing happened, and why.
    pub fn deadline(&self) -> Option<(Uptime, Why)> {
        self.agenda.next()
    }

    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The last wish, and the last one that was not sealed: what a toggle starts from.
    pub const fn wish(&self) -> (Wish, Egress) {
        (self.wish, self.last_egress)
    }

    /// What was used of the house's line since that was kept last.
    pub fn unkept(&self) -> Option<Used> {
        self.allowance.unkept()
    }

    /// How a relay of the newest list, or the one that carries, is reached.
    pub fn relay(&self, relay: RelayId) -> Option<&RelaySettings> {
        self.relays.settings(relay)
    }

    /// What the kernel must look like now, as far as that was read back.
    pub const fn proven_posture(&self) -> Option<&Posture> {
        self.kernel.posture.as_ref()
    }

    /// What may be told.
    pub fn view(&self) -> View {
        view::Subject {
            settings: &self.settings,
            wish: self.wish,
            unsaved: self.unsaved.as_deref(),
            state: &self.state,
            since: self.since,
            facts: &self.facts,
            house: &self.house,
            evidence: &self.evidence,
            relays: &self.relays,
            account: self.account.as_ref(),
            tailnet: &self.tailnet,
            ways: &self.ways,
            drift: &self.kernel.drift,
            clock: &self.clock,
            board: &self.board,
            clients: &self.clients,
            allowance: &self.allowance,
            refused: self.kernel.posture.as_ref().map(|posture| &posture.refused),
        }
        .view()
    }
}
