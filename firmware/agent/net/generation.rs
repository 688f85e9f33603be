//! The generation of the kernel's rule sets: it grows with every transaction in this network namespace, whoever makes
//! it, and tells by two small messages what a listing tells by megabytes (`linux/netfilter/nf_tables.h`).

use anyhow::{Context as _, Result};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN`
const NEW: u16 = 10 << 8 | 15;
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN`
const GET: u16 = 10 << 8 | 16;
const NLM_F_REQUEST: u16 = 1;
/// `struct nlmsghdr` and `struct nfgenmsg`
const HEADERS: usize = 16 + 4;
/// `NFTA_GEN_*`
const ID: u16 = 1;
const PROC_PID: u16 = 2;
const PROC_NAME: u16 = 3;

/// One transaction, and the program that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    pub(super) number: u32,
    /// As in `nft (pid 123)`.
    pub(super) program: Option<String>,
}

/// The generation at this moment, in the calling thread's network namespace.
pub(super) fn now() -> Result<u32> {
    let ask = || -> Result<Generation> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.send_to(&question(), &SocketAddr::new(0, 0), 0)?;
        let (answer, _) = socket.recv_from_full()?;
        told(&answer).context("the kernel's answer is not understood")
    };
    ask().map(|generation| generation.number).context("the generation of the rule sets is not known")
}

/// The last generation that a notification tells of; none where it tells of something else.
pub(super) fn told(messages: &[u8]) -> Option<Generation> {
    let mut rest = messages;
    let mut last = None;
    while let Some(length) = rest.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize) {
        let Some(message) = rest.get(..length).filter(|message| message.len() >= HEADERS) else { break };
        if message[4..6] == NEW.to_ne_bytes() {
            last = generation(&message[HEADERS..]).or(last);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    last
}

fn question() -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADERS);
    message.extend(20u32.to_ne_bytes());
    message.extend(GET.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 12]); // sequence number, port, nfgenmsg: one question at a time
    message
}

fn generation(mut attributes: &[u8]) -> Option<Generation> {
    let (mut number, mut pid, mut name) = (None, None, None);
    while let Some((header, _)) = attributes.split_first_chunk::<4>() {
        let [a, b, c, d] = *header;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = attributes.get(4..length)?;
        let big_endian = || value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        match u16::from_ne_bytes([c, d]) {
            ID => number = big_endian(),
            PROC_PID => pid = big_endian(),
            PROC_NAME => name = Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()),
            _ => {}
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    let program = name.zip(pid).map(|(name, pid)| format!("{name} (pid {pid})"));
    Some(Generation { number: number?, program })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![0; 4];
        for (kind, value) in attributes {
            body.extend(u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    }

    #[test]
    fn the_last_transaction_and_its_program_are_told() {
        let mut datagram = message(NEW, &[(ID, &7u32.to_be_bytes())]);
        datagram.extend(message(10 << 8 | 6, &[(1, b"a rule")]));
        let by = [(ID, &8u32.to_be_bytes()[..]), (PROC_PID, &99u32.to_be_bytes()), (PROC_NAME, b"ufw\0")];
        datagram.extend(message(NEW, &by));
        let program = Some(String::from("ufw (pid 99)"));
        assert_eq!(told(&datagram), Some(Generation { number: 8, program }));
    }

    #[test]
    fn what_is_cut_off_or_of_another_kind_tells_nothing() {
        let whole = message(NEW, &[(ID, &7u32.to_be_bytes())]);
        for length in 0..whole.len() {
            assert_eq!(told(&whole[..length]), None, "of {length} bytes");
        }
        assert_eq!(told(&message(10 << 8 | 6, &[(ID, &7u32.to_be_bytes())])), None);
    }
}
