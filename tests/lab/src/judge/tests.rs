//! One synthetic offence of each kind, beside the nearest thing that is none.

use std::net::{IpAddr, SocketAddr};
use std::time::UNIX_EPOCH;

use super::*;
use crate::packet::{About, Datagram, Ports, Tag, TcpFlags, Transport};

const PHONE_BY_HOUSE: &str = "192.168.77.2:40000";
const PHONE_BY_RELAY: &str = "192.0.2.130:50000";
const PHONE_BY_OTHER_RELAY: &str = "192.0.2.162:50000";
const OTHER_RELAY: &str = "other relay";
/// What the box calls the phone inside the tunnel, by whichever relay it ends.
const PHONE_IN_TUNNEL: &str = "10.64.5.5:50000";
const SERVER: &str = "192.0.2.80:7";
const SERVER6: &str = "[2001:db8:40::80]:7";
const CHECK: &str = "192.0.2.80:443";

#[test]
fn packets_by_the_allowed_door_are_counted_and_clean() {
    let house = [sent(2500, udp(PHONE_BY_HOUSE, SERVER, Some(1)))];
    let relay = [sent(1500, udp(PHONE_BY_RELAY, SERVER, Some(2)))];
    let verdict = judged(&house, &relay, &[]);
    verdict.assert_clean();
    verdict.heard_something().unwrap();
    assert_eq!(verdict.to_string(), "privacy 1 packets, residential 1 packets, wrong door 0, linked 0");
}

#[test]
fn a_client_packet_on_the_house_link_in_privacy_is_wrong_to_the_millisecond() {
    let verdict = judged_house(1999, udp(PHONE_BY_HOUSE, SERVER, Some(1)));
    assert_eq!(
        verdict.to_string(),
        "privacy 0 packets, residential 1 packets, wrong door 1, linked 0\n  wrong door: +1.999000s on lan: \
         udp 192.168.77.2:40000 > 192.0.2.80:7 (flow 1 #0): residential was not allowed (privacy decided at +1.050000s)"
    );
    judged_house(2000, udp(PHONE_BY_HOUSE, SERVER, Some(1))).assert_clean();
    judged_house(3049, udp(PHONE_BY_HOUSE, SERVER, Some(1))).assert_clean();
    assert_eq!(wrong(&judged_house(3050, udp(PHONE_BY_HOUSE, SERVER, Some(1)))), 1);
}

#[test]
fn a_client_packet_before_the_first_decision_is_wrong() {
    assert_eq!(wrong(&judged_house(500, udp(PHONE_BY_HOUSE, SERVER6, None))), 1);
    assert_eq!(wrong(&judged_relay(999, udp(PHONE_BY_RELAY, SERVER, None))), 1);
}

#[test]
fn nothing_may_leave_a_sealed_box() {
    assert_eq!(wrong(&judged_house(4050, udp(PHONE_BY_HOUSE, SERVER, None))), 1);
    assert_eq!(wrong(&judged_relay(4350, udp(PHONE_BY_RELAY, SERVER, None))), 1);
}

#[test]
fn the_relay_may_be_late_by_its_drain_and_no_more() {
    judged_relay(2349, udp(PHONE_BY_RELAY, SERVER, Some(1))).assert_clean();
    assert_eq!(wrong(&judged_relay(2350, udp(PHONE_BY_RELAY, SERVER, Some(1)))), 1);
}

#[test]
fn an_error_of_the_box_that_quotes_a_client_flow_is_a_client_packet() {
    let quoted = udp(SERVER, PHONE_BY_HOUSE, None);
    let to_router = error("192.168.77.2", "198.51.100.1", quoted);
    assert_eq!(wrong(&judged_house(1500, to_router.clone())), 1);
    judged_house(2500, to_router).assert_clean();
    let about_nobody = error("192.168.77.2", "198.51.100.1", udp("198.51.100.1:9", "192.168.77.2:9", None));
    judged_house(1500, about_nobody).assert_clean();
}

#[test]
fn the_loads_tag_gives_a_client_away_at_any_address() {
    assert_eq!(wrong(&judged_house(1500, udp("192.168.77.2:1", "198.51.100.77:9", Some(1)))), 1);
    judged_house(1500, udp("192.168.77.2:1", "198.51.100.77:9", None)).assert_clean();
}

#[test]
fn inner_addresses_are_never_right_on_the_house_link() {
    let unmasked = udp("10.64.5.5:1", SERVER, None);
    let tailnet = udp("192.168.77.2:1", "100.64.0.7:1", None);
    let tailnet6 = udp("[2001:db8:77::2]:1", "[fd7a:115c:a1e0::7]:1", None);
    let quoted = error("192.168.77.2", "192.168.77.1", udp("198.51.100.77:1", "10.64.5.5:1", None));
    let arp = Packet::Arp { sender: "10.64.5.5".parse().unwrap(), target: "192.168.77.1".parse().unwrap() };
    let neighbour =
        icmp("fe80::2", "ff02::1", 136, About::Neighbour("fc00:bbbb:bbbb:bb01::5".parse().unwrap()));
    for packet in [unmasked, tailnet, tailnet6, quoted, arp, neighbour] {
        assert_eq!(wrong(&judged_house(2500, packet.clone())), 1, "{packet}");
    }
    let plain =
        Packet::Arp { sender: "192.168.77.2".parse().unwrap(), target: "192.168.77.1".parse().unwrap() };
    judged_house(1500, plain).assert_clean();
}

#[test]
fn a_house_may_be_numbered_like_the_tailnet_and_no_peer_speaks_in_it() {
    let mut judge = judge();
    judge.places.house_in_tailnet = Some([address("100.64.0.1"), address("100.64.0.77")]);
    let wrong = |packet: &Packet| {
        let house = [sent(2500, packet.clone())];
        let witnesses = [witness(Vantage::House, &house), witness(Vantage::Relay, &[]), other_relay(&[])];
        judge.judge(&load(), &witnesses).unwrap().wrong_door.count
    };
    let to_the_router = udp("100.64.0.77:1", "100.64.0.1:67", None);
    let quoted = error("100.64.0.77", "100.64.0.1", udp("100.64.0.1:1", "100.64.0.77:9", None));
    for packet in [udp("100.64.0.77:1", SERVER, Some(1)), to_the_router, quoted] {
        assert_eq!(wrong(&packet), 0, "{packet}");
    }
    for packet in [udp("100.64.0.1:1", SERVER, None), udp("100.64.0.77:1", "100.64.0.7:1", None)] {
        assert_eq!(wrong(&packet), 1, "{packet}");
    }
}

#[test]
fn a_tailnet_address_out_of_the_tunnel_is_never_right() {
    assert_eq!(wrong(&judged_relay(1500, udp("100.64.0.2:1", "198.51.100.77:9", None))), 1);
}

#[test]
fn the_box_asks_who_it_is_and_for_names_by_any_door() {
    let check = tcp("192.168.77.2:1", CHECK, TcpFlags::ACK, 1);
    let time = udp("192.168.77.2:1", "192.0.2.80:123", None);
    let names = udp("192.168.77.2:1", "192.0.2.80:53", None);
    let tunnel = udp("192.168.77.2:51820", "192.0.2.130:51820", None);
    for packet in [check.clone(), names, time, tunnel, error("192.168.77.2", "192.0.2.80", check)] {
        let verdict = judged_house(1500, packet);
        verdict.assert_clean();
        assert_eq!(verdict.packets_by(Door::Residential), 0);
    }
    assert_eq!(wrong(&judged_house(1500, udp("192.168.77.2:1", CHECK, None))), 1, "quic is a client's");
    assert_eq!(
        wrong(&judged_house(1500, udp("192.168.77.2:1", CHECK, Some(1)))),
        1,
        "the load is a client's"
    );
}

#[test]
fn the_box_asks_each_doors_name_server_by_that_door_and_while_it_is_open() {
    let own = tcp("[2001:db8:77::2]:1", "[2001:db8:40::54]:853", TcpFlags::SYN, 1);
    assert_eq!(wrong(&judged_house(2100, own.clone())), 0);
    assert_eq!(wrong(&judged_house(3050, own.clone())), 1, "privacy is open");
    assert_eq!(wrong(&judged_relay(2100, own)), 1, "the other door's");
    let own = tcp("192.168.77.2:1", "192.0.2.53:443", TcpFlags::SYN, 1);
    let verdict = judged_relay(1100, own.clone());
    assert_eq!((wrong(&verdict), verdict.packets_by(Door::Privacy)), (0, 0), "not a client's packet");
    assert_eq!(wrong(&judged_house(1100, own.clone())), 1, "in the clear");
    assert_eq!(wrong(&judged_relay(2900, own)), 1, "residential is open");
    let reset = tcp("192.168.77.2:1", "192.0.2.53:443", TcpFlags::RST, 1);
    assert_eq!(wrong(&judged_relay(2900, reset.clone())), 0, "goes back where the question came from");
    assert_eq!(wrong(&judged_house(2100, reset)), 1, "in the clear");
}

#[test]
fn nobody_else_is_asked_for_names() {
    let stranger = udp("192.168.77.2:1", "198.51.100.53:53", None);
    assert_eq!(wrong(&judged_house(2100, stranger.clone())), 1);
    assert_eq!(wrong(&judged_relay(1100, stranger)), 1);
}

#[test]
fn what_the_internet_sends_to_the_box_is_not_its_doing() {
    let late_answer = Seen { heading: Heading::Out, ..sent(1500, udp(SERVER, PHONE_BY_HOUSE, Some(1))) };
    let verdict = judged(&[late_answer], &[], &[]);
    verdict.assert_clean();
    assert_eq!(verdict.packets_by(Door::Residential), 0);
}

#[test]
fn a_flow_seen_at_both_doors_is_linked_once() {
    let by_relay = sent(1500, udp(PHONE_BY_RELAY, SERVER, Some(1)));
    let relay = [by_relay.clone(), by_relay];
    let house = [
        sent(2500, udp(PHONE_BY_HOUSE, SERVER, Some(1))),
        sent(2501, udp(PHONE_BY_HOUSE, SERVER, Some(1))),
        sent(2502, udp(PHONE_BY_HOUSE, SERVER, Some(2))),
    ];
    let verdict = judged(&house, &relay, &[]);
    assert_eq!((wrong(&verdict), verdict.linked.count), (0, 1));
    let quoting = error("192.168.77.2", "192.0.2.80", udp(SERVER, PHONE_BY_HOUSE, Some(1)));
    assert_eq!(judged(&[sent(2500, quoting)], &relay, &[]).linked.count, 1);
}

#[test]
fn a_flow_seen_at_two_relays_is_linked_once_and_a_new_one_is_not() {
    let by_one = [sent(1500, udp(PHONE_IN_TUNNEL, SERVER, Some(1)))];
    let moved = [
        sent(1600, udp(PHONE_IN_TUNNEL, SERVER, Some(1))),
        sent(1601, udp(PHONE_IN_TUNNEL, SERVER, Some(1))),
    ];
    let verdict = judged_by_relays(&[], [&by_one, &moved], &[]);
    assert_eq!((wrong(&verdict), verdict.linked.count), (0, 1));
    assert!(verdict.to_string().contains("on other relay: udp"), "{verdict}");
    assert!(verdict.to_string().contains("this flow was seen at another relay"), "{verdict}");
    let anew = [sent(1600, udp(PHONE_IN_TUNNEL, SERVER, Some(2)))];
    let verdict = judged_by_relays(&[], [&by_one, &anew], &[]);
    verdict.assert_clean();
    assert_eq!(verdict.packets_by(Door::Privacy), 2, "the relays are one door");
}

#[test]
fn a_connection_or_its_syn_that_moves_to_another_relay_is_linked() {
    let syn = sent(1500, tcp(PHONE_IN_TUNNEL, SERVER, TcpFlags::SYN, 100));
    let data = sent(1600, tcp(PHONE_IN_TUNNEL, SERVER, TcpFlags::ACK, 101));
    let reset = sent(1601, tcp(PHONE_IN_TUNNEL, SERVER, TcpFlags::RST, 101));
    let linked =
        |by_one: &[Seen], by_other: &[Seen]| judged_by_relays(&[], [by_one, by_other], &[]).linked.count;
    assert_eq!(linked(&[syn.clone(), data.clone()], &[]), 0);
    assert_eq!(
        linked(std::slice::from_ref(&syn), &[data]),
        1,
        "the same ends, and the SYN is the other relay's"
    );
    assert_eq!(linked(std::slice::from_ref(&syn), &[reset]), 1);
    let again = Seen { at: at(1600), ..syn.clone() };
    assert_eq!(linked(&[syn], &[again]), 1);
}

#[test]
fn a_server_tells_the_relays_apart_by_the_source_and_agrees_with_each_ones_link() {
    let by_one = sent(1500, udp(PHONE_BY_RELAY, SERVER, Some(1)));
    let by_other = sent(1600, udp(PHONE_BY_OTHER_RELAY, SERVER, Some(2)));
    let inside = |flow, at| [sent(at, udp(PHONE_IN_TUNNEL, SERVER, Some(flow)))];
    let server = [by_one, by_other];
    judged_by_relays(&[], [&inside(1, 1500), &inside(2, 1600)], &server).assert_clean();
    let crossed = judged_by_relays(&[], [&inside(2, 1500), &inside(1, 1600)], &server);
    assert_eq!(crossed.linked.count, 2, "{crossed}");
}

#[test]
fn a_flow_that_the_box_has_forgotten_may_go_on_by_another_door() {
    let relay = [sent(1500, udp(PHONE_BY_RELAY, SERVER, Some(1)))];
    // The last of the decisions was asked for at 5 s.
    let too_early = [sent(94_999, udp(PHONE_BY_HOUSE, SERVER, Some(1)))];
    let forgotten = [sent(95_000, udp(PHONE_BY_HOUSE, SERVER, Some(1)))];
    assert_eq!(judged(&too_early, &relay, &[]).linked.count, 1);
    judged(&forgotten, &relay, &[]).assert_clean();
}

#[test]
fn a_ping_and_a_packet_without_ports_are_known_by_their_tag() {
    let tag = Some(Tag { flow: 1, sequence: 0 });
    for transport in [
        Transport::Icmp { kind: 8, code: 0, about: About::Echo(tag) },
        Transport::Other { protocol: 50, tag },
    ] {
        let packet = |source| {
            Packet::Ip(Datagram {
                source: address(source),
                destination: address("192.0.2.80"),
                transport: transport.clone(),
            })
        };
        let (house, relay) = ([sent(2500, packet("192.168.77.2"))], [sent(1500, packet("192.0.2.130"))]);
        assert_eq!(judged(&house, &relay, &[]).linked.count, 1);
    }
}

#[test]
fn a_connection_that_goes_on_at_a_door_without_its_syn_is_linked_once() {
    let syn = sent(2400, tcp(PHONE_BY_HOUSE, SERVER, TcpFlags::SYN, 100));
    let data = sent(2500, tcp(PHONE_BY_HOUSE, SERVER, TcpFlags::ACK, 101));
    let reset = sent(2501, tcp(PHONE_BY_HOUSE, SERVER, TcpFlags::RST, 101));
    judged(&[syn.clone(), data.clone(), reset.clone()], &[], &[]).assert_clean();
    assert_eq!(judged(&[data.clone(), reset.clone()], &[], &[]).linked.count, 1);
    assert_eq!(judged(&[reset], &[], &[]).linked.count, 1);
    let by_relay = Seen { at: at(1500), ..data };
    assert_eq!(judged(&[syn], &[by_relay], &[]).linked.count, 1, "the other door's SYN does not count");
}

#[test]
fn a_reset_of_what_began_unseen_may_answer_what_came_by_the_same_link() {
    let came = Seen { heading: Heading::Out, ..sent(1500, tcp(SERVER, PHONE_BY_RELAY, TcpFlags::ACK, 7)) };
    let reset = sent(1510, tcp(PHONE_BY_RELAY, SERVER, TcpFlags::RST, 100));
    judged(&[], &[came.clone(), reset.clone()], &[]).assert_clean();
    assert_eq!(judged(&[], std::slice::from_ref(&reset), &[]).linked.count, 1, "nothing came");
    assert_eq!(judged(&[], &[reset, came.clone()], &[]).linked.count, 1, "nothing had come yet");
    let data = sent(1510, tcp(PHONE_BY_RELAY, SERVER, TcpFlags::ACK, 100));
    assert_eq!(judged(&[], &[came, data], &[]).linked.count, 1, "that is no reset");
}

#[test]
fn a_reset_of_a_forgotten_flow_goes_back_by_the_tunnel_whatever_door_is_open() {
    let came = Seen { heading: Heading::Out, ..sent(2890, tcp(SERVER, PHONE_BY_RELAY, TcpFlags::ACK, 7)) };
    let bare = sent(2900, tcp(PHONE_BY_RELAY, SERVER, TcpFlags::RST, 100));
    assert_eq!(wrong(&judged(&[], &[came.clone(), bare.clone()], &[])), 0);
    assert_eq!(wrong(&judged(&[], std::slice::from_ref(&bare), &[])), 1, "nothing came");
    let flags = TcpFlags(TcpFlags::RST.0 | TcpFlags::ACK.0);
    let acknowledging = sent(2900, tcp(PHONE_BY_RELAY, SERVER, flags, 100));
    assert_eq!(wrong(&judged(&[], &[came, acknowledging], &[])), 1, "an app hangs up");
}

#[test]
fn a_syn_resent_by_the_other_door_is_linked() {
    let relay = [sent(1500, tcp(PHONE_BY_RELAY, SERVER, TcpFlags::SYN, 100))];
    let same = [sent(2500, tcp(PHONE_BY_HOUSE, SERVER, TcpFlags::SYN, 100))];
    let fresh = [sent(2500, tcp(PHONE_BY_HOUSE, SERVER, TcpFlags::SYN, 200))];
    assert_eq!(judged(&same, &relay, &[]).linked.count, 1);
    judged(&fresh, &relay, &[]).assert_clean();
}

#[test]
fn the_server_tells_the_doors_apart_by_the_source() {
    let by_relay = sent(1500, udp(PHONE_BY_RELAY, SERVER, Some(1)));
    let by_house = sent(2500, udp("198.51.100.10:40000", SERVER, Some(2)));
    let by_house6 = sent(2500, udp("[2001:db8:77::2]:40000", SERVER6, Some(3)));
    let stranger = sent(1500, udp("203.0.113.20:1", SERVER, None));
    let verdict = judged(&[], &[], &[by_relay.clone(), by_house, by_house6, stranger]);
    verdict.assert_clean();
    assert_eq!((verdict.packets_by(Door::Privacy), verdict.packets_by(Door::Residential)), (1, 2));
    let too_late = Seen { at: at(2900), ..by_relay };
    assert_eq!(wrong(&judged(&[], &[], &[too_late])), 1);
    let beside_the_box = sent(1500, udp("203.0.113.20:1", SERVER, Some(4)));
    assert_eq!(wrong(&judged(&[], &[], &[beside_the_box])), 1);
    let unmasked = sent(1500, udp("10.64.5.5:1", SERVER, None));
    assert_eq!(wrong(&judged(&[], &[], &[unmasked])), 1);
}

#[test]
fn a_packet_that_nobody_can_read_is_not_passed_over() {
    let verdict = judged_house(2500, Packet::Unreadable { ethertype: 0x0800, why: "empty" });
    assert!(!verdict.is_clean());
    assert!(verdict.to_string().contains("unreadable 1\n  unreadable: +2.500000s on lan"), "{verdict}");
}

#[test]
#[should_panic(expected = "wrong door 12")]
fn assert_clean_panics_with_all_counts_and_the_first_lines() {
    let offence = sent(1500, udp(PHONE_BY_HOUSE, SERVER, None));
    let verdict = judged(&vec![offence; 12], &[], &[]);
    assert_eq!(verdict.wrong_door.first.len(), 10);
    verdict.assert_clean();
}

#[test]
fn silence_at_an_open_door_under_load_is_no_proof() {
    let deaf_house = judged_relay(1500, udp(PHONE_BY_RELAY, SERVER, Some(1)));
    deaf_house.assert_clean();
    let complaint = deaf_house.heard_something().unwrap_err().to_string();
    assert!(complaint.contains("residential was open for 1.9s under load and lan heard no"), "{complaint}");
}

#[test]
fn lost_packets_and_missing_captures_allow_no_verdict() {
    let mut house = witness(Vantage::House, &[]);
    let relay = witness(Vantage::Relay, &[]);
    let without = judge().judge(&load(), std::slice::from_ref(&house)).unwrap_err();
    assert_eq!(without, NotJudged::NoWitness(Vantage::Relay));
    let deaf = judge().judge(&load(), &[house.clone(), relay.clone()]).unwrap_err();
    assert_eq!(deaf, NotJudged::NoWitnessAt(OTHER_RELAY.to_owned()));
    house.recording.dropped = 3;
    let lossy = judge().judge(&load(), &[house, relay]).unwrap_err();
    assert_eq!(lossy.to_string(), "the capture of lan lost 3 packets: repeat with less load");
}

#[test]
fn the_first_packet_by_the_new_door_is_found() {
    let house = [
        sent(2100, udp(PHONE_BY_HOUSE, "192.0.2.130:51820", None)),
        sent(2120, udp(PHONE_BY_HOUSE, SERVER, None)),
        sent(2130, udp(PHONE_BY_HOUSE, SERVER, None)),
    ];
    let witnesses = [witness(Vantage::House, &house), witness(Vantage::Relay, &[])];
    assert_eq!(judge().first_by(Door::Residential, at(2000), &witnesses), Some(at(2120)));
    assert_eq!(judge().first_by(Door::Residential, at(2121), &witnesses), Some(at(2130)));
    assert_eq!(judge().first_by(Door::Privacy, at(2000), &witnesses), None);
    let by_relay = |milliseconds| [sent(milliseconds, udp(PHONE_IN_TUNNEL, SERVER, None))];
    let witnesses = [witness(Vantage::Relay, &by_relay(1700)), other_relay(&by_relay(1600))];
    assert_eq!(judge().first_by(Door::Privacy, at(1500), &witnesses), Some(at(1600)), "whichever relay's");
}

/// Privacy at 1 s, residential at 2, privacy at 3, sealed at 4, residential at 5; each decided 50 ms later.
fn judge() -> Judge {
    let mut timeline = Timeline::default();
    let decisions = [
        (1000, Some(Door::Privacy)),
        (2000, Some(Door::Residential)),
        (3000, Some(Door::Privacy)),
        (4000, None),
        (5000, Some(Door::Residential)),
    ];
    for (requested, door) in decisions {
        timeline.add(Decision { requested: at(requested), decided: at(requested + 50), door });
    }
    Judge { places: places(), timeline, relay_drain: RELAY_DRAIN }
}

fn places() -> Places {
    Places {
        servers: vec![address("192.0.2.80"), address("2001:db8:40::80")],
        tailnet: vec!["100.64.0.0/10".parse().unwrap(), "fd7a:115c:a1e0::/48".parse().unwrap()],
        house_in_tailnet: None,
        tunnel: vec!["10.64.5.5/32".parse().unwrap(), "fc00:bbbb:bbbb:bb01::5/128".parse().unwrap()],
        relays: vec![
            RelayPlace {
                link: "relay".to_owned(),
                addresses: vec![address("192.0.2.130"), address("2001:db8:50::130")],
            },
            RelayPlace { link: OTHER_RELAY.to_owned(), addresses: vec![address("192.0.2.162")] },
        ],
        house: vec!["198.51.100.10/32".parse().unwrap(), "2001:db8:77::/64".parse().unwrap()],
        checks: vec![CHECK.parse().unwrap()],
        resolvers: vec![address("192.0.2.80")],
        clocks: vec![address("192.0.2.80")],
        members: vec![],
        upstreams: vec![
            (Door::Privacy, address("192.0.2.53")),
            (Door::Residential, address("2001:db8:40::54")),
        ],
    }
}

fn judged_house(milliseconds: u64, packet: Packet) -> Verdict {
    judged(&[sent(milliseconds, packet)], &[], &[])
}

fn judged_relay(milliseconds: u64, packet: Packet) -> Verdict {
    judged(&[], &[sent(milliseconds, packet)], &[])
}

fn judged(house: &[Seen], relay: &[Seen], server: &[Seen]) -> Verdict {
    judged_by_relays(house, [relay, &[]], server)
}

fn judged_by_relays(house: &[Seen], [relay, other]: [&[Seen]; 2], server: &[Seen]) -> Verdict {
    let mut witnesses =
        vec![witness(Vantage::House, house), witness(Vantage::Relay, relay), other_relay(other)];
    if !server.is_empty() {
        witnesses.push(witness(Vantage::Server, server));
    }
    judge().judge(&load(), &witnesses).unwrap()
}

fn load() -> Range<SystemTime> {
    at(0)..at(6000)
}

fn wrong(verdict: &Verdict) -> u64 {
    verdict.wrong_door.count
}

fn witness(vantage: Vantage, seen: &[Seen]) -> Witness {
    let link = match vantage {
        Vantage::House => "lan",
        Vantage::Relay => "relay",
        Vantage::Server => "server",
    };
    let recording = Recording { link: link.into(), seen: seen.to_vec(), dropped: 0 };
    Witness { vantage, leaving: Heading::In, recording }
}

fn other_relay(seen: &[Seen]) -> Witness {
    let mut witness = witness(Vantage::Relay, seen);
    witness.recording.link = OTHER_RELAY.to_owned();
    witness
}

fn sent(milliseconds: u64, packet: Packet) -> Seen {
    Seen { at: at(milliseconds), heading: Heading::In, packet }
}

fn udp(from: &str, to: &str, flow: Option<u32>) -> Packet {
    let tag = flow.map(|flow| Tag { flow, sequence: 0 });
    between(from, to, |ports| Transport::Udp { ports, tag })
}

fn tcp(from: &str, to: &str, flags: TcpFlags, sequence: u32) -> Packet {
    between(from, to, |ports| Transport::Tcp { ports, flags, sequence, tag: None })
}

fn error(from: &str, to: &str, about: Packet) -> Packet {
    let Packet::Ip(quoted) = about else { panic!("{about} cannot be quoted") };
    icmp(from, to, 3, About::Quoted(Box::new(quoted)))
}

fn icmp(from: &str, to: &str, kind: u8, about: About) -> Packet {
    let transport = Transport::Icmp { kind, code: 0, about };
    Packet::Ip(Datagram { source: address(from), destination: address(to), transport })
}

fn between(from: &str, to: &str, transport: impl FnOnce(Ports) -> Transport) -> Packet {
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let ports = Ports { source: from.port(), destination: to.port() };
    Packet::Ip(Datagram { source: from.ip(), destination: to.ip(), transport: transport(ports) })
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds)
}
