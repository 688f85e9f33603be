//! The session with one relay: boringtun's protocol machine, and what it leaves to us: when to try again,
//! what counts as heard, where to send, and going on for ever. No I/O; the time is an argument.
//!
//! An initiation is made, beside boringtun's own (every 5 s while one is unanswered; after 15 s without an
//! answer to data; after 120 s of a session in use by data):
//! - after 120 s of a session that only keepalives use, as the kernel's implementation does;
//! - after a second without an answer to data, so that a relay that lost its sessions is found soon;
//! - after half a second without an answer to an initiation, then ever more slowly, because it may have been lost;
//! - at once after the 90 s in which the protocol gives up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::TunnResult;
use boringtun::noise::errors::WireGuardError;

use super::machine::{Machine, random};
use super::train::Train;
use super::{Peer, Stamps, Stats};

/// Between two initiations of which the first is unanswered: at first, and in the end the protocol's `REKEY_TIMEOUT`
/// (wireguard.com/papers/wireguard.pdf, 6.1); so are the next two.
const FIRST_RETRY_AFTER: Duration = Duration::from_millis(500);
const RETRY_AFTER: Duration = Duration::from_secs(5);
const REKEY_AFTER: Duration = Duration::from_mins(2);
const JITTER_MS: u64 = 333;

/// Data unanswered for this long is worth an initiation of its own: TCP and our own pings answer sooner.
const UNANSWERED_AFTER: Duration = Duration::from_secs(1);
/// A stream that nothing answers, as UDP may be, of a relay that does answer gets such an initiation no more often.
const UNANSWERED_EVERY: Duration = Duration::from_secs(15);
/// The fastest that anybody outside can make us initiate.
const KICK_EVERY: Duration = Duration::from_secs(1);

/// Packets are sealed with zeros up to the next multiple of this: the length of what a client says, a name
/// that it looks up or a word that it types, is seen less exactly (the paper, 5.4.6). It costs nothing that
/// could be measured.
const PADDING: usize = 16;
/// Longer ones are left alone: every tunnel carries this much, and not every one carries more.
const PADDED: usize = 1_280;

/// Bytes that sealing adds to a padded packet, and the most that a datagram without a packet takes.
pub(super) const OVERHEAD: usize = 32;
pub(super) const CONTROL_ROOM: usize = 148;

/// How a new machine gets its first stamp, if there is one yet.
type First = fn(&Stamps, Duration) -> Option<Duration>;

pub(super) struct Session {
    peer: Peer,
    stamps: Arc<Stamps>,
    /// Of those, the first one of each machine.
    first: First,
    /// None until its handshakes can be stamped.
    machine: Option<Machine>,
    /// Where the relay was last heard, before that where it is said to be.
    endpoint: SocketAddr,
    stats: Stats,
    padded: Box<[u8; PADDED]>,
    /// When the last initiation was made, and when our own rules may make the next.
    initiated: Duration,
    retry_at: Duration,
    /// Between those two.
    pause: Duration,
    /// When that last made us ask for a new session.
    asked: Option<Duration>,
    /// A handshake that the relay began: our index and when; it is a session once the relay uses it.
    responded: Option<(u32, Duration)>,
}

/// What a datagram from the network turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened<'a> {
    /// A client's packet.
    Packet(&'a mut [u8]),
    /// To be sent to the relay; after it, whatever [`Session::waiting`] gives.
    Answer(&'a [u8]),
    /// A keepalive, or not the relay's at all.
    Nothing,
}

impl Session {
    /// With no handshake yet: [`Session::initiate`] makes the first datagram, or a later [`Session::tick`]
    /// where there is no stamp for it. The counters of `before` go on.
    pub(super) fn new(now: Duration, peer: Peer, before: Stats, stamps: Arc<Stamps>) -> Session {
        Session::stamped(now, peer, before, (stamps, Stamps::begin))
    }

    /// With a relay that the engine does not talk to, for a moment.
    pub(super) fn beside(now: Duration, peer: Peer, stamps: Arc<Stamps>) -> Session {
        Session::stamped(now, peer, Stats::default(), (stamps, Stamps::join))
    }

    fn stamped(now: Duration, peer: Peer, before: Stats, (stamps, first): (Arc<Stamps>, First)) -> Session {
        Session {
            machine: fresh_machine(now, &peer, first(&stamps, now)),
            stamps,
            first,
            endpoint: peer.endpoint,
            peer,
            stats: before.for_another_peer(),
            padded: Box::new([0; PADDED]),
            initiated: Duration::ZERO,
            retry_at: Duration::ZERO,
            pause: FIRST_RETRY_AFTER,
            asked: None,
            responded: None,
        }
    }

    /// Where everything that is made here is to be sent: the relay may move, and is followed.
    pub(super) fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    pub(super) fn stats(&self) -> Stats {
        self.stats
    }

    /// Makes an initiation now, also while another is unanswered. Empty if there is nothing to send.
    pub(super) fn initiate<'a>(&mut self, now: Duration, out: &'a mut [u8]) -> &'a [u8] {
        let Some(machine) = &mut self.machine else { return &[] };
        let made = written(machine.at(now).format_handshake_initiation(out, true)).unwrap_or(0);
        self.noted(now, &out[..made])
    }

    /// As [`Session::initiate`], unless the last one is younger than a second.
    pub(super) fn kick<'a>(&mut self, now: Duration, out: &'a mut [u8]) -> &'a [u8] {
        if now < self.initiated + KICK_EVERY { &[] } else { self.initiate(now, out) }
    }

    /// What the passing of time asks for, a keepalive or an initiation; empty if nothing. To be called at
    /// least four times a second: boringtun's times are as coarse as that.
    pub(super) fn tick<'a>(&mut self, now: Duration, out: &'a mut [u8]) -> &'a [u8] {
        self.stamps.keep(now);
        let Some(machine) = &mut self.machine else { return self.begin_anew(now, out) };
        match written(machine.at(now).update_timers(out)) {
            Err(WireGuardError::ConnectionExpired) => self.begin_anew(now, out),
            Ok(made) if made > 0 => self.noted(now, &out[..made]),
            Ok(_) | Err(_) if self.initiation_due(now) => self.initiate(now, out),
            Ok(_) | Err(_) => &[],
        }
    }

    /// The datagram that carries `packet`; without a session the packet waits, and an initiation may come
    /// out instead; packets are lost as long as there is no machine. `out` has room for [`OVERHEAD`] more than the
    /// padded packet, and for [`CONTROL_ROOM`].
    pub(super) fn seal<'a>(&mut self, now: Duration, packet: &[u8], out: &'a mut [u8]) -> &'a [u8] {
        let Some(machine) = &mut self.machine else { return &[] };
        let packet = padded(packet, &mut self.padded);
        let made = written(machine.at(now).encapsulate(packet, out)).unwrap_or(0);
        self.noted(now, &out[..made])
    }

    /// Opens a datagram that came from `from`, whoever sent it. `out` has room for the datagram and for
    /// [`CONTROL_ROOM`].
    pub(super) fn open<'a>(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &[u8],
        out: &'a mut [u8],
    ) -> Opened<'a> {
        let Some(machine) = &mut self.machine else { return Opened::Nothing };
        if datagram.is_empty() {
            return Opened::Nothing; // boringtun takes it for the question that `waiting` asks
        }
        // With a source boringtun answers a flood of handshakes with cookies, without one with silence: a
        // client has no word for strangers.
        let source = (from == self.endpoint).then_some(from.ip());
        match machine.at(now).decapsulate(source, datagram, out) {
            TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => {
                self.on_data(now, from, datagram);
                Opened::Packet(packet)
            }
            TunnResult::WriteToNetwork(answer) => {
                self.on_handshake(now, from, answer);
                Opened::Answer(answer)
            }
            TunnResult::Done => {
                self.on_data(now, from, datagram);
                Opened::Nothing
            }
            TunnResult::Err(error) => {
                tracing::trace!(?error, "a datagram that the relay did not make, or not for this session");
                Opened::Nothing
            }
        }
    }

    /// The next of the packets that waited for a session, sealed; empty when none is left.
    pub(super) fn waiting<'a>(&mut self, now: Duration, out: &'a mut [u8]) -> &'a [u8] {
        let Some(machine) = &mut self.machine else { return &[] };
        let made = written(machine.at(now).decapsulate(None, &[], out)).unwrap_or(0);
        self.noted(now, &out[..made])
    }

    /// The network took `train`, which the calls above made.
    pub(super) fn on_sent(&mut self, now: Duration, train: Train<'_>) {
        for datagram in train.datagrams() {
            if kind(datagram) == Some(Kind::Data) && datagram.len() > OVERHEAD {
                self.stats.tx_bytes += (datagram.len() - OVERHEAD) as u64;
                self.stats.unanswered.get_or_insert(now);
            }
        }
    }

    /// The kernel took so many bytes of packets that [`Session::open`] gave.
    pub(super) fn on_delivered(&mut self, bytes: u64) {
        self.stats.rx_bytes += bytes;
    }

    /// With stamps that follow the wall clock of now, where there are some; the old machine does as well. Whoever
    /// could play an old handshake to a machine that remembers none may have led us astray: the relay is asked where
    /// it is said to be.
    fn begin_anew<'a>(&mut self, now: Duration, out: &'a mut [u8]) -> &'a [u8] {
        self.endpoint = self.peer.endpoint;
        self.machine =
            fresh_machine(now, &self.peer, (self.first)(&self.stamps, now)).or(self.machine.take());
        self.initiate(now, out)
    }

    /// An authenticated datagram of a session: with the first one of a session that the relay began, it is
    /// the current one. Also asked about cookies, which say nothing of the kind.
    fn on_data(&mut self, now: Duration, from: SocketAddr, datagram: &[u8]) {
        if kind(datagram) != Some(Kind::Data) {
            return;
        }
        self.on_heard(now, from);
        if let Some((_, made)) = self.responded.take_if(|(ours, _)| index(datagram, 4) == Some(*ours)) {
            self.on_session(made);
        }
    }

    /// What our answer is tells what the handshake came to: a keepalive confirms a new session, a response is
    /// the half of one; a cookie says that it was not even looked at.
    fn on_handshake(&mut self, now: Duration, from: SocketAddr, answer: &[u8]) {
        match kind(answer) {
            Some(Kind::Data) => self.on_session(now),
            Some(Kind::Response) => self.responded = index(answer, 4).map(|ours| (ours, now)),
            Some(Kind::Initiation | Kind::Cookie) | None => return,
        }
        self.on_heard(now, from);
    }

    /// Only the relay can have made what came `from` there.
    fn on_heard(&mut self, now: Duration, from: SocketAddr) {
        if from != self.endpoint {
            tracing::debug!(before = %self.endpoint, now = %from, "the relay speaks from another endpoint");
            self.endpoint = from;
        }
        self.stats.last_received = Some(now);
        self.stats.unanswered = None;
    }

    /// The protocol's machine knows an answer to its last two initiations and to no older one: on a slow line they must
    /// come more slowly until it has one, whatever else is heard.
    fn on_session(&mut self, made: Duration) {
        self.stats.handshake = Some(made);
        self.pause = FIRST_RETRY_AFTER;
    }

    fn noted<'a>(&mut self, now: Duration, datagram: &'a [u8]) -> &'a [u8] {
        if kind(datagram) == Some(Kind::Initiation) {
            self.initiated = now;
            self.retry_at = now + self.pause + Duration::from_millis(random() % (JITTER_MS + 1));
            self.pause = (self.pause * 2).min(RETRY_AFTER);
        }
        datagram
    }

    /// Also remembers that the relay was asked because of unanswered data.
    fn initiation_due(&mut self, now: Duration) -> bool {
        if now < self.retry_at {
            return false;
        }
        let unanswered = self.stats.unanswered.is_some_and(|since| now >= since + UNANSWERED_AFTER);
        let in_vain = self.stats.last_received < self.asked;
        if unanswered && (in_vain || self.asked.is_none_or(|asked| now >= asked + UNANSWERED_EVERY)) {
            self.asked = Some(now);
            return true;
        }
        self.stats.handshake.is_none_or(|made| now >= made + REKEY_AFTER)
    }
}

fn padded<'a>(packet: &'a [u8], room: &'a mut [u8; PADDED]) -> &'a [u8] {
    let length = packet.len().next_multiple_of(PADDING);
    if length == packet.len() || length > PADDED {
        return packet;
    }
    let (copy, zeros) = room[..length].split_at_mut(packet.len());
    copy.copy_from_slice(packet);
    zeros.fill(0);
    &room[..length]
}

fn fresh_machine(now: Duration, peer: &Peer, stamp: Option<Duration>) -> Option<Machine> {
    Machine::new(now, peer, stamp?)
}

/// How many bytes boringtun wrote for the network.
fn written(result: TunnResult<'_>) -> Result<usize, WireGuardError> {
    match result {
        TunnResult::WriteToNetwork(datagram) => Ok(datagram.len()),
        TunnResult::Err(error) => Err(error),
        TunnResult::Done | TunnResult::WriteToTunnelV4(..) | TunnResult::WriteToTunnelV6(..) => Ok(0),
    }
}

/// What the first byte of a message tells (the paper, 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Initiation,
    Response,
    Cookie,
    Data,
}

fn kind(datagram: &[u8]) -> Option<Kind> {
    match datagram.first()? {
        1 => Some(Kind::Initiation),
        2 => Some(Kind::Response),
        3 => Some(Kind::Cookie),
        4 => Some(Kind::Data),
        _ => None,
    }
}

fn index(datagram: &[u8], at: usize) -> Option<u32> {
    let bytes = datagram.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().expect("the slice has four bytes")))
}

#[cfg(test)]
mod tests;
