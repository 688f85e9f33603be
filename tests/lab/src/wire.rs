//! Puts whole packets onto a link, past the sender's own kernel: what nobody's kernel would send by itself.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, sendto, socket};

use crate::namespace::Namespace;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_ARP: u16 = 0x0806;

pub type Mac = [u8; 6];

/// One end of a link: an interface and, on Ethernet, whom the packets are for.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
    index: u32,
    to: Mac,
}

impl Wire {
    /// On a TUN device `to` is nobody's business: zeros will do.
    pub fn open(namespace: &Namespace, interface: &str, to: Mac) -> Result<Self> {
        namespace.enter(|| {
            let index = if_nametoindex(interface).with_context(|| format!("find interface {interface}"))?;
            let flags = SockFlag::SOCK_CLOEXEC;
            let socket = socket(AddressFamily::Packet, SockType::Datagram, flags, None)
                .context("open a packet socket")?;
            Ok(Self { socket, index, to })
        })
    }

    /// An IP packet, its version told by its first byte.
    pub fn send(&self, packet: &[u8]) -> Result<()> {
        let is_v6 = packet.first().is_some_and(|first| first >> 4 == 6);
        self.send_to(self.to, if is_v6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 }, packet)
    }

    pub fn send_arp(&self, to: Mac, packet: &[u8]) -> Result<()> {
        self.send_to(to, ETHERTYPE_ARP, packet)
    }

    fn send_to(&self, to: Mac, ethertype: u16, packet: &[u8]) -> Result<()> {
        let address = link_address(self.index, ethertype, to)?;
        let sent = sendto(self.socket.as_raw_fd(), packet, &address, MsgFlags::empty());
        let sent = sent.with_context(|| format!("send {} bytes", packet.len()))?;
        ensure!(sent == packet.len(), "only {sent} of {} bytes were sent", packet.len());
        Ok(())
    }
}

/// The Ethernet address of an interface.
pub fn mac_of(namespace: &Namespace, interface: &str) -> Result<Mac> {
    let path = format!("/sys/class/net/{interface}/address");
    let text = namespace.run(&["cat", &path])?;
    let octets: Result<Vec<u8>, _> =
        text.trim().split(':').map(|octet| u8::from_str_radix(octet, 16)).collect();
    octets?.try_into().ok().with_context(|| format!("no address in {path}: {text}"))
}

/// One interface as a packet socket knows it. The zero of `to` stands for nobody, as a TUN device has it.
pub(crate) fn link_address(index: u32, ethertype: u16, to: Mac) -> Result<LinkAddr> {
    let mut octets = [0; 8];
    octets[..6].copy_from_slice(&to);
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET)?,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: i32::try_from(index)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: octets,
    };
    #[expect(unsafe_code, reason = "nix builds a LinkAddr only from a raw address")]
    // SAFETY: the pointer is to a whole, initialised sockaddr_ll, whose family says so.
    let address = unsafe { LinkAddr::from_raw((&raw const address).cast(), None) };
    address.context("nix refused an address of family AF_PACKET")
}
