//! What the machine is made of: its states, what moves it, and what it asks of the agent.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::account;
use crate::board::Board;
use crate::clients::{Ledger, PausedClient, Roll};
use crate::names::NamesReport;
use crate::relays::{Attempt, RelayId, Verdict};
use crate::tailnet::{TailnetFacts, Ways};
use crate::uplink::Trouble;
use crate::uplink::router::Nat64;
use crate::{
    ClockReport, Door, Egress, Epoch, ExitReport, Lack, Mac, PingReport, Posture, RelaySettings,
    TunnelReport, Uplink, Uptime, Used, Wish,
};

/// Counts the orders to the kernel: the outcome of an older order than the newest is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// Why the kernel does not look as ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unapplied(pub String);

/// What the box is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No door is open, as wished.
    Sealed,
    /// An order is on its way to the kernel; nothing is claimed until it was read back. `lack` is why a door
    /// that was open must be closed.
    Applying { generation: Generation, posture: Box<Posture>, lack: Option<Lack> },
    /// The wished door is not proven: `lack`. `door` is the other one, still open for a moment.
    Proving { egress: Egress, asked: Uptime, lack: Lack, door: Option<Door> },
    /// Read back: client packets leave by this door.
    Open { door: Door },
    /// The kernel would not seal, or nobody knows whether it did.
    Unverified { error: String },
}

/// What happens to the box.
#[derive(Clone, Debug)]
pub enum Input {
    Wished(Wish),
    Toggled,
    /// No door, or the last egress again where none was wished.
    Paused,
    /// Nothing is to be carried for this client any more.
    ClientPaused(PausedClient),
    /// It may go out again, by its node's id.
    ClientResumed(String),
    /// These relays of the account may carry from now on, behind those of the owner's files; so many at the beginning are
    /// those that the owner has just chosen.
    Relays(Vec<RelaySettings>, usize),
    /// What is known of the account.
    Account(account::Report),
    /// Somebody wants this relay to carry, whichever comes first in the list.
    UseRelay(RelayId),
    /// Somebody wants every relay proven now.
    TestRelays,
    Uplink(Option<Uplink>),
    /// What keeps the box from being attached to the house.
    Attached(Result<(), Trouble>),
    /// By which prefix the house's network reaches IPv4 from IPv6, where it does.
    Nat64(Option<Nat64>),
    /// The page that the house's network wants somebody to log in on.
    Portal(Option<String>),
    /// Whether the house's router has a valid neighbour entry.
    Gateway(bool),
    /// The house's routers as neighbours of the box, as far as they are seen at the moment.
    Routers(Vec<(IpAddr, Mac)>),
    /// What is wrong with the interface that machines of the house have to themselves.
    Apart(Option<String>),
    Tunnel(TunnelReport),
    Ping(PingReport),
    Exit(ExitReport),
    /// What came of an attempt, and when it began.
    Proved(Attempt, Uptime, Verdict),
    Tailnet(TailnetFacts),
    /// How the tailnet reaches the box.
    Ways(Ways),
    Applied(Generation, Result<(), Unapplied>),
    /// How the upstream of that door has been answering for names.
    Names(Egress, NamesReport),
    /// What is known of the wall clock; the core itself goes by none.
    Clock(ClockReport),
    /// What is known of the board under everything.
    Board(Board),
    /// Everybody else on the tailnet.
    Peers(Roll),
    /// What the kernel has counted in this boot, and what day it is on the house's wall (since 1970), where that is known.
    Counted(Ledger, Option<u32>),
    /// Whether the newest wish is kept across reboots, and if not, why.
    Remembered(Result<(), String>),
    /// Something in the kernel differs from the posture that was read back.
    Drifted(String),
    /// Something beside the posture had been changed by somebody else, and is put right already; no packet's way.
    Mended(String),
    /// A deadline is due.
    Tick,
}

/// What the agent is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make the kernel look so, read it back, report [`Input::Applied`].
    Apply(Generation, Box<Posture>),
    /// Whom nothing is carried for is all that is new: make it so, read it back, report [`Input::Applied`].
    Amend(Generation, Box<Posture>),
    /// Keep across reboots.
    Remember(Wish),
    /// Likewise, whom the owner prefers, by its name.
    RememberRelay(String),
    /// Likewise, what was used of the house's line.
    RememberUsed(Used),
    /// Likewise, for whom nothing is carried.
    RememberPaused(Vec<PausedClient>),
    /// Prove a relay, beside the tunnel; report [`Input::Proved`].
    Prove(Attempt),
    /// The tunnel leads to this relay, there; start a handshake now: the rule set has just begun to let it through.
    Handshake(RelayId, SocketAddr),
    /// The tunnel leads to nobody.
    HangUp,
    /// Ping the relay's gateway through the tunnel once; report [`Input::Ping`], twice where the answer comes late.
    Ping,
    /// Ask the check host who we are, by that door; report [`Input::Exit`].
    CheckExit(Egress),
    /// Ask the control server in the clear, to see whether the house's network answers in its place; report
    /// [`Input::Portal`].
    LookForPortal,
    /// Answer no name of the internet any more: cancel what is asked, hang up, forget what was answered. Comes before
    /// the order that may close the door.
    ShutNames,
    /// Ask this door's upstream for names from now on.
    OpenNames(Egress),
    /// Drop conntrack entries of every older epoch.
    Forget(Epoch),
    /// The rule set cannot be trusted: switch forwarding off.
    StopForwarding,
}
