//! `byway::net` on the real kernel: each test in a network namespace of its own, without a name. Needs root, `ip`,
//! `nft` and `conntrack`; without them it fails.
//!
//! The namespace is the test thread's, so everything below runs on that thread or on one that it starts.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use byway::net::{ApplyError, Changes, Net, forget, seal_now};
use byway_core::posture::ruleset;
use byway_core::{Egress, Posture};

use crate::facts::{carrier_grade, dual_stack, epoch, open};
use crate::namespace::{load, run};
use crate::postures::{every_posture, flips, v4_only};
use crate::world::{eventually, house, in_a_box, mark_of, read, rule_set};

#[path = "kernel/advertised.rs"]
mod advertised;
#[path = "kernel/attach.rs"]
mod attach;
#[path = "kernel/facts.rs"]
mod facts;
#[path = "kernel/guest.rs"]
mod guest;
#[path = "kernel/namespace.rs"]
mod namespace;
#[path = "kernel/postures.rs"]
mod postures;
#[path = "kernel/switches.rs"]
mod switches;
#[path = "kernel/upstream.rs"]
mod upstream;
#[path = "kernel/world.rs"]
mod world;

#[test]
fn every_posture_is_read_back_as_it_was_applied() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        for posture in every_posture() {
            net.apply(&posture).await.unwrap_or_else(|error| panic!("{posture}: {error}"));
            assert_eq!(net.differences(&posture).await.unwrap(), [""; 0], "{posture}");
        }
        assert_eq!(read("/proc/sys/net/ipv4/ip_forward"), "1");
        assert_eq!(read("/proc/sys/net/ipv6/conf/all/forwarding"), "1");
    });
}

#[test]
fn a_second_agent_finds_what_the_first_one_left_and_changes_nothing() {
    in_a_box(async || {
        let posture = open(Egress::Privacy, dual_stack(), 5);
        Net::open().await.unwrap().apply(&posture).await.unwrap();
        let mut second = Net::open().await.unwrap();
        assert_eq!(second.differences(&posture).await.unwrap(), [""; 0]);
        second.apply(&posture).await.unwrap();
    });
}

/// What is done, and a part of the line that must tell of it.
const TAMPERING: [(&str, &str); 22] = [
    ("nft flush chain inet byway forward", "nft chain forward has 0 rules"),
    ("nft insert rule inet byway forward accept", "nft chain forward has"),
    ("nft add element inet byway door { eth0 }", "nft set door: elem is [\"eth0\",\"wg0\"]"),
    ("nft add element inet byway uplinks { eth9 }", "nft set uplinks"),
    ("nft add chain inet byway forward '{ policy accept; }'", "policy is \"accept\""),
    ("nft add chain inet byway odd", "nft chain odd does not belong there"),
    ("nft delete table inet byway", "the rule set cannot be read: nft refused"),
    ("ip rule del pref 5010", "ip -4 rule pref 5010 iif tailscale0 unreachable is missing"),
    ("ip -6 rule del pref 4995", "ip -6 rule pref 4995"),
    ("ip rule add pref 5009 iif tailscale0 lookup main", "lookup 254 does not belong there"),
    ("ip rule add not from 10.0.0.1 pref 5000 lookup 7001", "of a kind that is not ours does not belong"),
    ("ip route add 192.0.2.0/24 dev eth0 table 7002", "ip -4 route 192.0.2.0/24 table 7002 does not belong"),
    ("ip -6 route add default dev eth0 metric 5 table 7001", "default dev eth0 table 7001 metric 5 does not"),
    ("ip -6 route flush table 7002", "ip -6 route default via fe80::1 dev eth0 table 7002 is missing"),
    (
        "ip route replace default dev wg0 table 7002",
        "default via 192.168.77.1 dev eth0 table 7002 is missing",
    ),
    ("sysctl -qw net.ipv4.ip_forward=0", "sysctl net/ipv4/ip_forward is 0, should be 1"),
    ("sysctl -qw net.ipv4.conf.eth0.rp_filter=1", "sysctl net/ipv4/conf/eth0/rp_filter is 1"),
    ("sysctl -qw net.netfilter.nf_conntrack_tcp_loose=1", "nf_conntrack_tcp_loose is 1, should be 0"),
    ("ip addr del 10.64.0.2/32 dev wg0", "address 10.64.0.2/32 of wg0 is missing"),
    ("ip addr add 10.9.9.9/24 dev wg0", "address 10.9.9.9/24 of wg0 does not belong there"),
    ("ip link set wg0 mtu 1400", "interface wg0 is not up with mtu 1380"),
    ("ip link set wg0 down", "interface wg0 is not up"),
];

#[test]
fn tampering_is_named_and_put_right() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        let posture = open(Egress::Privacy, dual_stack(), 5);
        net.apply(&posture).await.unwrap();
        for (command, expected) in TAMPERING {
            run(command);
            let lines = net.differences(&posture).await.unwrap();
            assert!(lines.iter().any(|line| line.contains(expected)), "after {command}: {lines:?}");
            net.apply(&posture).await.unwrap_or_else(|error| panic!("after {command}: {error}"));
            assert_eq!(net.differences(&posture).await.unwrap(), [""; 0], "after {command}");
        }
    });
}

#[test]
fn a_flip_does_not_trust_a_rule_set_that_was_changed_meanwhile() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        net.apply(&open(Egress::Privacy, dual_stack(), 5)).await.unwrap();
        run("nft insert rule inet byway forward accept");
        let posture = open(Egress::Residential, dual_stack(), 6);
        net.apply(&posture).await.unwrap();
        assert_eq!(net.differences(&posture).await.unwrap(), [""; 0]);
    });
}

#[test]
fn a_flip_leaves_the_same_rule_set_as_a_whole_load() {
    in_a_box(async || {
        for facts in [dual_stack(), v4_only(), carrier_grade()] {
            for (from, to) in flips(&facts) {
                load(&ruleset::whole(&from)).unwrap();
                load(&ruleset::flip(&to)).unwrap();
                let flipped = rule_set();
                load(&ruleset::whole(&to)).unwrap();
                assert_eq!(flipped, rule_set(), "from {from} to {to}");
            }
        }
    });
}

#[test]
fn a_changed_gateway_takes_the_place_of_the_old_one() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        net.apply(&Posture::sealed(dual_stack())).await.unwrap();
        let mut facts = dual_stack();
        let uplink = facts.uplink.as_mut().unwrap();
        uplink.gateway4 = Some(Ipv4Addr::new(192, 168, 77, 254));
        uplink.gateway6 = Some("fe80::254".parse().unwrap());
        net.apply(&Posture::sealed(facts)).await.unwrap();
        let routes = run("ip route show table 7002; ip -6 route show table 7002");
        assert!(routes.contains("192.168.77.254") && routes.contains("fe80::254"), "{routes}");
        assert!(!routes.contains("192.168.77.1 ") && !routes.contains("fe80::1 "), "{routes}");
    });
}

#[test]
fn nothing_is_forwarded_before_everything_stands() {
    in_a_box(async || {
        run("ip link del wg0");
        let mut net = Net::open().await.unwrap();
        let refused = net.apply(&open(Egress::Privacy, dual_stack(), 5)).await;
        assert!(matches!(refused, Err(ApplyError::NoTunnel)), "{refused:?}");
        assert_eq!(read("/proc/sys/net/ipv4/ip_forward"), "0");
        assert_eq!(read("/proc/sys/net/ipv6/conf/all/forwarding"), "0");
    });
}

#[test]
fn forwarding_is_stopped_in_both_families() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        net.apply(&Posture::default()).await.unwrap();
        net.stop_forwarding().unwrap();
        assert_eq!(read("/proc/sys/net/ipv4/ip_forward"), "0");
        assert_eq!(read("/proc/sys/net/ipv6/conf/all/forwarding"), "0");
    });
}

/// Not the whole rule set anew: that would forget what was counted.
#[test]
fn another_relay_is_one_transaction_beside_what_stands() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        net.apply(&open(Egress::Privacy, dual_stack(), 5)).await.unwrap();
        load("add element inet byway sent4 { 100.64.0.9 counter packets 7 bytes 700 }").unwrap();
        let mut facts = dual_stack();
        facts.tunnel.as_mut().unwrap().relay = "[2001:db8:51::162]:443".parse().unwrap();
        net.apply(&open(Egress::Privacy, facts, 6)).await.unwrap();
        let rules = rule_set();
        assert!(rules.contains("100.64.0.9") && rules.contains("2001:db8:51::162 . 443"), "{rules}");
    });
}

#[test]
fn an_empty_kernel_is_sealed_by_the_boots_rule_set() {
    in_a_box(async || {
        seal_now().unwrap();
        let sealed = rule_set();
        load(&ruleset::whole(&Posture::default())).unwrap();
        assert_eq!(sealed, rule_set());
    });
}

#[test]
fn an_open_door_is_sealed_and_the_owners_way_in_stays() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        net.apply(&open(Egress::Residential, dual_stack(), 5)).await.unwrap();
        seal_now().unwrap();
        assert_eq!(net.differences(&Posture::sealed(dual_stack())).await.unwrap(), [""; 0]);
    });
}

#[test]
fn a_panic_in_any_thread_seals_before_the_process_ends() {
    const PANIC: &str = "BYWAY_TEST_PANIC";
    if std::env::var_os(PANIC).is_some() {
        byway::run::seal_on_panic();
        std::thread::spawn(|| panic!("somewhere in the agent")).join().unwrap_err();
        unreachable!("the process outlived the panic");
    }
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        net.apply(&open(Egress::Residential, dual_stack(), 5)).await.unwrap();
        let own_test = ["--exact", "a_panic_in_any_thread_seals_before_the_process_ends"];
        let child =
            Command::new(std::env::current_exe().unwrap()).args(own_test).env(PANIC, "1").output().unwrap();
        assert_eq!(child.status.code(), Some(101), "{child:?}");
        assert_eq!(net.differences(&Posture::sealed(dual_stack())).await.unwrap(), [""; 0]);
    });
}

#[test]
fn a_gutted_rule_set_is_sealed_all_the_same() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        net.apply(&open(Egress::Residential, dual_stack(), 5)).await.unwrap();
        run("nft add chain inet byway forward '{ policy accept; }'");
        seal_now().unwrap();
        assert!(rule_set().contains("hook forward priority filter - 10; policy drop;"));
    });
}

#[test]
fn older_epochs_are_forgotten_and_nothing_else() {
    in_a_box(async || {
        for (port, mark) in (1000..).zip([0, 1, 4, 0x1234, 0x1235, 0x1236, 0x7fff_0000]) {
            let tuple = format!("-p udp --sport {port} --dport 53 --timeout 100 --mark {mark}");
            run(&format!("conntrack -I -s 192.0.2.1 -d 198.51.100.1 {tuple}"));
            run(&format!("conntrack -I -s 2001:db8::1 -d 2001:db8:1::1 {tuple}"));
        }
        forget(epoch(0x1235)).await.unwrap();
        for family in ["ipv4", "ipv6"] {
            let left = run(&format!("conntrack -L -f {family}"));
            let mut marks: Vec<u32> = left.split_whitespace().filter_map(mark_of).collect();
            marks.sort_unstable();
            assert_eq!(marks, [0, 0x1235, 0x1236, 0x7fff_0000], "{family}");
        }
    });
}

#[test]
fn the_uplink_is_told_as_it_is() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        assert_eq!(net.uplink("eth9").await.unwrap(), None);
        assert_eq!(net.uplink("eth0").await.unwrap(), dual_stack().uplink);
        run("ip route add default via 192.168.77.9 dev eth0 metric 600");
        run("ip addr add 169.254.3.4/16 dev eth0");
        run("ip addr add 2001:db8:77::99/64 dev eth0 nodad preferred_lft 0");
        assert_eq!(net.uplink("eth0").await.unwrap(), dual_stack().uplink);
        run("ip link set eth0 down");
        assert_eq!(net.uplink("eth0").await.unwrap(), None);
    });
}

#[test]
fn a_gateway_that_answers_is_found_and_one_that_does_not_is_not() {
    in_a_box(async || {
        let (house, end) = house();
        run(&format!("ip link set house netns {house}"));
        let mut net = Net::open().await.unwrap();
        net.apply(&Posture::sealed(dual_stack())).await.unwrap();
        for gateway in ["192.168.77.1", "fe80::1"] {
            let gateway = gateway.parse().unwrap();
            let found = async {
                loop {
                    if let [found] = net.routers("eth0", &[gateway]).await.unwrap()[..] {
                        break found;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let found = tokio::time::timeout(Duration::from_secs(10), found).await;
            let (address, mac) = found.unwrap_or_else(|_| panic!("{gateway} was not found"));
            let known = run(&format!("ip neigh show {gateway}"));
            assert!(address == gateway && known.contains(&mac.to_string()), "{mac}: {known}");
        }
        let absent = ["192.168.77.200".parse().unwrap()];
        assert_eq!(net.routers("eth0", &absent).await.unwrap(), []);
        eventually("the kernel gives up", || run("ip neigh show 192.168.77.200").contains("FAILED"));
        assert_eq!(net.routers("eth0", &absent).await.unwrap(), []);
        drop(end);
    });
}

#[test]
fn changes_of_every_kind_are_heard() {
    in_a_box(async || {
        load(&ruleset::whole(&Posture::default())).unwrap();
        // Both ends of the cable tell of their own addresses a second or two after they have come up.
        eventually("the interfaces have their addresses", || {
            let addresses = run("ip -6 -o addr show scope link");
            addresses.lines().count() == 2 && !addresses.contains("tentative")
        });
        let mut changes = Changes::open(0).unwrap();
        for command in [
            "ip link set eth0 mtu 1400",
            "ip addr add 192.0.2.1/32 dev eth0",
            "ip -6 addr add 2001:db8::1/128 dev eth0 nodad",
            "ip route add 198.51.100.0/24 dev eth0",
            "ip -6 rule add pref 5005 lookup main",
            "ip neigh replace 192.168.77.7 lladdr 02:00:00:00:00:07 dev eth0",
            "sysctl -qw net.ipv4.conf.eth0.rp_filter=1",
            "nft add element inet byway door { eth0 }",
        ] {
            run(command);
            let heard = tokio::time::timeout(Duration::from_secs(2), changes.next()).await;
            heard.unwrap_or_else(|_| panic!("{command} was not heard")).unwrap();
        }
        let silence = tokio::time::timeout(Duration::from_millis(200), changes.next()).await;
        assert!(silence.is_err(), "one change was told twice");
    });
}

#[test]
fn what_somebody_else_changes_is_noticed_and_he_is_named() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        let mut changes = Changes::open(net.port()).unwrap();
        let posture = open(Egress::Residential, dual_stack(), 5);
        for (command, program) in [
            ("nft flush ruleset", "nft (pid "),
            ("nft insert rule inet byway forward accept", "nft (pid "),
            ("nft add element inet byway door { wg0 }", "nft (pid "),
            ("ip rule del pref 5010", "(pid "),
            ("ip -6 rule add pref 4999 lookup main", "(pid "),
            ("ip route replace default dev eth0 table 7001", "(pid "),
            // The kernel does not tell who changed an interface or wrote a file.
            ("ip link set wg0 down", ""),
            ("ip link set wg0 mtu 1500", ""),
            ("ip addr flush dev wg0", ""),
            ("sysctl -qw net.ipv4.ip_forward=0", ""),
            ("sysctl -qw net.ipv4.conf.wg0.rp_filter=1", ""),
            ("sysctl -qw net.ipv4.conf.all.accept_redirects=1", ""),
        ] {
            net.apply(&posture).await.unwrap();
            assert_eq!(net.drift().await.unwrap(), [""; 0], "before {command}");
            let ours = net.generation();
            assert!(ours.is_some(), "nobody else changed rule sets meanwhile");
            assert_eq!(changes.strangers(ours).unwrap(), [""; 0], "our own doing");
            run(command);
            let lines = net.drift().await.unwrap();
            assert!(!lines.is_empty(), "{command} was not noticed");
            let strangers = changes.strangers(ours).unwrap().join(" and ");
            assert!(strangers.contains(program), "after {command}: {strangers:?}");
        }
    });
}

#[test]
fn whoever_looks_first_leaves_the_drift_to_be_told() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        let posture = open(Egress::Residential, dual_stack(), 5);
        net.apply(&posture).await.unwrap();
        run("nft flush chain inet byway forward");
        assert_ne!(net.differences(&posture).await.unwrap(), [""; 0]);
        assert_ne!(net.drift().await.unwrap(), [""; 0]);
    });
}

#[test]
fn a_rule_set_beside_ours_is_no_drift() {
    in_a_box(async || {
        let mut net = Net::open().await.unwrap();
        net.apply(&open(Egress::Residential, dual_stack(), 5)).await.unwrap();
        let ours = net.generation();
        run("nft add table inet other; ip route add 198.51.100.0/24 dev eth0");
        assert_eq!(net.drift().await.unwrap(), [""; 0]);
        assert_ne!(net.generation(), ours, "it was listed, and what stands now is known");
    });
}
