//! TCP, UDP and ICMP inside the tunnel: smoltcp over the session, driven by one future beside those who use it. What a
//! relay sends is bounded here: one datagram at a time comes in, and few packets wait to go out.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::take;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use byway_core::relays::Obstacle;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::AnySocket;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::super::boot_time;
use super::super::machine::random;
use super::super::session::{CONTROL_ROOM, Opened, Session};
use super::uplink::Uplink;

/// The session's clock: boringtun's own device calls its timers as often.
const TICK: Duration = Duration::from_millis(250);
/// Packets that wait to be sealed: more than all that is answered at once.
const MOST_WAITING: usize = 64;
/// A datagram of the kernel's.
const LONGEST: usize = 65_535;
/// The first of the ports that nobody owns (RFC 6335 6).
const FIRST_PORT: u16 = 49_152;
const PORTS: u16 = 16_384;

/// The far end is the relay.
pub(super) struct Stack {
    inner: Mutex<Inner>,
    /// Somebody has used a socket: there may be something to send.
    stirred: Notify,
}

struct Inner {
    session: Session,
    /// What the protocol itself answers; sealed already.
    answers: Vec<Vec<u8>>,
    memory: Memory,
    interface: Interface,
    sockets: SocketSet<'static>,
    addresses: Vec<IpAddr>,
    port: u16,
}

impl Stack {
    pub(super) fn new(session: Session, addresses: &[IpAddr], mtu: u16) -> Self {
        let first = |is_v4| addresses.iter().copied().find(|address| address.is_ipv4() == is_v4);
        let addresses: Vec<IpAddr> = first(true).into_iter().chain(first(false)).collect();
        let mut memory = Memory { mtu, inwards: VecDeque::new(), outwards: Vec::new() };
        let interface = interface(&mut memory, &addresses);
        let sockets = SocketSet::new(Vec::new());
        let port = FIRST_PORT + random_below(PORTS);
        let answers = Vec::new();
        let inner = Inner { session, answers, memory, interface, sockets, addresses, port };
        Self { inner: Mutex::new(inner), stirred: Notify::new() }
    }

    /// From now on no packet is longer, and TCP says so.
    pub(super) fn narrow(&self, mtu: u16) {
        let mut inner = self.inner();
        let Inner { memory, interface: old, addresses, .. } = &mut *inner;
        memory.mtu = mtu;
        *old = interface(memory, addresses);
    }

    /// Whether anything can be sent to addresses of its family.
    pub(super) fn reaches(&self, address: IpAddr) -> bool {
        self.inner().addresses.iter().any(|ours| ours.is_ipv4() == address.is_ipv4())
    }

    /// Adds the socket that `make` has prepared; it lives as long as the stack.
    /// A port is its own.
    pub(super) fn open<T: AnySocket<'static>, E>(
        &self,
        make: impl FnOnce(&mut Interface, u16) -> Result<T, E>,
    ) -> Result<Socket<'_, T>, E> {
        let mut inner = self.inner();
        inner.port = FIRST_PORT + (inner.port - FIRST_PORT + 1) % PORTS;
        let port = inner.port;
        let socket = make(&mut inner.interface, port)?;
        let handle = inner.sockets.add(socket);
        drop(inner);
        self.stirred.notify_one();
        Ok(Socket { stack: self, handle, kind: PhantomData })
    }

    /// Carries packets until the kernel refuses to. To be polled beside whoever uses the sockets.
    pub(super) async fn drive(&self, uplink: &Uplink) -> Obstacle {
        let mut datagram = vec![0; LONGEST];
        let mut room = vec![0; LONGEST + CONTROL_ROOM];
        loop {
            let (datagrams, wait) = self.inner().turn(&mut room);
            for sealed in &datagrams {
                if let Err(unsent) = uplink.send(sealed).await {
                    return unsent;
                }
            }
            tokio::select! {
                length = uplink.receive(&mut datagram) => {
                    self.inner().hear(uplink, &datagram[..length], &mut room);
                }
                () = self.stirred.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Resets what is still open, so that nobody waits for us.
    pub(super) async fn hang_up(&self, uplink: &Uplink) {
        let (datagrams, _) = self.inner().turn(&mut vec![0; LONGEST + CONTROL_ROOM]);
        for sealed in &datagrams {
            // Who does not hear it finds out by itself.
            _ = uplink.send(sealed).await;
        }
    }

    /// Whole at every moment, also when somebody died holding it.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What is to be sent now, sealed, and how long nothing happens by itself.
    fn turn(&mut self, room: &mut [u8]) -> (Vec<Vec<u8>>, Duration) {
        let now = boot_time();
        self.interface.poll(instant(now), &mut self.memory, &mut self.sockets);
        let mut datagrams = take(&mut self.answers);
        datagrams.push(self.session.tick(now, room).to_vec());
        for packet in self.memory.outwards.drain(..) {
            datagrams.push(self.session.seal(now, &packet, room).to_vec());
        }
        datagrams.retain(|datagram| !datagram.is_empty());
        let wait = match self.interface.poll_delay(instant(now), &self.sockets) {
            _ if !self.memory.inwards.is_empty() => Duration::ZERO,
            Some(delay) => TICK.min(delay.into()),
            None => TICK,
        };
        (datagrams, wait)
    }

    fn hear(&mut self, uplink: &Uplink, datagram: &[u8], room: &mut [u8]) {
        match self.session.open(boot_time(), uplink.endpoint(), datagram, room) {
            Opened::Packet(packet) => self.memory.inwards.push_back(packet.to_vec()),
            Opened::Answer(answer) => self.answers.push(answer.to_vec()),
            Opened::Nothing => {}
        }
    }
}

/// A socket inside the tunnel.
pub(super) struct Socket<'a, T> {
    stack: &'a Stack,
    handle: SocketHandle,
    kind: PhantomData<fn() -> T>,
}

impl<T: AnySocket<'static>> Socket<'_, T> {
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        let result = act(self.stack.inner().sockets.get_mut::<T>(self.handle));
        self.stack.stirred.notify_one();
        result
    }
}

/// The device that smoltcp knows: both ends of it are in memory.
struct Memory {
    mtu: u16,
    inwards: VecDeque<Vec<u8>>,
    outwards: Vec<Vec<u8>>,
}

impl Memory {
    fn has_room(&self) -> bool {
        self.outwards.len() < MOST_WAITING
    }
}

struct Received(Vec<u8>);

struct Room<'a>(&'a mut Vec<Vec<u8>>);

impl Device for Memory {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    /// With room for what it is answered with.
    fn receive(&mut self, _now: Instant) -> Option<(Received, Room<'_>)> {
        let packet = if self.has_room() { self.inwards.pop_front()? } else { return None };
        Some((Received(packet), Room(&mut self.outwards)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Room<'_>> {
        self.has_room().then_some(Room(&mut self.outwards))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu.into();
        capabilities
    }
}

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = vec![0; length];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}

/// No packet goes to a router by its address: any will do for the default routes.
fn interface(memory: &mut Memory, addresses: &[IpAddr]) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = random();
    let mut interface = Interface::new(config, memory, instant(boot_time()));
    interface.update_ip_addrs(|ours| {
        for address in addresses {
            let alone = if address.is_ipv4() { 32 } else { 128 };
            ours.push(IpCidr::new((*address).into(), alone)).expect("it has room for one of each family");
        }
    });
    let routes = interface.routes_mut();
    routes.add_default_ipv4_route(Ipv4Addr::LOCALHOST).expect("it has room for one of each family");
    routes.add_default_ipv6_route(Ipv6Addr::LOCALHOST).expect("it has room for one of each family");
    interface
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

fn random_below(bound: u16) -> u16 {
    u16::try_from(random() % u64::from(bound)).expect("it is less than 16 bits hold")
}

#[cfg(test)]
mod tests;
