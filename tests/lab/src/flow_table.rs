//! A namespace's connection table: how full it is, and stuffing that fills it to the brim, as established flows would
//! that the kernel does not throw out for new ones (`linux/netfilter/nfnetlink_conntrack.h`).

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendto, socket,
};

use crate::namespace::Namespace;

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW`, and `.._DELETE`
const NEW: u16 = 1 << 8;
const DELETE: u16 = 1 << 8 | 2;
/// `NLM_F_REQUEST`, and `NLM_F_EXCL | NLM_F_CREATE` beside it
const REQUEST: u16 = 1;
const CREATE: u16 = 1 | 0x200 | 0x400;
const NESTED: u16 = 0x8000;
/// `CTA_*`
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const TIMEOUT: u16 = 7;
const MARK: u16 = 8;
const MARK_MASK: u16 = 21;
/// `IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED`
const ASSURED: u32 = 2 | 4 | 8;
/// No epoch of a box comes near it.
const STUFFING: u32 = 0xffff_fff0;
/// Longer than any test.
const SECONDS: u32 = 600;
/// Nobody in the lab lives there (RFC 2544).
const NOBODY: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2)];
const PORTS: u32 = 60_000;
const CACHES: [&str; 8] = [
    "nf_conntrack",
    "nf_conncount_tuple",
    "nf_conncount_rb",
    "kmalloc-64",
    "kmalloc-96",
    "kmalloc-128",
    "kmalloc-192",
    "kmalloc-256",
];
const PAGE: u64 = 4096;

/// Flows that are tracked, and how many can be.
pub fn tracked(namespace: &Namespace) -> Result<(u32, u32)> {
    namespace.enter(|| {
        let read = |name: &str| -> Result<u32> {
            let path = Path::new("/proc/sys/net/netfilter").join(name);
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            text.trim().parse().with_context(|| format!("no number: {text}"))
        };
        Ok((read("nf_conntrack_count")?, read("nf_conntrack_max")?))
    })
}

/// What the machine's kernel has set aside for tracked flows, in bytes: of every namespace, with what each carries along (its
/// NAT, its count), and with whatever else is allocated in such sizes.
pub fn memory() -> Result<u64> {
    let slabs = fs::read_to_string("/proc/slabinfo").context("the kernel does not tell its slabs")?;
    let of_flows = |line: &&str| CACHES.iter().any(|cache| line.split(' ').next() == Some(cache));
    let bytes = slabs.lines().filter(of_flows).map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // `<name> <active> <objects> <object's size> <objects a slab> <pages a slab> : tunables .. : slabdata <active slabs> <slabs>`
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok());
        Some(number(5)? * PAGE * number(14)?)
    });
    bytes.sum::<Option<u64>>().context("/proc/slabinfo is not understood")
}

/// Leaves no room for one more flow. An error: something has ended meanwhile, and made room again.
pub fn stuff(namespace: &Namespace) -> Result<()> {
    let (count, room) = tracked(namespace)?;
    namespace.enter(|| {
        let kernel = kernel()?;
        // Some of what is tracked now ends meanwhile; what is too much is refused.
        for number in 0..room - count / 2 {
            tell(&kernel, &new_flow(number))?;
        }
        Ok(())
    })?;
    let (flows, room) = tracked(namespace)?;
    ensure!(flows >= room, "the table has room: {flows} of {room}");
    Ok(())
}

/// Takes out what [`stuff`] put in, and nothing else.
pub fn unstuff(namespace: &Namespace) -> Result<()> {
    let filter = [attribute(MARK, &STUFFING.to_be_bytes()), attribute(MARK_MASK, &u32::MAX.to_be_bytes())];
    namespace.enter(|| tell(&kernel()?, &message(DELETE, REQUEST, &filter.concat())))
}

fn kernel() -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)
        .context("no netlink socket to connection tracking")
}

/// The kernel has done it when this returns; refusals wait in the socket, and are not asked for.
fn tell(kernel: &OwnedFd, message: &[u8]) -> Result<()> {
    let to = NetlinkAddr::new(0, 0);
    sendto(kernel.as_raw_fd(), message, &to, MsgFlags::empty())
        .context("connection tracking does not listen")?;
    Ok(())
}

fn new_flow(number: u32) -> Vec<u8> {
    let [client, server] = NOBODY;
    let port = |number: u32| u16::try_from(1 + number % PORTS).unwrap_or(1);
    let (from, to) = (port(number), port(number / PORTS));
    let attributes = [
        attribute(ORIGINAL | NESTED, &tuple(client, server, from, to)),
        attribute(REPLY | NESTED, &tuple(server, client, to, from)),
        attribute(STATUS, &ASSURED.to_be_bytes()),
        attribute(TIMEOUT, &SECONDS.to_be_bytes()),
        attribute(MARK, &STUFFING.to_be_bytes()),
    ];
    message(NEW, CREATE, &attributes.concat())
}

/// Of UDP.
fn tuple(source: Ipv4Addr, destination: Ipv4Addr, from: u16, to: u16) -> Vec<u8> {
    let addresses = [attribute(1, &source.octets()), attribute(2, &destination.octets())].concat();
    let ports =
        [attribute(1, &[17]), attribute(2, &from.to_be_bytes()), attribute(3, &to.to_be_bytes())].concat();
    [attribute(1 | NESTED, &addresses), attribute(2 | NESTED, &ports)].concat()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// `struct nlmsghdr`, then `struct nfgenmsg` for IPv4.
fn message(kind: u16, flags: u16, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + attributes.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([2, 0, 0, 0]);
    bytes.extend(attributes);
    bytes
}
