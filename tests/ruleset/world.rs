//! The box in a network namespace: its three interfaces, whose other ends the test holds, its tailnet as tailscaled
//! would have made it, and the programs that listen and speak on it.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use byway::net::Net;
use byway_core::{Facts, Household, Posture, Uplink};
use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};

use crate::names::{BOX4, BOX6};
use crate::namespace::{block_on, run};
use crate::sentinel::Sentinel;
use crate::train::train;
use crate::wire::{Kind, Wire};
use crate::{read, write};

pub(crate) const HOUSE_HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const BOX_HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Every machine of the house that is none of its routers.
const MEMBER_HARDWARE: [u8; 6] = [2, 0, 0, 0, 0, 3];
/// A service of the box, tailscaled, the tunnel's socket, the stub, and the clients of both kinds of DHCP.
const PORTS: [u16; 6] = [7777, 41641, 41642, 41653, 68, 546];
/// Packets that wait for the test to read them; more are lost.
const QUEUE: usize = 4000;
#[derive(Debug)]
pub(crate) struct World {
    wires: Vec<(&'static str, Wire, Sentinel)>,
    services: Vec<(u16, UdpSocket)>,
    /// Raw sockets, which hear every ICMP message and TCP segment that comes in: the protocol's name, how long a
    /// header stands before it, the socket, of which only the reading is a UDP socket's.
    raw: [(&'static str, usize, UdpSocket); 4],
    round: u8,
    /// What is written to an interface is dealt with when the call returns; what the box says to itself nearly so.
    pub(crate) patience: Duration,
}

impl World {
    /// In the calling thread's network namespace, sealed.
    pub(crate) fn raise(facts: &Facts) -> Result<Self> {
        quieten();
        let wire = |name, kind| Wire::new(name, kind).with_context(|| format!("no interface {name}"));
        let mut wires = Vec::from([
            ("tailscale0", wire("tailscale0", Kind::Tun)?),
            ("wg0", wire("wg0", Kind::Tun)?),
            ("eth0", wire("eth0", Kind::Tap)?),
        ]);
        if facts.household_apart().is_some() {
            wires.push(("eth1", wire("eth1", Kind::Tap)?));
        }
        run(&format!("ip link set lo up
            echo 1 | tee /proc/sys/net/ipv6/conf/wg0/addr_gen_mode /proc/sys/net/ipv6/conf/tailscale0/addr_gen_mode
            ip link set wg0 txqueuelen {QUEUE} up
            ip link set tailscale0 mtu 1280 txqueuelen {QUEUE} up"));
        if facts.tunnel.is_some() {
            raise_tailnet();
        }
        plug_in("eth0");
        if let Some(uplink) = &facts.uplink {
            configure(uplink);
        }
        if let Some(household) = facts.household_apart() {
            plug_in("eth1");
            number("eth1", &household.addresses);
        }
        let sealed = Posture::sealed(facts.clone());
        block_on(async { Net::open().await?.apply(&sealed).await.context("the box is not sealed") })?;
        let listen = |port| Ok((port, listen(port).with_context(|| format!("port {port}"))?));
        let watched = |(name, wire)| Sentinel::new(name).map(|sentinel| (name, wire, sentinel));
        Ok(Self {
            wires: wires.into_iter().map(watched).collect::<Result<_>>()?,
            services: PORTS.into_iter().map(listen).collect::<Result<_>>()?,
            raw: [
                ("icmp", 20, raw(Domain::IPV4, Protocol::ICMPV4)?.into()),
                ("icmp", 0, raw(Domain::IPV6, Protocol::ICMPV6)?.into()),
                ("tcp", 20, raw(Domain::IPV4, Protocol::TCP)?.into()),
                ("tcp", 0, raw(Domain::IPV6, Protocol::TCP)?.into()),
            ],
            round: 0,
            patience: Duration::from_millis(500),
        })
    }

    /// How often it was played in.
    pub(crate) fn next_round(&mut self) -> u8 {
        self.round = self.round.wrapping_add(1);
        self.round
    }

    /// A packet arrives by an interface. `lan` is `eth0` too, where a machine of the house has sent it and no router.
    pub(crate) fn put(&self, interface: &str, words: &[&str]) -> Result<()> {
        let (interface, sender) = match interface {
            "lan" => ("eth0", MEMBER_HARDWARE),
            "eth1" => ("eth1", MEMBER_HARDWARE),
            other => (other, HOUSE_HARDWARE),
        };
        let wire = self.wire(interface)?;
        if let ["arp", "who-has", wanted, "tell", teller] = words {
            return put_frame(wire, sender, 0x0806, &write::arp_who_has(wanted, teller, sender)?);
        }
        if let ["train", count, words @ ..] = words {
            let (offload, packet) = train(words, count)?;
            return wire.put_many(offload, &packet).context("the interface takes no train");
        }
        for packet in write::packets(words)? {
            if interface.starts_with("eth") {
                let protocol = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
                put_frame(wire, sender, protocol, &packet)?;
            } else {
                wire.put(&packet).context("the interface takes no packet")?;
            }
        }
        Ok(())
    }

    fn wire(&self, interface: &str) -> Result<&Wire> {
        let found = self.wires.iter().find(|(name, ..)| *name == interface);
        Ok(&found.with_context(|| format!("no interface {interface}"))?.1)
    }

    /// Everything that the box has sent by each interface, and what its programs have heard, since the last call.
    pub(crate) fn events(&self) -> Result<Vec<String>> {
        let mut events = Vec::new();
        for (name, wire, sentinel) in &self.wires {
            for bytes in sentinel.everything_before(wire)? {
                let line = if name.starts_with("eth") { read::frame(&bytes) } else { read::packet(&bytes) };
                events.extend(line.map(|line| format!("out {name} {line}")));
            }
        }
        let mut buffer = [0; 4096];
        for (port, socket) in &self.services {
            while let Some((_, from)) = heard(socket.recv_from(&mut buffer))? {
                events.push(format!("hears {port} from {}", canonical(from)));
            }
        }
        for (protocol, header, socket) in &self.raw {
            while let Some((_, from)) = heard(socket.recv_from(&mut buffer))? {
                // The type of ICMP; the flags of TCP.
                let kind = buffer[header + if *protocol == "tcp" { 13 } else { 0 }];
                events.push(format!("hears {protocol} {kind} from {}", from.ip()));
            }
        }
        Ok(events)
    }

    /// As [`World::events`], and waits a moment until there is `enough`.
    pub(crate) fn events_until(&self, enough: impl Fn(&[String]) -> bool) -> Result<Vec<String>> {
        let deadline = Instant::now() + self.patience;
        let mut events = self.events()?;
        while !enough(&events) {
            // What came while this had no processor is there, and is read once more.
            let is_last = Instant::now() >= deadline;
            std::thread::yield_now();
            events.extend(self.events()?);
            if is_last {
                break;
            }
        }
        Ok(events)
    }
}

fn put_frame(wire: &Wire, sender: [u8; 6], protocol: u16, payload: &[u8]) -> Result<()> {
    let header = [BOX_HARDWARE.as_slice(), &sender, &protocol.to_be_bytes()].concat();
    wire.put(&[header.as_slice(), payload].concat()).context("the interface takes no frame")
}

/// The kernel does nothing by itself, and answers without counting.
fn quieten() {
    run("cd /proc/sys/net
        echo 0 | tee ipv6/conf/all/accept_dad ipv6/conf/default/accept_dad \\
            ipv6/conf/default/router_solicitations
        echo 100000 | tee ipv4/icmp_msgs_per_sec ipv4/icmp_msgs_burst
        echo 1 >ipv6/conf/default/mldv2_unsolicited_report_interval");
}

/// As tailscaled does (`wgengine/router/osrouter`).
fn raise_tailnet() {
    let addresses =
        format!("ip addr add {BOX4}/32 dev tailscale0; ip addr add {BOX6}/128 dev tailscale0 nodad");
    let rules = ["-4", "-6"].map(|family| {
        format!(
            "ip {family} rule add pref 5210 fwmark 0x80000/0xff0000 lookup main
            ip {family} rule add pref 5230 fwmark 0x80000/0xff0000 lookup default
            ip {family} rule add pref 5250 fwmark 0x80000/0xff0000 unreachable
            ip {family} rule add pref 5270 lookup 52"
        )
    });
    run(&format!(
        "{addresses}
        ip route add 100.64.0.0/16 dev tailscale0 table 52
        ip -6 route add fd7a:115c:a1e0::/48 dev tailscale0 table 52
        {}",
        rules.join("\n")
    ));
}

fn plug_in(device: &str) {
    // An address that was asked for is asked for once, and a known one is not asked for again.
    run(&format!(
        "cd /proc/sys/net
        echo 3600 | tee ipv4/neigh/{device}/delay_first_probe_time ipv6/neigh/{device}/delay_first_probe_time
        echo 3600000 | tee ipv4/neigh/{device}/retrans_time_ms ipv6/neigh/{device}/retrans_time_ms
        ip link set {device} address {} txqueuelen {QUEUE} up",
        hardware(BOX_HARDWARE)
    ));
}

fn number(device: &str, addresses: &[IpNet]) {
    for address in addresses {
        let nodad = if address.addr().is_ipv6() { "nodad" } else { "" };
        run(&format!("ip addr add {address} dev {device} {nodad}"));
    }
}

/// Members need not be asked for: what the box says to them is all that it says.
pub(crate) fn introduce(members: impl Iterator<Item = IpAddr>, household: &Household) {
    let (device, hardware) = (&household.interface, hardware(MEMBER_HARDWARE));
    let lines: Vec<String> = members
        .map(|member| format!("neigh replace {member} lladdr {hardware} dev {device} nud permanent"))
        .collect();
    run(&format!("printf '{}\\n' | ip -batch -", lines.join("\\n")));
}

fn configure(uplink: &Uplink) {
    number("eth0", &uplink.addresses);
    let gateways = [uplink.gateway4.map(IpAddr::V4), uplink.gateway6.map(IpAddr::V6)];
    for gateway in gateways.into_iter().flatten() {
        run(&format!(
            "ip neigh replace {gateway} lladdr {} dev eth0 nud permanent
            ip route add default via {gateway} dev eth0",
            hardware(HOUSE_HARDWARE)
        ));
    }
}

fn hardware(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

fn listen(port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

pub(crate) fn raw(domain: Domain, protocol: Protocol) -> Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(protocol)).context("no raw socket")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn heard<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(heard) => Ok(Some(heard)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
