//! Makes the kernel forget tracked flows by their mark, through ctnetlink (`linux/netfilter/nfnetlink_conntrack.h`):
//! a flush with a filter, so nothing is dumped and the flows of the open door stand untouched.

use anyhow::{Context as _, Result, bail};
use byway_core::Epoch;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE`
const DELETE: u16 = 1 << 8 | 2;
/// `NLM_F_REQUEST | NLM_F_ACK`
const REQUEST_AND_ACK: u16 = 1 | 4;
const NLMSG_ERROR: u16 = 2;
const CTA_MARK: u16 = 8;
const CTA_MARK_MASK: u16 = 21;

/// Forgets the flows of every epoch before `epoch`, not those without a stamp. Blocks while the kernel walks its
/// table, once for each filter.
pub(super) fn forget_older(epoch: Epoch) -> Result<()> {
    let mut socket = Socket::new(NETLINK_NETFILTER).context("no netlink socket to connection tracking")?;
    socket.bind_auto().context("no netlink socket to connection tracking")?;
    for (mark, bits) in epoch.older() {
        forget(&socket, mark, bits)
            .with_context(|| format!("flows marked {mark:#x}/{bits:#x} are not forgotten"))?;
    }
    Ok(())
}

fn forget(socket: &Socket, mark: u32, bits: u32) -> Result<()> {
    socket.send_to(&delete_message(mark, bits), &SocketAddr::new(0, 0), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    match outcome(&answer) {
        Some(0) => Ok(()),
        Some(code) => Err(std::io::Error::from_raw_os_error(-code).into()),
        None => bail!("the kernel's answer is not understood"),
    }
}

fn delete_message(mark: u32, bits: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(36);
    message.extend(36u32.to_ne_bytes());
    message.extend(DELETE.to_ne_bytes());
    message.extend(REQUEST_AND_ACK.to_ne_bytes());
    message.extend([0; 8]); // sequence number and port: one request at a time
    message.extend([0; 4]); // nfgenmsg: both families, version 0
    for (kind, value) in [(CTA_MARK, mark), (CTA_MARK_MASK, bits)] {
        message.extend(8u16.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(value.to_be_bytes());
    }
    message
}

/// 0 or a negative error number, out of `struct nlmsghdr` and `struct nlmsgerr`.
fn outcome(answer: &[u8]) -> Option<i32> {
    let kind = answer.get(4..6)?.try_into().ok().map(u16::from_ne_bytes)?;
    let code = answer.get(16..20)?.try_into().ok().map(i32::from_ne_bytes)?;
    (kind == NLMSG_ERROR).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_never_left_out_because_that_would_flush_all() {
        let message = delete_message(0x1234, 0xffff_fff0);
        assert_eq!(message.len(), 36);
        assert_eq!(message[24..28], 0x1234u32.to_be_bytes());
        assert_eq!(message[32..36], 0xffff_fff0u32.to_be_bytes());
    }

    #[test]
    fn a_short_answer_is_not_a_success() {
        assert_eq!(outcome(&[0; 10]), None);
    }
}
