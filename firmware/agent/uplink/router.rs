//! Hears what routers advertise beside addresses and routes: the kernel keeps the latter itself and hands the rest on,
//! option by option. What an option says is decided in the core.

use std::collections::VecDeque;
use std::fmt;

use anyhow::{Context as _, Result};
use byway_core::uplink::router::{Dhcp, Said};
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NLA_TYPE_MASK, NetlinkBuffer, NlaBuffer, NlasIterator};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket as _, AsyncSocketExt as _, SocketAddr, TokioSocket};

/// `RTM_NEWLINK`, `RTM_GETLINK` and `RTM_NEWNDUSEROPT` (linux/rtnetlink.h)
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_OPTION: u16 = 68;
/// `NLM_F_REQUEST | NLM_F_DUMP` (linux/netlink.h)
const DUMP: u16 = 0x301;
/// `AF_INET6`, as a message's first byte has it.
const INET6: u8 = 10;
/// `struct ifinfomsg` and `struct nduseroptmsg`
const LINK_HEADER: usize = 16;
const OPTION_HEADER: usize = 16;
/// `IFLA_PROTINFO`, and in it `IFLA_INET6_FLAGS` (`linux/if_link.h`)
const OF_PROTOCOL: u16 = 12;
const FLAGS: u16 = 1;
/// `IF_RA_MANAGED` and `IF_RA_OTHERCONF` (`net/if_inet6.h`)
const MANAGED: u32 = 0x40;
const OTHER: u32 = 0x80;

/// What a router of one link has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Of the interface.
    pub index: u32,
    pub said: Said,
}

/// The queue is the socket's own, bounded by the kernel: of a flood it keeps what there is room for.
pub struct RouterOptions {
    socket: TokioSocket,
    waiting: VecDeque<Heard>,
}

impl RouterOptions {
    /// Hears of what is advertised from now on, in the calling thread's network namespace; [`Said::Dhcp`] is told of
    /// every interface as it is already. Of all else the kernel remembers nothing: whoever opens this late hears it when
    /// the routers say it again.
    pub fn open() -> Result<Self> {
        let open = || -> std::io::Result<TokioSocket> {
            let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
            socket.socket_mut().bind_auto()?;
            for group in [MulticastGroup::NdUseropt, MulticastGroup::Ipv6Ifinfo] {
                socket.socket_ref().add_membership(group as u32)?;
            }
            socket.socket_ref().send_to(&every_link(), &SocketAddr::new(0, 0), 0)?;
            Ok(socket)
        };
        Ok(Self { socket: open().context("routers cannot be heard")?, waiting: VecDeque::new() })
    }

    /// The next thing that a router says. None is lost if this is dropped early.
    pub async fn next(&mut self) -> Result<Heard> {
        loop {
            if let Some(heard) = self.waiting.pop_front() {
                return Ok(heard);
            }
            match self.socket.recv_from_full().await {
                Ok((bytes, _)) => self.waiting.extend(heard(&bytes)),
                // There was more than the socket could hold. Routers repeat themselves.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error).context("routers are not heard any more"),
            }
        }
    }
}

impl fmt::Debug for RouterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterOptions").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

/// The question for what the kernel knows of IPv6 on each link.
fn every_link() -> Vec<u8> {
    let mut message = Vec::with_capacity(16 + LINK_HEADER);
    message.extend(32u32.to_ne_bytes());
    message.extend(GET_LINK.to_ne_bytes());
    message.extend(DUMP.to_ne_bytes());
    message.extend([0; 8]); // sequence number, port: one question at a time
    message.push(INET6);
    message.extend([0; LINK_HEADER - 1]);
    message
}

fn heard(mut datagram: &[u8]) -> Vec<Heard> {
    let mut heard = Vec::new();
    while let Ok(message) = NetlinkBuffer::new_checked(datagram) {
        let payload = message.payload();
        heard.extend(match message.message_type() {
            NEW_OPTION => option(payload),
            NEW_LINK => dhcp(payload),
            _ => None,
        });
        let length = message.length() as usize;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    heard
}

fn option(message: &[u8]) -> Option<Heard> {
    let (header, rest) = message.split_first_chunk::<OPTION_HEADER>()?;
    let [INET6, _, length_0, length_1, index @ ..] = header else { return None };
    let option = rest.get(..u16::from_ne_bytes([*length_0, *length_1]).into())?;
    Some(Heard { index: u32::from_ne_bytes(*index.first_chunk()?), said: Said::parse(option)? })
}

fn dhcp(message: &[u8]) -> Option<Heard> {
    let (header, attributes) = message.split_first_chunk::<LINK_HEADER>()?;
    let [INET6, _, _, _, index @ ..] = header else { return None };
    let of_protocol = value(attributes, OF_PROTOCOL)?;
    let flags = u32::from_ne_bytes(*value(of_protocol, FLAGS)?.first_chunk()?);
    let dhcp = match (flags & MANAGED != 0, flags & OTHER != 0) {
        (true, _) => Dhcp::Addresses,
        (false, true) => Dhcp::Others,
        (false, false) => Dhcp::Nothing,
    };
    Some(Heard { index: u32::from_ne_bytes(*index.first_chunk()?), said: Said::Dhcp(dhcp) })
}

/// Of the first attribute of this kind.
fn value(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut found = NlasIterator::new(attributes).map_while(Result::ok);
    let found: NlaBuffer<&[u8]> = found.find(|attribute| attribute.kind() & NLA_TYPE_MASK == kind)?;
    let length = found.value_length();
    found.into_inner().get(4..4 + length)
}

#[cfg(test)]
mod tests {
    use byway_core::uplink::router::Lifetime;

    use super::*;

    #[test]
    fn what_is_cut_off_or_of_another_kind_tells_nothing() {
        let resolver = b"\x19\x03\0\0\xff\xff\xff\xff\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x53";
        let mut option = vec![INET6, 0, 24, 0, 7, 0, 0, 0];
        option.resize(OPTION_HEADER, 0);
        option.extend(resolver);
        let whole = message(NEW_OPTION, &option);
        let said = Said::Resolvers(vec!["2001:db8::53".parse().unwrap()], Lifetime::Forever);
        assert_eq!(heard(&whole), [Heard { index: 7, said }]);
        for length in 0..whole.len() {
            assert_eq!(heard(&whole[..length]), [], "of {length} bytes");
        }
        assert_eq!(heard(&message(NEW_LINK, &option)), []);
        assert_eq!(heard(&[whole.clone(), whole].concat()).len(), 2);
    }

    #[test]
    fn the_flags_of_a_link_say_what_dhcp_is_asked_for() {
        for (flags, expected) in [
            (0, Dhcp::Nothing),
            (OTHER, Dhcp::Others),
            (MANAGED, Dhcp::Addresses),
            (MANAGED | OTHER | 1 << 31, Dhcp::Addresses),
        ] {
            let mut link = vec![INET6, 0, 0, 0, 7, 0, 0, 0];
            link.resize(LINK_HEADER, 0);
            let flags = attribute(FLAGS, &flags.to_ne_bytes());
            link.extend(attribute(4, b"name"));
            link.extend(attribute(OF_PROTOCOL | 0x8000, &flags));
            let told = heard(&message(NEW_LINK, &link));
            assert_eq!(told, [Heard { index: 7, said: Said::Dhcp(expected) }]);
        }
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut attribute = u16::try_from(value.len() + 4).unwrap().to_ne_bytes().to_vec();
        attribute.extend(kind.to_ne_bytes());
        attribute.extend(value);
        attribute
    }
}
