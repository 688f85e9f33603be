//! The switches of an interface as `ethtool -k` shows them, read and turned by ethtool's oldest way (`linux/ethtool.h`): the
//! one by netlink has no crate that can set them. What they should be is said in the core.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd as _;

use byway_core::uplink::switch::{self, Position, SWITCHES, Switch};
use nix::net::if_::if_nametoindex;

const STRINGS: u32 = 0x1b;
const STRING_COUNTS: u32 = 0x37;
const GET: u32 = 0x3a;
const SET: u32 = 0x3b;
/// `ETH_SS_FEATURES`: the set that has the switches' names.
const FEATURES: u32 = 4;
/// `ETH_GSTRING_LEN`, in words.
const NAME: usize = 32 / size_of::<u32>();

/// Those interfaces whose switches were turned since they appeared, by the index that each had.
#[derive(Debug, Default)]
pub(super) struct Turned(BTreeMap<String, u32>);

impl Turned {
    /// Turns them once for each appearance: whoever changes one later has a reason. One that does not turn costs speed alone.
    pub(super) fn keep(&mut self, interface: &str) {
        let Ok(index) = if_nametoindex(interface) else { return };
        if self.0.insert(interface.to_owned(), index) == Some(index) {
            return;
        }
        match turn(interface).and_then(|()| read(interface)) {
            Ok(found) => tracing::info!("{}", switch::told(interface, &found)),
            Err(error) => tracing::info!("{interface}: its switches are left as they are: {error}"),
        }
    }
}

/// How each is at the moment, in the calling thread's network namespace.
pub fn read(interface: &str) -> io::Result<Vec<(Switch, Position)>> {
    let ethtool = Ethtool::of(interface)?;
    let names = ethtool.names()?;
    let blocks = ethtool.features(names.len())?;
    let found = |switch: Switch| (switch, position(&names, &blocks, switch.name));
    Ok(SWITCHES.into_iter().map(found).collect())
}

fn turn(interface: &str) -> io::Result<()> {
    let ethtool = Ethtool::of(interface)?;
    let names = ethtool.names()?;
    let blocks = ethtool.features(names.len())?;
    let mut changes = vec![Change::default(); blocks.len()];
    for switch in SWITCHES {
        let place = places(&names, switch.name)
            .filter(|_| switch.is_to_be_turned(position(&names, &blocks, switch.name)));
        if let Some((block, bit)) = place {
            changes[block].valid |= bit;
            changes[block].requested |= if switch.on { bit } else { 0 };
        }
    }
    if changes.iter().all(|change| change.valid == 0) { Ok(()) } else { ethtool.set(&changes) }
}

/// 32 switches, a bit each (`struct ethtool_get_features_block`).
#[derive(Clone, Copy, Debug)]
struct Block {
    available: u32,
    active: u32,
    never_changed: u32,
}

/// `struct ethtool_set_features_block`
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    valid: u32,
    requested: u32,
}

fn position(names: &[String], blocks: &[Block], name: &str) -> Position {
    let Some((block, bit)) = places(names, name) else { return Position::Unknown };
    let Some(Block { available, active, never_changed }) = blocks.get(block) else {
        return Position::Unknown;
    };
    let on = active & bit != 0;
    if available & bit == 0 || never_changed & bit != 0 {
        Position::Fixed { on }
    } else if on {
        Position::On
    } else {
        Position::Off
    }
}

/// Which block, and which bit of it.
fn places(names: &[String], name: &str) -> Option<(usize, u32)> {
    let index = names.iter().position(|known| known == name)?;
    Some((index / 32, 1 << (index % 32)))
}

/// Whom the calls go to: one interface.
struct Ethtool<'a> {
    socket: UdpSocket,
    interface: &'a str,
}

impl<'a> Ethtool<'a> {
    /// Any socket does; this one is bound to nobody's port.
    fn of(interface: &'a str) -> io::Result<Self> {
        Ok(Self { socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, interface })
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let count = self.count()?;
        let mut words = vec![0; 3 + count as usize * NAME];
        words[..3].copy_from_slice(&[STRINGS, FEATURES, count]);
        self.call(&mut words)?;
        Ok(words[3..].chunks(NAME).map(text).collect())
    }

    fn count(&self) -> io::Result<u32> {
        let [low, high] = halves(1 << FEATURES);
        let mut words = [STRING_COUNTS, 0, low, high, 0];
        self.call(&mut words)?;
        Ok(words[4])
    }

    fn features(&self, count: usize) -> io::Result<Vec<Block>> {
        let blocks = count.div_ceil(32);
        let mut words = vec![0; 2 + blocks * 4];
        words[..2].copy_from_slice(&[GET, u32::try_from(blocks).unwrap_or(u32::MAX)]);
        self.call(&mut words)?;
        let (blocks, _) = words[2..].as_chunks();
        let block = |&[available, _requested, active, never_changed]: &[u32; 4]| Block {
            available,
            active,
            never_changed,
        };
        Ok(blocks.iter().map(block).collect())
    }

    fn set(&self, changes: &[Change]) -> io::Result<()> {
        let mut words = vec![SET, u32::try_from(changes.len()).unwrap_or(u32::MAX)];
        words.extend(changes.iter().flat_map(|change| [change.valid, change.requested]));
        self.call(&mut words)
    }

    fn call(&self, words: &mut [u32]) -> io::Result<()> {
        let mut request = Request { name: [0; libc::IFNAMSIZ], words: words.as_mut_ptr(), rest: [0; 2] };
        let name = self.interface.as_bytes();
        if name.len() >= request.name.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        request.name[..name.len()].copy_from_slice(name);
        #[expect(unsafe_code, reason = "no safe wrapper for ethtool's ioctl exists")]
        // SAFETY: the descriptor is open as long as `self` is borrowed, and `Request` is at least a `struct ifreq`. The kernel
        // reads and writes as many words as the first ones say, which is as many as `words`, borrowed for writing, has; it
        // keeps no pointer.
        unsafe {
            ioctl::ethtool(self.socket.as_raw_fd(), &raw mut request)?;
        }
        Ok(())
    }
}

/// `struct ifreq` with a pointer in its union.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    words: *mut u32,
    rest: [u64; 2],
}

mod ioctl {
    nix::ioctl_readwrite_bad!(ethtool, libc::SIOCETHTOOL, super::Request);
}

/// A number of 64 bits as it lies in memory.
fn halves(number: u64) -> [u32; 2] {
    let bytes = number.to_ne_bytes();
    let (halves, _) = bytes.as_chunks();
    [u32::from_ne_bytes(halves[0]), u32::from_ne_bytes(halves[1])]
}

fn text(words: &[u32]) -> String {
    let bytes = words.iter().flat_map(|word| word.to_ne_bytes());
    let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_room_for_what_the_kernel_copies() {
        assert!(size_of::<Request>() >= size_of::<libc::ifreq>());
    }

    #[test]
    fn each_bit_of_a_block_has_its_meaning() {
        let names: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        let first = Block { available: 0b0111, active: 0b1101, never_changed: 0b0100 };
        let blocks = [first, Block { available: 1 << 7, active: 1 << 7, never_changed: 0 }];
        let found = ["0", "1", "2", "3", "4", "39", "40"].map(|name| position(&names, &blocks, name));
        let [fixed_on, fixed_off] = [true, false].map(|on| Position::Fixed { on });
        assert_eq!(
            found,
            [Position::On, Position::Off, fixed_on, fixed_on, fixed_off, Position::On, Position::Unknown]
        );
    }

    #[test]
    fn the_loopback_is_read_and_a_missing_interface_is_an_error() {
        assert_eq!(read("lo").unwrap().len(), SWITCHES.len());
        assert!(read("no-such-if").is_err() && read("a-name-that-is-too-long").is_err());
    }
}
