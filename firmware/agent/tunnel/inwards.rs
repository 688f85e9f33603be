//! The way of packets from the relay to the TUN device: a few trains of datagrams; opened one after the other into
//! one arena; written in super-packets. Who opens is the caller's affair, as in `outwards`.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::packet::coalesce::{Coalescer, Datagrams};
use super::receive::{self, Receiver};
use super::session::CONTROL_ROOM;
use super::train::Train;
use super::tun::Tun;

/// The buffers of this way.
#[derive(Debug)]
pub struct Inwards {
    receiver: Receiver,
    arena: Arena,
}

#[derive(Debug)]
struct Arena {
    buffer: Box<[u8]>,
    filled: usize,
    coalescer: Coalescer,
}

impl Inwards {
    pub fn new(datagrams: Datagrams) -> Inwards {
        let arena = Arena {
            buffer: vec![0; receive::ROOM + CONTROL_ROOM].into(),
            filled: 0,
            coalescer: Coalescer::new(datagrams),
        };
        Inwards { receiver: Receiver::new(), arena }
    }

    /// Takes what waits, as far as there is room; whether more may wait.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        self.receiver.receive(socket)
    }

    /// How many trains the last call of [`Inwards::receive`] brought.
    pub fn trains(&self) -> usize {
        self.receiver.count()
    }

    /// Gives each datagram of a train to `open`, which writes a packet into the room beside it and returns its
    /// length, 0 for none.
    pub fn open(&mut self, nth: usize, mut open: impl FnMut(SocketAddr, &[u8], &mut [u8]) -> usize) {
        if let Some((from, train)) = self.receiver.train(nth) {
            self.arena.take(train, |datagram, room| open(from, datagram, room));
        }
    }

    /// Hands the packets to the kernel, or to nobody; how many bytes it took.
    pub fn write(&mut self, tun: Option<&Tun>) -> u64 {
        let taken = tun.map_or(0, |tun| self.arena.write(tun));
        self.arena.clear();
        taken
    }
}

impl Arena {
    fn take(&mut self, train: Train<'_>, mut open: impl FnMut(&[u8], &mut [u8]) -> usize) {
        for datagram in train.datagrams() {
            let begin = self.filled;
            let length = open(datagram, &mut self.buffer[begin..]);
            if length > 0 {
                self.filled += length;
                self.coalescer.push(&mut self.buffer, begin..begin + length);
            }
        }
    }

    fn write(&mut self, tun: &Tun) -> u64 {
        self.coalescer.finish(&mut self.buffer);
        let mut taken = 0;
        for write in self.coalescer.writes() {
            if tun.write(&write, &self.buffer).is_ok() {
                taken += write.bytes as u64;
            }
        }
        taken
    }

    fn clear(&mut self) {
        self.coalescer.clear();
        self.filled = 0;
    }
}
