//! An interface to the house holds what it should, and nothing of what another network has lent.
#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

use std::time::Duration;

use byway::net::Net;
use byway_core::uplink::{Carrier, ETHERNET_MTU, Lent, Link, Medium};

use crate::namespace::run;
use crate::world::{eventually, in_a_box, read};

const CABLE: (Medium, &str) = (Medium::Cable, "eth0");

fn link(address: &str, gateway: &str, seconds: u64) -> Link {
    let lent = Lent { net: address.parse().unwrap(), lasts: Some(Duration::from_secs(seconds)) };
    Link {
        addresses: Vec::from([lent]),
        gateways: Vec::from([gateway.parse().unwrap()]),
        mtu: ETHERNET_MTU,
        ..Link::default()
    }
}

fn addresses() -> String {
    run("ip -4 -o addr show dev eth0 scope global")
}

/// In seconds.
fn lasts() -> u32 {
    let addresses = addresses();
    let left = addresses.split("valid_lft ").nth(1).and_then(|rest| rest.split("sec").next());
    left.and_then(|seconds| seconds.parse().ok()).unwrap_or_else(|| panic!("no end: {addresses}"))
}

fn defaults() -> String {
    run("ip -4 route show default")
}

#[test]
fn a_lease_takes_the_place_of_the_one_before_with_its_router_and_mtu() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        for (address, gateway, mtu) in
            [("192.168.9.7/24", "192.168.9.1", 1492), ("10.1.2.3/16", "10.1.0.1", ETHERNET_MTU)]
        {
            let lease = Link { mtu, ..link(address, gateway, 3600) };
            net.attach(CABLE, &lease, true).await.unwrap();
            let held = addresses();
            assert!(held.lines().count() == 1 && held.contains(address), "{held}");
            assert_eq!(defaults().trim(), format!("default via {gateway} dev eth0 proto dhcp metric 100"));
            assert!(run("ip link show dev eth0").contains(&format!("mtu {mtu} ")));
        }
        let by_radio = link("10.1.2.3/16", "10.1.0.1", 3600);
        run("ip route flush default");
        net.attach((Medium::Wifi, "eth0"), &by_radio, false).await.unwrap();
        assert!(defaults().contains("metric 600"), "a cable beside it would win");
    });
}

#[test]
fn an_address_lasts_as_long_as_it_was_lent_and_is_lent_anew_only_when_that_is_said() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        net.attach(CABLE, &link("192.168.9.7/24", "192.168.9.1", 100), true).await.unwrap();
        assert!((60..=100).contains(&lasts()), "{}", addresses());
        let longer = link("192.168.9.7/24", "192.168.9.1", 5000);
        net.attach(CABLE, &longer, false).await.unwrap();
        assert!(lasts() <= 100, "{}", addresses());
        net.attach(CABLE, &longer, true).await.unwrap();
        assert!((4960..=5000).contains(&lasts()), "{}", addresses());
    });
}

#[test]
fn an_address_that_is_over_before_its_time_goes_and_no_other() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        let lent = |net: &str| Lent { net: net.parse().unwrap(), lasts: None };
        let both = ["2001:db8:77::100/128", "2001:db8:77::101/128"].map(lent);
        let holding = |addresses: &[Lent]| Link {
            addresses: addresses.to_vec(),
            gateways: Vec::new(),
            ..link("192.168.9.7/24", "192.168.9.1", 3600)
        };
        net.attach(CABLE, &holding(&both), true).await.unwrap();
        net.attach(CABLE, &holding(&both[1..]), false).await.unwrap();
        let held = || run("ip -6 -o addr show dev eth0 scope global");
        assert!(held().contains("2001:db8:77::100/128"), "the kernel keeps it: {}", held());
        net.take_back("eth0", &[both[0].net]).await.unwrap();
        assert!(!held().contains("::100/") && held().contains("::101/"), "{}", held());
    });
}

/// A house of IPv6 alone lends one by DHCPv6, and nobody ever answers for IPv4.
#[test]
fn what_is_lent_is_held_while_the_rest_is_left_as_it_stands() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        net.attach(CABLE, &link("192.168.9.7/24", "192.168.9.1", 3600), true).await.unwrap();
        let by_dhcp6 =
            Link { gateways: Vec::new(), standing: true, ..link("2001:db8:77::100/128", "fe80::1", 3600) };
        net.attach(CABLE, &by_dhcp6, true).await.unwrap();
        let held = run("ip -o addr show dev eth0 scope global");
        assert!(held.contains("192.168.9.7/24") && held.contains("2001:db8:77::100/128"), "{held}");
        assert!(defaults().contains("192.168.9.1"), "{}", defaults());
    });
}

#[test]
fn what_somebody_takes_away_is_put_back() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        let lease = link("192.168.9.7/24", "192.168.9.1", 3600);
        net.attach(CABLE, &lease, true).await.unwrap();
        let before = defaults();
        run("ip addr flush dev eth0 scope global");
        net.attach(CABLE, &lease, false).await.unwrap();
        assert!(addresses().contains("192.168.9.7/24"), "{}", addresses());
        assert_eq!(defaults(), before);
    });
}

#[test]
fn without_a_carrier_nothing_is_left_of_the_house_and_ipv6_begins_anew_with_it() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        let lease = link("192.168.9.7/24", "192.168.9.1", 3600);
        net.attach(CABLE, &lease, true).await.unwrap();
        assert!(net.link_state("eth0").await.unwrap().usable);
        run("ip link set house down");
        eventually("the carrier is gone", || run("ip link show dev eth0").contains("NO-CARRIER"));
        let dark = net.link_state("eth0").await.unwrap();
        assert_eq!((dark.carrier, dark.usable), (Carrier::Down, false));
        net.attach(CABLE, &Link { mtu: ETHERNET_MTU, ..Link::default() }, false).await.unwrap();
        let left = run("ip -o addr show dev eth0; ip route show dev eth0; ip -6 route show dev eth0");
        assert_eq!(left, "");
        run("ip link set house up");
        eventually("the carrier is back", || run("ip link show dev eth0").contains("LOWER_UP"));
        net.attach(CABLE, &lease, true).await.unwrap();
        assert!(run("ip -6 addr show dev eth0").contains("inet6 fe80:"));
    });
}

#[test]
fn an_interface_that_comes_late_is_brought_up() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        let lease = link("192.168.9.7/24", "192.168.9.1", 3600);
        net.attach((Medium::Cable, "eth1"), &lease, true).await.unwrap();
        run("ip link add eth1 type veth peer name house1; ip link set house1 up");
        net.attach((Medium::Cable, "eth1"), &lease, true).await.unwrap();
        eventually("the carrier is there", || run("ip link show dev eth1").contains("LOWER_UP"));
        assert_eq!(read("/proc/sys/net/ipv6/conf/eth1/addr_gen_mode"), "3", "its own number is told nobody");
        net.attach((Medium::Cable, "eth1"), &lease, true).await.unwrap();
        assert!(run("ip -4 -o addr show dev eth1").contains("192.168.9.7/24"));
    });
}

#[test]
fn an_address_that_another_machine_has_is_named() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        run("ip addr add 2001:db8:77::7/64 dev house nodad; ip addr add 2001:db8:77::7/64 dev eth0");
        eventually("the kernel has found it", || run("ip -6 addr show dev eth0").contains("dadfailed"));
        let state = net.link_state("eth0").await.unwrap();
        assert_eq!(state.duplicate, "2001:db8:77::7".parse().ok());
        assert!(state.usable, "the others are not taken");
        assert_eq!(net.link_state("eth9").await.unwrap().carrier, Carrier::Missing);
    });
}
