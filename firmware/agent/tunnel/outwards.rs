//! The way of packets from the TUN device to the relay: a few reads, each a packet or a super-packet; cut and sealed
//! one after the other; sent in trains. Who seals is the caller's affair, so that the benchmark can measure this way
//! without the cipher.

use std::io;
use std::ops::Range;

use super::packet::segment::Segments;
use super::session::CONTROL_ROOM;
use super::train::{Train, Trains};
use super::tun::Tun;

/// No read brings more: a super-packet of 65,535 bytes and its virtio header.
const LONGEST_READ: usize = 65_545;
/// For one super-packet and some more, or for many small packets.
const READ_ROOM: usize = 128 << 10;
/// The most reads before the first of them is sent.
const MOST_READS: usize = 128;
/// The sealed packets of all reads, unless they are very small.
const TRAIN_ROOM: usize = 192 << 10;

/// The buffers of this way.
#[derive(Debug)]
pub struct Outwards {
    buffer: Box<[u8]>,
    reads: Vec<Range<usize>>,
    trains: Trains,
}

impl Default for Outwards {
    fn default() -> Outwards {
        Outwards {
            buffer: vec![0; READ_ROOM].into(),
            reads: Vec::with_capacity(MOST_READS),
            trains: Trains::with_room(TRAIN_ROOM),
        }
    }
}

impl Outwards {
    /// Takes what waits, as far as there is room; whether there was anything. An error means that the device is gone.
    pub fn read(&mut self, tun: &Tun) -> io::Result<bool> {
        self.reads.clear();
        let mut filled = 0;
        while self.reads.len() < MOST_READS && self.buffer.len() - filled >= LONGEST_READ {
            let Some(length) = tun.read(&mut self.buffer[filled..])? else { break };
            self.reads.push(filled..filled + length);
            filled += length;
        }
        Ok(!self.reads.is_empty())
    }

    /// Gives each packet to `seal`, which writes a datagram into the room beside it and returns its length, 0 for
    /// none. What is sealed lies in [`Outwards::trains`] afterwards; where it is too much, `send` takes some of it.
    pub fn seal(&mut self, mut seal: impl FnMut(&[u8], &mut [u8]) -> usize, mut send: impl FnMut(Train<'_>)) {
        self.trains.clear();
        for read in self.reads.drain(..) {
            let mut segments = match Segments::of(&mut self.buffer[read]) {
                Ok(segments) => segments,
                Err(error) => {
                    tracing::debug!(%error, "a packet is dropped");
                    continue;
                }
            };
            while let Some(packet) = segments.next() {
                if self.trains.room().len() < packet.len() + CONTROL_ROOM {
                    self.trains.trains().for_each(&mut send);
                    self.trains.clear();
                }
                let length = seal(packet, self.trains.room());
                self.trains.push(length);
            }
        }
    }

    pub fn trains(&self) -> &Trains {
        &self.trains
    }
}
