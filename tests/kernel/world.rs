//! A network namespace with what a box has, and the tools that look at it from outside.
#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

use crate::namespace::{block_on, in_a_namespace, run};

/// Runs `test` in a network namespace with a box's interfaces, configured as [`dual_stack`](crate::facts::dual_stack) says.
pub(crate) fn in_a_box(test: impl AsyncFnOnce() + Send + 'static) {
    in_a_namespace(move || {
        run("ip link set lo up
            ip tuntap add dev wg0 mode tun
            ip tuntap add dev tailscale0 mode tun
            ip link set tailscale0 up
            ip link add eth0 type veth peer name house
            ip link set eth0 up
            ip link set house up
            ip addr add 192.168.77.2/24 dev eth0
            ip addr add 2001:db8:77::2/64 dev eth0 nodad
            ip route add 100.72.0.0/24 dev eth0
            ip route add default via 192.168.77.1 dev eth0
            ip -6 route add default via fe80::1 dev eth0");
        block_on(test());
    });
}

/// A second namespace, into which the veth's other end can be moved; its thread's id, and what keeps it.
pub(crate) fn house() -> (i32, mpsc::Sender<()>) {
    let (tell, told) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        tell.send(gettid().as_raw()).unwrap();
        eventually("the link is moved", || run("ip -br link").contains("house"));
        run("ip addr add 192.168.77.1/24 dev house
            ip addr add fe80::1/64 dev house nodad
            ip addr add 2001:db8:77::1/64 dev house nodad
            ip link set house up");
        _ = ended.recv();
    });
    (told.recv().unwrap(), end)
}

/// For what the kernel does by itself.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn rule_set() -> String {
    run("nft -s list table inet byway")
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

pub(crate) fn mark_of(word: &str) -> Option<u32> {
    word.strip_prefix("mark=").map(|mark| mark.parse().unwrap())
}
