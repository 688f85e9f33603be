//! What the house sees of the box: a machine like any other, whose address is its own, and no router.

use byway::net::Net;
use byway_core::uplink::{Link, Medium};
use byway_core::{Facts, Posture};
use byway_lab::peers::Peers;

use crate::advertised::Dnsmasq;
use crate::facts::dual_stack;
use crate::namespace::run;
use crate::world::{eventually, house, in_a_box};

/// Of a router, and of nobody else (RFC 4291 2.7.1).
const ROUTERS_GROUP: &str = "ff02::2";

/// How an address has the number of its hardware 02:11:22:33:44:55 (RFC 4291 A).
const OWN_NUMBER: &str = ":11:22ff:fe33:4455/";

#[test]
fn the_house_is_not_told_that_here_is_a_router() {
    in_a_box(async || {
        let (house, end) = house();
        run(&format!("ip link set house netns {house}"));
        Net::open().await.unwrap().apply(&Posture::sealed(dual_stack())).await.unwrap();
        assert!(!groups().contains(ROUTERS_GROUP), "{}", groups());
        assert!(!neighbour_of(house).contains("router"), "{}", neighbour_of(house));
        // That would be seen.
        run("sysctl -qw net.ipv6.conf.eth0.forwarding=1");
        run_in(house, "ip -6 neigh flush dev house");
        assert!(groups().contains(ROUTERS_GROUP), "{}", groups());
        eventually("a router is seen", || neighbour_of(house).contains("router"));
        drop(end);
    });
}

fn groups() -> String {
    run("ip -6 maddr show dev eth0")
}

/// As the house knows the box, once it has asked for it.
fn neighbour_of(house: i32) -> String {
    let entry = || run_in(house, "ip -6 neigh show 2001:db8:77::2 dev house");
    eventually("the box answers", || {
        run_in(house, "echo >/dev/udp/2001:db8:77::2/9");
        entry().contains("lladdr")
    });
    entry()
}

#[test]
fn the_hardware_s_number_is_in_no_address() {
    in_a_box(async || {
        let (house, end) = house();
        run(&format!("ip link set house netns {house}"));
        run("ip link set eth0 down; ip link set eth0 address 02:11:22:33:44:55 up");
        let addresses = || run("ip -6 -o addr show dev eth0");
        eventually("the kernel's own way is another", || addresses().contains(OWN_NUMBER));
        run("ip link set eth0 down");
        let mut net = Net::open().await.unwrap();
        net.apply(&Posture::sealed(Facts { uplink: None, ..dual_stack() })).await.unwrap();
        net.attach((Medium::Cable, "eth0"), &Link::default(), false).await.unwrap();
        let dnsmasq = Dnsmasq::start(house, &["--dhcp-range=2001:db8:77::,ra-only,64,1h"]);
        eventually("an address of the house's", || addresses().contains("2001:db8:77:0"));
        assert!(!addresses().contains(OWN_NUMBER), "{}", addresses());
        drop((dnsmasq, end));
    });
}

#[test]
fn what_the_routers_have_said_outlives_the_agent_s_start() {
    in_a_box(async || {
        let (house, end) = house();
        run(&format!("ip link set house netns {house}"));
        run("ip -6 route flush default; sysctl -qw net.ipv6.conf.eth0.router_solicitation_max_interval=1");
        let dnsmasq = Dnsmasq::start(house, &["--dhcp-range=2001:db8:77::,ra-only,64,1h"]);
        let route = || run("ip -6 route show default proto ra dev eth0");
        eventually("the router is known", || !route().is_empty());
        Net::open().await.unwrap().apply(&Posture::sealed(dual_stack())).await.unwrap();
        assert!(!route().is_empty(), "it was forgotten");
        drop((dnsmasq, end));
    });
}

#[test]
fn an_address_that_another_machine_has_is_noticed() {
    in_a_box(async || {
        let (house, end) = house();
        run(&format!("ip link set house netns {house}"));
        Net::open().await.unwrap().apply(&Posture::sealed(dual_stack())).await.unwrap();
        run("ip addr add 2001:db8:77::1/64 dev eth0; ip addr add 2001:db8:77::99/64 dev eth0");
        let addresses = || run("ip -6 -o addr show dev eth0");
        let is_failed = |line: &&str| line.contains("2001:db8:77::1/64") && line.contains("dadfailed");
        eventually("IPv6's is noticed", || addresses().lines().any(|line| is_failed(&line)));
        eventually("a free one is taken", || !addresses().contains("tentative 2001:db8:77::99"));
        let arping = Peers::build(|_| {}).unwrap().applets().join("arping");
        let ask = |address: &str| {
            run(&format!(
                "{} -D -c 1 -w 2 -I eth0 {address} >&2 && echo free || echo taken",
                arping.display()
            ))
        };
        assert_eq!(ask("192.168.77.1").trim(), "taken");
        assert_eq!(ask("192.168.77.99").trim(), "free");
        drop(end);
    });
}

fn run_in(house: i32, command: &str) -> String {
    run(&format!("nsenter --net=/proc/{}/task/{house}/ns/net bash -c '{command}'", std::process::id()))
}
