//! Tells that something changed in the kernel, not what: whoever hears it looks again.

use std::fmt;
use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rtnetlink::MulticastGroup;
use rtnetlink::sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rtnetlink::sys::{AsyncSocket as _, AsyncSocketExt as _, TokioSocket};

/// `NFNLGRP_NFTABLES` (linux/netfilter/nfnetlink.h)
const NFTABLES_GROUP: u32 = 7;

/// What comes within this time after the first notification counts as the same change: one `ip link set down` takes
/// addresses and routes with it.
const SETTLING: Duration = Duration::from_millis(50);

/// What is missed only makes the look later: there is one every second besides.
const WATCHED: [MulticastGroup; 10] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv4Netconf,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv6Rule,
    MulticastGroup::Ipv6Netconf,
];

/// The queue is the sockets' own, bounded by the kernel.
pub struct Changes {
    routing: TokioSocket,
    rule_set: TokioSocket,
    /// Heard, but not told yet.
    heard: bool,
}

impl Changes {
    /// Hears of what happens from now on, in the calling thread's network namespace.
    pub fn open() -> Result<Self> {
        let routing = subscribe(NETLINK_ROUTE, &WATCHED.map(|group| group as u32));
        let rule_set = subscribe(NETLINK_NETFILTER, &[NFTABLES_GROUP]);
        Ok(Self {
            routing: routing.context("no notifications of links and routes")?,
            rule_set: rule_set.context("no notifications of rule sets")?,
            heard: false,
        })
    }

    /// Returns when something changed, our own doing included. A change is not lost if this is dropped early.
    pub async fn next(&mut self) -> Result<()> {
        if !self.heard {
            let notification = tokio::select! {
                heard = self.routing.recv_from_full() => heard,
                heard = self.rule_set.recv_from_full() => heard,
            };
            more(notification.map(drop))?;
            self.heard = true;
        }
        tokio::time::sleep(SETTLING).await;
        for socket in [&self.routing, &self.rule_set] {
            while more(socket.socket_ref().recv(&mut Vec::with_capacity(8192), 0).map(drop))? {}
        }
        self.heard = false;
        Ok(())
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("heard", &self.heard).finish_non_exhaustive()
    }
}

fn subscribe(protocol: isize, groups: &[u32]) -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(protocol)?;
    socket.socket_mut().bind_auto()?;
    groups.iter().try_for_each(|group| socket.socket_ref().add_membership(*group))?;
    Ok(socket)
}

/// Whether there may be another notification behind this one.
fn more(read: io::Result<()>) -> Result<bool> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        // There were more than the socket could hold: that is a change too.
        Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(true),
        read => read.map(|()| true).context("no more notifications of the kernel"),
    }
}
