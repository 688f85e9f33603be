//! Three TUN devices in a network namespace of the calling thread's own: what is given to the first is routed out by
//! one of the others.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::Command;
use std::time::{Duration, Instant};

use byway::tunnel::packet::virtio;
use byway::tunnel::tun::Tun;
use byway_lab::sample::{Family, Sample};
use nix::libc;
use nix::sched::{CloneFlags, unshare};

/// Long enough that only something broken misses it.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) from: Tun,
    /// Takes everything whole.
    pub(crate) whole: Out,
    /// Takes nothing but single packets, finished.
    pub(crate) cut: Out,
}

pub(crate) struct Out(Tun);

impl World {
    pub(crate) fn new() -> World {
        unshare(CloneFlags::CLONE_NEWNET).expect("run as root: a network namespace is needed");
        let open = |name| Tun::open(name).expect("a TUN device");
        let world = World { from: open("from"), whole: Out(open("whole")), cut: Out(open("cut")) };
        assert!(
            world.from.offloads().uso,
            "the kernel is older than 6.2: it cannot cut UDP for a TUN device"
        );
        take_offloads(&world.cut.0);
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("the namespace is ours");
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").expect("the namespace is ours");
        for device in ["from", "whole", "cut"] {
            ip(&format!("link set {device} up"));
        }
        ip("route add 198.51.100.0/24 dev from");
        ip("route add 2001:db8:7::/64 dev from");
        world
    }

    /// A packet or super-packet behind its virtio header.
    pub(crate) fn give(&self, framed: &[u8]) {
        let length = nix::unistd::write(&self.from, framed).expect("the kernel takes it");
        assert_eq!(length, framed.len());
    }
}

impl Out {
    /// The next packet of the sample's sender: what a kernel says of its own is passed over.
    pub(crate) fn next_from(&self, sample: &Sample) -> Vec<u8> {
        let source = match sample.family {
            Family::V4 => 12..16,
            Family::V6 => 8..24,
        };
        let wanted = &sample.bytes()[source.clone()];
        self.next_where(|packet| packet.get(source.clone()) == Some(wanted))
    }

    /// The next TCP or UDP packet.
    pub(crate) fn next(&self) -> Vec<u8> {
        self.next_where(|packet| match packet[0] >> 4 {
            4 => matches!(packet[9], 6 | 17),
            _ => matches!(packet[6], 6 | 17),
        })
    }

    fn next_where(&self, is_wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut buffer = vec![0; 1 << 17];
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "nothing came out");
            match self.0.read(&mut buffer).expect("the device is there") {
                Some(length) if is_wanted(&buffer[virtio::LENGTH..length]) => {
                    return buffer[..length].to_vec();
                }
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

pub(crate) fn route_out_by(device: &str) {
    ip(&format!("route replace 203.0.113.0/24 dev {device}"));
    ip(&format!("route replace 2001:db8:9::/64 dev {device}"));
}

/// As if nobody had ever asked for any.
#[expect(unsafe_code, reason = "no safe wrapper for the TUN driver's ioctls exists")]
fn take_offloads(tun: &Tun) {
    nix::ioctl_write_int_bad!(tunsetoffload, nix::request_code_write!(b'T', 208, size_of::<libc::c_int>()));
    let tun = tun.as_fd();
    // SAFETY: the descriptor is open as long as it is borrowed; TUNSETOFFLOAD takes a number.
    unsafe { tunsetoffload(tun.as_raw_fd(), 0) }.expect("less is always possible");
}

/// In the namespace of the calling thread.
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("install iproute2");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {complaint}");
}
