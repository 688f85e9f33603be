//! The stories of an attachment: cable, radio, leases, and what is said of them.

use alloc::string::{String, ToString as _};

use super::router::{Dhcp, Lifetime};
use super::*;

const NOW: Uptime = Uptime::since_boot(Duration::from_secs(1000));
const HOUR: Duration = Duration::from_hours(1);

fn names(wifi: bool) -> Interfaces {
    Interfaces { cable: String::from("eth0"), wifi: wifi.then(|| String::from("wlan0")) }
}

fn link(carrier: Carrier, usable: bool) -> LinkState {
    LinkState { carrier, usable, ..LinkState::default() }
}

fn lease() -> Lease {
    let routers = [Ipv4Addr::new(10, 9, 9, 9), Ipv4Addr::new(192, 168, 1, 1)];
    let resolvers = [Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::LOCALHOST];
    Lease::new(Ipv4Addr::new(192, 168, 1, 7), 24, HOUR)
        .unwrap()
        .with_routers(&routers)
        .with_servers(&resolvers, &[Ipv4Addr::new(192, 168, 1, 2)])
        .with_mtu(Some(1492))
}

fn plugged_in(wifi: bool) -> Attachment {
    let mut house = Attachment::new(Method::Dhcp, names(wifi));
    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Up, false)));
    house
}

fn leased(wifi: bool) -> Attachment {
    let mut house = plugged_in(wifi);
    house.hear(NOW, LinkInput::Dhcp(Medium::Cable, DhcpEvent::Leased(lease())));
    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Up, true)));
    house
}

fn says(house: &Attachment) -> String {
    house.trouble().map_or_else(String::new, |trouble| trouble.to_string())
}

#[test]
fn a_lease_is_held_with_the_router_that_is_a_neighbour_and_for_as_long_as_it_lasts() {
    let house = leased(false);
    let cable = house.wanted().cable.unwrap();
    let lent = Lent { net: "192.168.1.7/24".parse().unwrap(), lasts: Some(HOUR) };
    assert_eq!(cable.addresses, [lent]);
    assert_eq!(cable.gateways, [IpAddr::from([192, 168, 1, 1])]);
    assert_eq!((cable.mtu, cable.dhcp, cable.dhcp6), (1492, true, false));
    assert_eq!(house.offers().dns, [IpAddr::from([192, 168, 1, 1])], "nobody asks itself");
    assert_eq!(house.offers().ntp, [IpAddr::from([192, 168, 1, 2])]);
    assert_eq!((house.interface(), house.trouble()), ("eth0", None));
}

#[test]
fn what_was_lent_goes_with_the_carrier() {
    let mut house = leased(false);
    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Down, true)));
    let cable = house.wanted().cable.unwrap();
    assert_eq!(cable, Link { mtu: ETHERNET_MTU, ..Link::default() });
    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Up, false)));
    assert!(house.wanted().cable.unwrap().addresses.is_empty(), "another network, as far as anybody knows");
    assert_eq!(house.offers(), Offers::default());
}

#[test]
fn what_an_agent_before_was_lent_stands_until_the_house_has_answered() {
    let mut house = plugged_in(false);
    assert!(house.wanted().cable.unwrap().standing);
    house.hear(NOW, LinkInput::Dhcp(Medium::Cable, DhcpEvent::Unanswered));
    assert!(house.wanted().cable.unwrap().standing, "it lasts as long as it was lent");
    house.hear(NOW, LinkInput::Dhcp(Medium::Cable, DhcpEvent::Leased(lease())));
    assert!(!house.wanted().cable.unwrap().standing);
    house.hear(NOW, LinkInput::Dhcp(Medium::Cable, DhcpEvent::Lost));
    assert!(!house.wanted().cable.unwrap().standing);
}

#[test]
fn each_trouble_has_its_sentence() {
    let mut house = Attachment::new(Method::Dhcp, names(false));
    assert!(says(&house).contains("no interface eth0"));
    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Down, false)));
    assert!(says(&house).contains("no cable in eth0"));
    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Up, false)));
    assert!(says(&house).contains("asking the house"));
    house.hear(NOW, LinkInput::Dhcp(Medium::Cable, DhcpEvent::Unanswered));
    assert!(says(&house).contains("no DHCP server answers"));
    house.hear(NOW, LinkInput::Dhcp(Medium::Cable, DhcpEvent::Taken(Ipv4Addr::new(192, 168, 1, 7))));
    assert!(says(&house).contains("192.168.1.7 is taken"));
    house.hear(NOW, LinkInput::Dhcp(Medium::Cable, DhcpEvent::Leased(lease())));
    assert!(says(&house).contains("asking"), "the kernel has not said yet that it may be used");
}

#[test]
fn a_duplicate_that_the_kernel_found_is_told_beside_an_address_that_works() {
    let mut house = leased(false);
    let duplicate = "2001:db8::7".parse().ok();
    house.hear(NOW, LinkInput::Link(Medium::Cable, LinkState { duplicate, ..link(Carrier::Up, true) }));
    assert!(says(&house).contains("2001:db8::7 is taken"));
}

#[test]
fn the_radio_is_on_only_while_no_cable_leads_to_an_address() {
    let mut house = plugged_in(true);
    assert!(house.wanted().wifi.is_some(), "the cable may lead nowhere");
    house.hear(NOW, LinkInput::Wifi(Some(String::from("the wi-fi \"home\" is not there"))));
    house.hear(NOW, LinkInput::Link(Medium::Wifi, link(Carrier::Down, false)));
    assert!(says(&house).contains("is not there"));
    house.hear(NOW, LinkInput::Link(Medium::Wifi, link(Carrier::Up, false)));
    assert!(house.wanted().wifi.unwrap().dhcp);
    house.hear(NOW, LinkInput::Dhcp(Medium::Wifi, DhcpEvent::Unanswered));
    assert!(says(&house).contains("joined the wi-fi, but"));
    house.hear(NOW, LinkInput::Link(Medium::Wifi, link(Carrier::Up, true)));
    assert_eq!((house.interface(), house.trouble()), ("wlan0", None));

    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Up, true)));
    assert_eq!((house.interface(), house.wanted().wifi), ("eth0", None), "cable wins");
}

#[test]
fn an_address_of_the_owners_choice_is_held_once_nobody_else_answers_for_it() {
    let method = Method::Static {
        addresses: ["192.168.1.4/24", "2001:db8::4/64"].map(|net| net.parse().unwrap()).into(),
        gateways: ["192.168.1.1", "fe80::1"].map(|gateway| gateway.parse().unwrap()).into(),
    };
    let mut house = Attachment::new(method, names(false));
    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Up, false)));
    let ours = Ipv4Addr::new(192, 168, 1, 4);
    let held = |house: &Attachment| {
        let cable = house.wanted().cable.unwrap();
        (cable.addresses.len(), cable.gateways.len(), cable.probes.len(), cable.standing)
    };
    assert_eq!(held(&house), (1, 1, 1, true));
    assert!(says(&house).contains("no address yet"));
    house.hear(NOW, LinkInput::Probed(Medium::Cable, ours, Probed::Taken));
    assert_eq!(held(&house), (1, 1, 1, false));
    assert!(says(&house).contains("192.168.1.4 is taken"));
    house.hear(NOW, LinkInput::Probed(Medium::Cable, ours, Probed::Free));
    assert_eq!(held(&house), (2, 2, 0, false));
    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Down, false)));
    assert_eq!(held(&house), (0, 0, 0, false));
    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Up, false)));
    assert_eq!(held(&house), (1, 1, 1, true), "another network, as far as anybody knows");
}

#[test]
fn what_somebody_else_configures_is_left_to_them() {
    let mut house = Attachment::new(Method::Foreign, names(false));
    house.hear(NOW, LinkInput::Link(Medium::Cable, link(Carrier::Up, true)));
    assert_eq!((house.wanted(), house.trouble()), (Wanted::default(), None));
}

#[test]
fn routers_that_tell_machines_to_ask_are_asked() {
    let mut house = plugged_in(false);
    assert!(!house.wanted().cable.unwrap().dhcp6);
    house.hear(NOW, LinkInput::Said(Medium::Cable, Said::Dhcp(Dhcp::Addresses)));
    assert!(house.wanted().cable.unwrap().dhcp6);
    let lent =
        Lease6::new("2001:db8::1000".parse().unwrap(), 3600, &["2001:db8::53".parse().unwrap()]).unwrap();
    house.hear(NOW, LinkInput::Dhcp6(Medium::Cable, Some(lent.clone())));
    assert_eq!(house.wanted().cable.unwrap().addresses, [lent.address]);
}

/// The client has ended: nobody renews it.
#[test]
fn what_was_lent_ends_with_its_time_and_soon_after_routers_cease_to_tell_machines_to_ask() {
    let day = 24 * HOUR;
    let lent = |seconds| Lease6::new("2001:db8::1000".parse().unwrap(), seconds, &[]).unwrap();
    let held = |house: &Attachment| house.wanted().cable.unwrap().addresses.len();
    let said = |dhcp| LinkInput::Said(Medium::Cable, Said::Dhcp(dhcp));
    for (seconds, asked, ends) in [(3600, true, 60), (86_400, false, 30), (u32::MAX, false, 30)] {
        let mut house = plugged_in(false);
        house.hear(NOW, said(Dhcp::Addresses));
        house.hear(NOW, LinkInput::Dhcp6(Medium::Cable, Some(lent(seconds))));
        if !asked {
            house.hear(NOW, said(Dhcp::Nothing));
        }
        for (minutes, left) in [(ends - 1, 1), (ends, 0)] {
            house.forget(NOW + Duration::from_mins(minutes));
            assert_eq!(held(&house), left, "of {seconds} s after {minutes} minutes");
        }
    }
    // Two routers, one of which knows of no server: whoever asks again has it lent again.
    let mut house = plugged_in(false);
    for nth in 0..100 {
        let now = NOW + HOUR / 3 * nth;
        house.hear(now, said(Dhcp::Addresses));
        house.hear(now, LinkInput::Dhcp6(Medium::Cable, Some(lent(86_400))));
        house.hear(now, said(Dhcp::Nothing));
        house.forget(now + HOUR / 3);
        assert_eq!(held(&house), 1);
    }
    // A server that is silent for a while takes nothing that was lent for a day.
    let now = NOW + HOUR / 3 * 100;
    house.hear(now, said(Dhcp::Addresses));
    house.forget(now + HOUR);
    assert_eq!(held(&house), 1);
    house.forget(now + day);
    assert_eq!(held(&house), 0);
}

#[test]
fn what_routers_say_is_offered_for_as_long_as_it_holds_and_nobodys_word_counts_twice() {
    let mut house = leased(false);
    let resolver = "2001:db8::53".parse().unwrap();
    let lifetime = Lifetime::For(Duration::from_mins(1));
    for _ in 0..2 {
        let said = Said::Resolvers(Vec::from(["fe80::1".parse().unwrap(), resolver]), lifetime);
        house.hear(NOW, LinkInput::Said(Medium::Cable, said));
    }
    assert_eq!(house.offers().dns, [IpAddr::from([192, 168, 1, 1]), resolver.into()]);
    house.forget(NOW + Duration::from_secs(61));
    assert_eq!(house.offers().dns.len(), 1);
}

#[test]
fn an_address_that_no_machine_can_have_is_refused() {
    for (address, prefix) in [
        ("0.0.0.0", 24),
        ("127.0.0.1", 8),
        ("224.0.0.1", 24),
        ("169.254.1.1", 16),
        ("192.168.1.7", 33),
        ("192.168.1.7", 0),
    ] {
        let address: Ipv4Addr = address.parse().unwrap();
        assert_eq!(Lease::new(address, prefix, HOUR), Err(BadLease(address, prefix)));
    }
    assert_eq!(
        Lease::new(Ipv4Addr::new(100, 64, 0, 7), 24, Duration::ZERO).unwrap().lasts,
        Duration::from_secs(30)
    );
    for mtu in [576, 1279, 9000] {
        assert_eq!(lease().with_mtu(Some(mtu)).mtu, None);
    }
}
