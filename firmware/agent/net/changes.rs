//! Tells that something changed in the kernel, not what: whoever hears it looks again. Remembers who it was, for
//! when the look finds that somebody else changed what is ours.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel's enums are open, and only a few of their variants are ours"
)]

use std::fmt;
use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result};
use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rtnetlink::sys::{AsyncSocket as _, AsyncSocketExt as _, TokioSocket};

use super::generation::{self, Generation};
use super::{routes, rules};

/// `NFNLGRP_NFTABLES` (linux/netfilter/nfnetlink.h)
const NFTABLES_GROUP: u32 = 7;

/// What comes within this time after the first notification counts as the same change: one `ip link set down` takes
/// addresses and routes with it.
const SETTLING: Duration = Duration::from_millis(50);

/// For what the kernel tells of a whole rule set of ours: who changes it right behind us is told after that, and would be
/// lost with what finds no room (`SO_RCVBUFFORCE`, socket(7)).
const ROOM: usize = 4 << 20;

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
    /// The netlink port from which our own changes come.
    own_port: u32,
    /// Heard, but not told yet.
    heard: bool,
    /// The last transaction of rule sets, ours included.
    generation: Option<Generation>,
    /// Who else changed a rule or a route of ours since we last asked.
    stranger: Option<String>,
}

impl Changes {
    /// Hears of what happens from now on, in the calling thread's network namespace. `own_port` is
    /// [`Net::port`](super::Net::port).
    pub fn open(own_port: u32) -> Result<Self> {
        let routing = subscribe(NETLINK_ROUTE, &WATCHED.map(|group| group as u32));
        let rule_set = subscribe(NETLINK_NETFILTER, &[NFTABLES_GROUP]);
        Ok(Self {
            routing: routing.context("no notifications of links and routes")?,
            rule_set: rule_set.context("no notifications of rule sets")?,
            own_port,
            heard: false,
            generation: None,
            stranger: None,
        })
    }

    /// Returns when something changed, our own doing included. A change is not lost if this is dropped early.
    pub async fn next(&mut self) -> Result<()> {
        if !self.heard {
            tokio::select! {
                heard = self.routing.recv_from_full() => self.learn_routing(heard.map(|(bytes, _)| bytes))?,
                heard = self.rule_set.recv_from_full() => self.learn_rule_set(heard.map(|(bytes, _)| bytes))?,
            };
            self.heard = true;
        }
        tokio::time::sleep(SETTLING).await;
        self.drain()?;
        self.heard = false;
        Ok(())
    }

    /// [`Changes::next`] returns even if there is none, as soon as what is going on has settled.
    pub const fn suppose_one(&mut self) {
        self.heard = true;
    }

    /// Who changed the rule set after the generation `ours`, or a rule or a route of ours since this was last
    /// asked; nobody where the kernel does not tell.
    pub fn strangers(&mut self, ours: Option<u32>) -> Result<Vec<String>> {
        self.drain()?;
        let newer =
            self.generation.take().filter(|generation| ours.is_none_or(|ours| generation.number > ours));
        Ok(newer.and_then(|generation| generation.program).into_iter().chain(self.stranger.take()).collect())
    }

    fn drain(&mut self) -> Result<()> {
        while let heard = waiting(&self.routing)
            && self.learn_routing(heard)?
        {}
        while let heard = waiting(&self.rule_set)
            && self.learn_rule_set(heard)?
        {}
        Ok(())
    }

    /// Whether there may be another notification behind this one.
    fn learn_rule_set(&mut self, heard: io::Result<Vec<u8>>) -> Result<bool> {
        self.generation = heard.as_deref().ok().and_then(generation::told).or_else(|| self.generation.take());
        more(heard.map(drop))
    }

    fn learn_routing(&mut self, heard: io::Result<Vec<u8>>) -> Result<bool> {
        if let Ok(bytes) = &heard
            && let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes)
            && let NetlinkPayload::InnerMessage(change) = message.payload
            && is_about_ours(&change)
        {
            let port = message.header.port_number;
            // The kernel's own port is 0.
            self.stranger =
                (port != 0 && port != self.own_port).then(|| program(port)).or(self.stranger.take());
        }
        more(heard.map(drop))
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("heard", &self.heard).finish_non_exhaustive()
    }
}

fn subscribe(protocol: isize, groups: &[u32]) -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(protocol)?;
    setsockopt(socket.socket_ref(), RcvBufForce, &ROOM)?;
    socket.socket_mut().bind_auto()?;
    groups.iter().try_for_each(|group| socket.socket_ref().add_membership(*group))?;
    Ok(socket)
}

fn waiting(socket: &TokioSocket) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(8192);
    socket.socket_ref().recv(&mut bytes, 0).map(|_| bytes)
}

fn is_about_ours(change: &RouteNetlinkMessage) -> bool {
    match change {
        RouteNetlinkMessage::NewRule(rule) | RouteNetlinkMessage::DelRule(rule) => rules::is_ours(rule),
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => routes::is_ours(route),
        _ => false,
    }
}

/// A program's first socket has its process's number for a port; its others have one beyond all processes.
fn program(port: u32) -> String {
    if i32::try_from(port).is_err() {
        return "a program that the kernel does not tell".to_owned();
    }
    match std::fs::read_to_string(format!("/proc/{port}/comm")) {
        Ok(name) => format!("{} (pid {port})", name.trim_end()),
        Err(_) => format!("a program that has ended (pid {port})"),
    }
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
