//! Takes what came in by UDP out of the kernel, many datagrams a call: several messages, each of which may be a train
//! that the kernel has coupled (`UDP_GRO`).

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg};

use super::train::Train;

/// The most messages a call.
const MESSAGES: usize = 32;
/// While trains come, each as long as many datagrams: what lies longer in the processor's caches costs less, and the
/// first is not kept waiting for the last.
const TRAINS: usize = 4;
/// No train is longer.
const LONGEST: usize = 65_535;

/// All that one call can bring.
pub(super) const ROOM: usize = MESSAGES * LONGEST;

/// What the last call brought.
#[derive(Debug)]
pub(super) struct Receiver {
    buffers: Box<[u8]>,
    messages: Vec<Message>,
    /// How many are taken next.
    most: usize,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    length: usize,
    each: usize,
    from: Option<SocketAddr>,
}

impl Receiver {
    pub(super) fn new() -> Receiver {
        let messages = Vec::with_capacity(MESSAGES);
        Receiver { buffers: vec![0; MESSAGES * LONGEST].into(), messages, most: MESSAGES }
    }

    /// Whether there was all that one call takes, so that more may wait.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        self.messages.clear();
        // Not kept between calls: recvmmsg leaves in it how much room the last answer took.
        let room = nix::cmsg_space!(libc::c_int);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(self.most, Some(room));
        let mut rooms = self.buffers.chunks_exact_mut(LONGEST);
        let mut slices: [_; MESSAGES] =
            std::array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
        let asked = slices.iter_mut().take(self.most);
        let received = recvmmsg(socket.as_raw_fd(), &mut headers, asked, MsgFlags::empty(), None)?;
        self.messages.extend(received.map(|message| Message::of(&message)));
        let was_full = self.messages.len() == self.most;
        let have_trains = self.messages.iter().any(|message| message.length > message.each);
        self.most = if have_trains { TRAINS } else { MESSAGES };
        Ok(was_full)
    }

    /// How many trains there are.
    pub(super) fn count(&self) -> usize {
        self.messages.len()
    }

    /// One of them and where it came from, if that is known: nobody else is the relay.
    pub(super) fn train(&self, nth: usize) -> Option<(SocketAddr, Train<'_>)> {
        let message = self.messages.get(nth)?;
        let buffer = &self.buffers[nth * LONGEST..];
        Some((message.from?, Train { bytes: &buffer[..message.length], each: message.each }))
    }
}

impl Message {
    fn of(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Message {
        let coupled = message.cmsgs().into_iter().flatten().find_map(|control| {
            let ControlMessageOwned::UdpGroSegments(each) = control else { return None };
            usize::try_from(each).ok()
        });
        let each = coupled.unwrap_or(message.bytes).max(1);
        Message { length: message.bytes, each, from: message.address.and_then(address) }
    }
}

fn address(storage: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| SocketAddrV4::from(*address).into());
    v4.or_else(|| storage.as_sockaddr_in6().map(|address| SocketAddrV6::from(*address).into()))
}
