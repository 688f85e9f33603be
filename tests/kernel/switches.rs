//! The switches of an interface to the house, and how much the connection table has room for.
#![expect(clippy::unwrap_used, reason = "a test says what it stands on by failing")]

use byway::net::{Net, connections, make_room, switches};
use byway_core::resources::Memory;
use byway_core::uplink::switch::Position;
use byway_core::uplink::{ETHERNET_MTU, Link, Medium};

use crate::namespace::{in_a_namespace, run};
use crate::world::in_a_box;

const CABLE: (Medium, &str) = (Medium::Cable, "eth0");
const FAST: [&str; 2] = ["rx-udp-gro-forwarding: on", "rx-gro-list: off"];
const SLOW: [&str; 2] = ["rx-udp-gro-forwarding: off", "rx-gro-list: on"];

/// As ethtool itself shows them.
fn shown() -> [String; 2] {
    let shown = run("ethtool -k eth0");
    let line =
        |name: &str| shown.lines().map(str::trim).find(|line| line.starts_with(name)).unwrap().to_owned();
    ["rx-udp-gro-forwarding:", "rx-gro-list:"].map(line)
}

#[test]
fn switches_are_turned_whenever_an_interface_appears_and_left_to_whoever_turns_them_later() {
    in_a_box(async || {
        let slow = "ethtool -K eth0 rx-udp-gro-forwarding off rx-gro-list on";
        run(slow);
        assert_eq!(shown(), SLOW);
        let mut net = Net::open().await.unwrap();
        let link = Link { mtu: ETHERNET_MTU, ..Link::default() };
        net.attach(CABLE, &link, true).await.unwrap();
        assert_eq!(shown(), FAST);
        let found: Vec<Position> = switches("eth0").unwrap().into_iter().map(|(_, found)| found).collect();
        assert_eq!(found, [Position::On, Position::Off]);
        run(slow);
        net.attach(CABLE, &link, false).await.unwrap();
        assert_eq!(shown(), SLOW);

        run("ip link del eth0");
        net.attach(CABLE, &link, false).await.unwrap();
        assert!(switches("eth0").is_err());
        run(&format!("ip link add eth0 type veth peer name house; {slow}"));
        net.attach(CABLE, &link, false).await.unwrap();
        assert_eq!(shown(), FAST);
    });
}

#[test]
fn in_a_namespace_the_room_for_connections_is_the_machines_to_give() {
    in_a_namespace(|| {
        let before = connections().unwrap();
        let plenty = Memory { total: u64::MAX, available: 0 };
        assert_eq!(make_room(plenty).unwrap(), before.room);
        assert_eq!(connections().unwrap().room, before.room);
    });
}
