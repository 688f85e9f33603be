//! Finds what ties two ways out to one client, doors or relays: a flow, or one TCP connection, that was seen at both before
//! the box has forgotten it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Door, Vantage};
use crate::packet::{Datagram, Packet, TcpFlags, Transport};

/// What a NAT leaves of a flow's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Flow(u32),
    /// A SYN keeps its sequence number; a resent one would come by the other door with the same.
    Syn {
        sequence: u32,
        to: SocketAddr,
    },
}

/// Whom the internet sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) door: Door,
    /// By its place in [`super::Places::relays`]; none at the house, and at a link that is no relay's of these.
    pub(super) relay: Option<usize>,
}

/// How often the box had forgotten older flows by then: what talks on afterwards is tied by its app's own identity only.
type Era = usize;

/// The two ends of a TCP connection, as one link shows them.
type Connection = (String, SocketAddr, SocketAddr);

/// Remembers who was seen where. Each tied flow or connection is reported once.
#[derive(Debug, Default)]
pub(super) struct Links {
    exits: BTreeMap<(Identity, Era), Exit>,
    tied: BTreeSet<(Identity, Era)>,
    begun: BTreeSet<Connection>,
    /// Of which something came in, from the box's point of view: its own end first.
    addressed: BTreeSet<Connection>,
    orphans: BTreeSet<Connection>,
}

impl Links {
    /// Takes note of a client's packet that left by an exit; says what it ties together, if anything new.
    pub(super) fn note(
        &mut self,
        vantage: Vantage,
        link: &str,
        (exit, era): (Exit, Era),
        packet: &Packet,
    ) -> Option<&'static str> {
        let seen_elsewhere = identity(packet).and_then(|identity| self.ties((identity, era), exit));
        let orphan = match vantage {
            Vantage::House | Vantage::Relay => {
                packet.datagram().is_some_and(|packet| self.is_orphan(link, packet))
            }
            // Ports change on the way to the server; the door's own link has told already.
            Vantage::Server => false,
        };
        match (seen_elsewhere, orphan) {
            (Some(elsewhere), _) if elsewhere.door == exit.door => {
                Some("this flow was seen at another relay")
            }
            (Some(_), _) => Some("this flow was seen at the other door"),
            (None, true) => Some("this door has not seen the connection's SYN"),
            (None, false) => None,
        }
    }

    /// Takes note of what comes to the box by a link.
    pub(super) fn note_arrival(&mut self, link: &str, packet: &Packet) {
        if let Some(Datagram { transport: Transport::Tcp { .. }, .. }) = packet.datagram()
            && let Some((from, to)) = packet.datagram().and_then(Datagram::ends)
        {
            self.addressed.insert((link.to_owned(), to, from));
        }
    }

    /// A reset without an ACK, of what came by this very link: what a kernel answers that knows of no such connection
    /// (RFC 9293 3.5.2).
    pub(super) fn is_of_a_forgotten_one(&self, link: &str, packet: &Packet) -> bool {
        let Some(datagram) = packet.datagram() else { return false };
        let Transport::Tcp { flags, .. } = datagram.transport else { return false };
        let is_bare = flags.has(TcpFlags::RST) && !flags.has(TcpFlags::ACK);
        let answers = |(from, to)| self.addressed.contains(&(link.to_owned(), from, to));
        is_bare && datagram.ends().is_some_and(answers)
    }

    /// Where it was seen before, if that was another exit and has not been reported yet.
    fn ties(&mut self, identity: (Identity, Era), exit: Exit) -> Option<Exit> {
        let first = *self.exits.entry(identity).or_insert(exit);
        (first != exit && self.tied.insert(identity)).then_some(first)
    }

    fn is_orphan(&mut self, link: &str, datagram: &Datagram) -> bool {
        let Transport::Tcp { flags, .. } = datagram.transport else { return false };
        let Some((from, to)) = datagram.ends() else { return false };
        let connection = (link.to_owned(), from, to);
        if flags.has(TcpFlags::SYN) {
            self.begun.insert(connection);
            return false;
        }
        // A reset that answers what came by this very link tells nobody of another door.
        let answers = flags.has(TcpFlags::RST) && self.addressed.contains(&connection);
        !answers && !self.begun.contains(&connection) && self.orphans.insert(connection)
    }
}

fn identity(packet: &Packet) -> Option<Identity> {
    if let Some(tag) = packet.tag() {
        return Some(Identity::Flow(tag.flow));
    }
    let datagram = packet.datagram()?;
    let Transport::Tcp { flags, sequence, .. } = datagram.transport else { return None };
    let (_, to) = datagram.ends()?;
    (flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK)).then_some(Identity::Syn { sequence, to })
}
