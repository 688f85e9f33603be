//! The protocol as whoever sends the box a datagram meets it: without sockets, for those who try what it takes
//! (`tests/fuzz`). The agent has no use for it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::session::{CONTROL_ROOM, Opened, Session};
use super::{Peer, Stamps, Stats};

/// When everything happens.
const NOW: Duration = Duration::from_secs(1_000);
const LONGEST: usize = 65_535;

/// A session and its room.
pub struct Stranger {
    session: Session,
    from: SocketAddr,
    room: Vec<u8>,
}

impl Stranger {
    pub fn new(peer: Peer) -> Stranger {
        let from = peer.endpoint;
        Stranger {
            session: Session::new(NOW, peer, Stats::default(), Arc::new(Stamps::in_memory())),
            from,
            room: vec![0; LONGEST + CONTROL_ROOM],
        }
    }

    /// The box begins.
    pub fn initiation(&mut self) -> Vec<u8> {
        self.session.initiate(NOW, &mut self.room).to_vec()
    }

    /// The packet that was in it, or the answer to it; nothing if it was not the relay's.
    pub fn open(&mut self, datagram: &[u8]) -> Vec<u8> {
        match self.session.open(NOW, self.from, datagram, &mut self.room) {
            Opened::Packet(packet) => packet.to_vec(),
            Opened::Answer(answer) => answer.to_vec(),
            Opened::Nothing => Vec::new(),
        }
    }
}

impl fmt::Debug for Stranger {
    /// Without the session: it holds keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stranger").field("from", &self.from).finish_non_exhaustive()
    }
}
