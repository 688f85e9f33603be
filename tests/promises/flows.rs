//! Flows of every kind that a change of door could get wrong, and what the box itself and the phone's kernel say because of
//! them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use byway_lab::capture::{Recording, Seen};
use byway_lab::judge::Door;
use byway_lab::packet::{About, Datagram, TcpFlags, Transport};
use byway_lab::phone::Family;
use byway_lab::stage::{Outcome, Stage};
use byway_lab::topology::Place;
use byway_lab::traffic::{Kind, Rates};

use crate::ordeal::{Ordeal, PATIENCE};

/// A little of everything.
const EVERYTHING: Rates = Rates { long_udp: 50, new_udp: 10, new_tcp: 4, long_tcp: 10, for_life: 10, odd: 3 };
/// Long enough that a kernel sends a SYN of before the flip again.
const DWELL: Duration = Duration::from_millis(1100);
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

type Sort = fn(&Datagram) -> bool;

/// A refusal may be lost on its way; then a kernel sends the refused SYN once more.
const REFUSALS_ARE_LOST: &str = "table inet lossy {
  chain in {
    type filter hook input priority raw;
    tcp sport 1003 tcp flags & rst == rst drop;
    icmp type destination-unreachable @th,240,16 1003 drop;
    icmpv6 type destination-unreachable @th,400,16 1003 drop;
  }
}";

/// What the box, the phone or its kernel says because of a flow counts as the flow's own.
pub(super) fn of_every_kind(stage: &mut Stage) -> Result<()> {
    stage.world.namespace(Place::Phone).nft(REFUSALS_ARE_LOST)?;
    let mut ordeal = Ordeal::begin(stage, EVERYTHING)?;
    let phone = stage.listen(Place::Phone, "tailscale0", "phone")?;
    for flip in 0..10 {
        let door = if flip % 2 == 0 { Door::Residential } else { Door::Privacy };
        thread::sleep(DWELL); // The load's duration, not a wait for a condition.
        ordeal.watch.flip(&stage.byway, Some(door))?;
        ordeal.watch.wait_answered(PATIENCE)?;
    }
    let phone = phone.stop()?;
    stage.world.namespace(Place::Phone).nft("delete table inet lossy")?;
    let outcome = ordeal.end()?;
    for family in FAMILIES {
        every_kind_was_heard(&outcome, family)?;
        phone_was_told(&outcome, &phone, family)?;
    }
    Ok(())
}

fn every_kind_was_heard(outcome: &Outcome, family: Family) -> Result<()> {
    let count = |door, kind, which: Sort| {
        let of_kind = move |seen: &&Seen| kind_of(outcome, seen) == Some(kind) && is_of(family, seen);
        let packets = outcome.judge.left_by(door, &outcome.witnesses).filter(of_kind);
        packets.filter(|seen| seen.packet.datagram().is_some_and(which)).count()
    };
    // The first door has seen them; dead ever since.
    for kind in Kind::FOR_LIFE {
        let packets = count(Door::Privacy, kind, |_| true);
        ensure!(packets > 0, "no {kind:?} by privacy, {family:?}");
    }
    for door in Door::ALL {
        let expected: [(&str, Kind, Sort); 3] = [
            ("port unreachable", Kind::Objection, |packet| is_error(packet, [(3, 3), (1, 4)])),
            ("too big", Kind::BigAnswer, |packet| is_error(packet, [(3, 4), (2, 0)])),
            ("time exceeded", Kind::DyingAnswer, |packet| is_error(packet, [(11, 0), (3, 0)])),
        ];
        for (what, kind, which) in expected {
            let errors = count(door, kind, which);
            ensure!(errors > 10, "{errors} errors \"{what}\" by {door}, {family:?}");
        }
        let last_hops = count(door, Kind::LastHop, |_| true);
        ensure!(last_hops == 0, "{last_hops} packets at their last hop by {door}, {family:?}");
        let all = outcome.judge.left_by(door, &outcome.witnesses).filter(|seen| is_of(family, seen));
        let pending = all.filter(|seen| is_pending_syn(seen)).count();
        ensure!(pending > 5, "{pending} pending SYNs by {door}, {family:?}");
    }
    Ok(())
}

/// That its last hop was the box, and that its kernel did send SYNs again.
fn phone_was_told(outcome: &Outcome, phone: &Recording, family: Family) -> Result<()> {
    let here = || phone.seen.iter().filter(|seen| is_of(family, seen));
    let told = here().filter(|seen| kind_of(outcome, seen) == Some(Kind::LastHop));
    let told =
        told.filter(|seen| seen.packet.datagram().is_some_and(|packet| is_error(packet, [(11, 0), (3, 0)])));
    let told = told.count();
    ensure!(told > 10, "the phone was told {told} times that a packet had no more hops, {family:?}");
    let syns: Vec<u32> = here().filter(|seen| is_pending_syn(seen)).filter_map(sequence).collect();
    let again = syns.len() - syns.iter().collect::<BTreeSet<_>>().len();
    ensure!(again > 5, "of {} pending SYNs {again} were sent again, {family:?}", syns.len());
    Ok(())
}

fn kind_of(outcome: &Outcome, seen: &Seen) -> Option<Kind> {
    let flow = outcome.load.flows.get(&seen.packet.tag()?.flow)?;
    Some(flow.line.kind)
}

fn is_of(family: Family, seen: &Seen) -> bool {
    let is_v4 = |packet: &Datagram| matches!(packet.source, IpAddr::V4(_));
    seen.packet.datagram().is_some_and(|packet| is_v4(packet) == (family == Family::V4))
}

/// An error of either family that quotes something.
fn is_error(packet: &Datagram, kinds: [(u8, u8); 2]) -> bool {
    let wanted = if packet.source.is_ipv4() { kinds[0] } else { kinds[1] };
    match packet.transport {
        Transport::Icmp { kind, code, about: About::Quoted(_) } => (kind, code) == wanted,
        Transport::Icmp { about: About::Nothing | About::Echo(_) | About::Neighbour(_), .. }
        | Transport::Udp { .. }
        | Transport::Tcp { .. }
        | Transport::Wrapped(_)
        | Transport::LaterFragment { .. }
        | Transport::Other { .. } => false,
    }
}

fn is_pending_syn(seen: &Seen) -> bool {
    let Some(Datagram { transport: Transport::Tcp { ports, flags, .. }, .. }) = seen.packet.datagram() else {
        return false;
    };
    ports.destination == Kind::NO_ANSWER && flags.has(TcpFlags::SYN)
}

fn sequence(seen: &Seen) -> Option<u32> {
    let Some(Datagram { transport: Transport::Tcp { sequence, .. }, .. }) = seen.packet.datagram() else {
        return None;
    };
    Some(*sequence)
}
