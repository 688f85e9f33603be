//! The stub's connections to its upstreams, as real sockets feel the rule set: by the open door, or an error at once.
#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use byway::net::Net;
use byway_core::Egress;
use byway_core::posture::Mark;
use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Socket, Type};

use crate::facts::{dual_stack, open};
use crate::namespace::run;
use crate::world::{eventually, house, in_a_box};

/// Nobody who asks for a name waits that long; without an error TCP tries for minutes.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn a_connection_by_another_door_ends_at_once_and_none_begins() {
    in_a_box(async || {
        let (house, end) = house();
        run(&format!("ip link set house netns {house}"));
        let mut net = Net::open().await.unwrap();
        for (address, epoch) in ["192.168.77.1:853", "[2001:db8:77::1]:853"].into_iter().zip([10, 20]) {
            let upstream: SocketAddr = address.parse().unwrap();
            net.apply(&open(Egress::Residential, dual_stack(), epoch)).await.unwrap();
            listen(house, upstream);
            let mut connection = connect(upstream).unwrap();
            connection.write_all(b"a question").unwrap();
            net.apply(&open(Egress::Privacy, dual_stack(), epoch + 1)).await.unwrap();
            _ = connection.write_all(b"another one");
            let told = connection.read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(told, Err(ErrorKind::ConnectionReset), "{upstream}");
            let told = connect(upstream).map_err(|error| error.kind());
            assert_eq!(told.err(), Some(ErrorKind::ConnectionRefused), "{upstream}");
        }
        drop(end);
    });
}

fn connect(upstream: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(upstream), Type::STREAM, None)?;
    socket.set_mark(Mark::STUB.0)?;
    socket.bind_device(Some(b"eth0"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect_timeout(&upstream.into(), PATIENCE)?;
    Ok(socket)
}

/// In the namespace of another thread; takes every connection and says nothing.
fn listen(thread: i32, upstream: SocketAddr) {
    let there = File::open(format!("/proc/self/task/{thread}/ns/net")).unwrap();
    let bound = thread::spawn(move || {
        setns(there, CloneFlags::CLONE_NEWNET).unwrap();
        let mut bound = None;
        eventually("the house has the address", || {
            bound = TcpListener::bind(upstream).ok();
            bound.is_some()
        });
        bound.unwrap()
    });
    let listener = bound.join().unwrap();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
}
