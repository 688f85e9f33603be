//! What a box can be seen in, and how it gets there.

use core::net::IpAddr;
use core::time::Duration;

use byway_core::board::{Board, Seen};
use byway_core::clients::{Count, Ledger, Path, Peer, Roll, Used};
use byway_core::clock::{self, ClockReport, Offset, Source};
use byway_core::names::NamesReport;
use byway_core::relays::Obstacle;
use byway_core::tailnet::{BackendState, ExitNode, PortMapping, Protocol, TailnetFacts, Ways};
use byway_core::uplink;
use byway_core::uplink::router::Nat64;
use byway_core::{Egress, Exit, ExitReport, Expect, Input, RelaySettings, Settings, State, Wish};

use crate::drive::{Drive, open, open_with};
use crate::house;

/// What it is called, and how to get there.
pub(crate) type Scene = (&'static str, fn() -> Drive);

pub(crate) const SCENES: [Scene; 56] = [
    ("started", || Drive::start(house::settings(), Wish::Privacy)),
    ("sealed as wished", || Drive::at_home(Wish::Sealed)),
    ("no line", || {
        let mut drive = Drive::start(house::settings(), Wish::Residential);
        drive.applied();
        drive
    }),
    ("no cable", || {
        let mut drive = Drive::start(house::settings(), Wish::Residential);
        drive.applied();
        drive.feed(Input::Attached(Err(uplink::Trouble::NoCable(String::from("eth0")))));
        drive
    }),
    ("a network that wants a login", || {
        let mut drive = Drive::at_home(Wish::Privacy);
        drive.feed(Input::Portal(Some(String::from("http://portal.example/login"))));
        drive
    }),
    ("a house without ipv4", || ipv6_only(None)),
    ("a house without ipv4 but with nat64", || ipv6_only(Some("64:ff9b::"))),
    ("no router", || Drive::at_home(Wish::Residential)),
    ("a disk that keeps nothing", || {
        let mut drive = open(Egress::Privacy);
        drive.feed(Input::Remembered(Err(String::from("could not save wish.json: make room on its disk"))));
        drive
    }),
    ("a disk that keeps the wish after all", || {
        let mut drive = open(Egress::Privacy);
        drive.feed(Input::Remembered(Err(String::from("no room"))));
        drive.feed(Input::Remembered(Ok(())));
        drive
    }),
    ("a relay is being proven", || Drive::attached(house::settings(), Wish::Privacy)),
    ("nothing can be sent to a relay", || {
        obstructed(&Obstacle::Unsent(String::from("network is unreachable")))
    }),
    ("no relay on the machine", || obstructed(&Obstacle::Refused)),
    ("a relay that is gone", || obstructed(&house::gone())),
    ("a wrong key", || obstructed(&Obstacle::Silence { machine: true, udp: true })),
    ("no udp", || obstructed(&Obstacle::Silence { machine: true, udp: false })),
    ("a clock that cannot be right", || obstructed(&Obstacle::Clock)),
    ("a dead gateway", || obstructed(&Obstacle::Gateway)),
    ("a narrow way", || obstructed(&Obstacle::Narrow(1_200))),
    ("no session", || Drive::at_home(Wish::Privacy)),
    ("no pong", no_pong),
    ("no check yet", no_check),
    ("no answer to the check", || {
        let mut drive = no_check();
        drive.unchecked(Egress::Privacy);
        drive
    }),
    ("a foreign exit", || {
        let mut drive = no_check();
        drive.checked(Egress::Privacy, false);
        drive
    }),
    ("opening privacy", || {
        let mut drive = no_pong();
        drive.pong();
        drive
    }),
    ("the kernel refuses the door", refused),
    ("the kernel refused the door", || {
        let mut drive = refused();
        drive.applied();
        drive
    }),
    ("open by privacy", || open(Egress::Privacy)),
    ("open by privacy, checked by both families", || {
        let mut drive = open(Egress::Privacy);
        let asked = drive.now();
        let addresses: [IpAddr; 2] = [[192, 0, 2, 130].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x130].into()];

        let exit = |address| Exit { address, ..house::exit(true) };
        let result = Ok(addresses.map(exit).to_vec());
        drive.feed(Input::Exit(ExitReport { by: Egress::Privacy, asked, result }));
        drive
    }),
    ("open by privacy, the check fails", || {
        let mut drive = open(Egress::Privacy);
        drive.unchecked(Egress::Privacy);
        drive
    }),
    ("open by privacy, names get no answer", || {
        let mut drive = open(Egress::Privacy);
        let error = Some(String::from("it does not answer"));
        drive.feed(Input::Names(
            Egress::Privacy,
            NamesReport { failures: 1, error, ..NamesReport::default() },
        ));
        drive
    }),
    ("open by another provider", another_provider),
    ("a phone goes out, and somebody whom tailscaled does not know", || {
        let mut drive = open(Egress::Privacy);
        drive.feed(Input::Peers(phones()));
        let stranger = IpAddr::from([100, 64, 0, 9]);
        let sent = phone().addresses.into_iter().chain([stranger]);
        let clients = sent.map(|address| Used { address, sent: 10, got: 200 }).collect();
        let mut ledger = Ledger::default();
        ledger.enter(drive.now(), &Count::default());
        ledger.enter(drive.now(), &Count { clients, ..Count::default() });
        drive.feed(Input::Counted(ledger, None));
        drive
    }),
    ("the house's line is used up for today", || spent(Some(7))),
    ("the same, and nobody knows what time it is", || spent(None)),
    ("a phone is paused", || {
        let mut drive = open(Egress::Privacy);
        drive.feed(Input::Peers(phones()));
        drive.feed(Input::Counted(Ledger::default(), None));
        drive.feed(Input::ClientPaused(phone().into()));
        drive.applied();
        drive
    }),
    ("open by privacy, the time is known", || {
        let mut drive = open(Egress::Privacy);
        let report = ClockReport {
            source: Some(Source::Ntp),
            offset: Some(Offset::from_micros(-1_500)),
            checked: Some(drive.now()),
            answered: 4,
            agreed: 3,
            trouble: None,
        };
        drive.feed(Input::Clock(report));
        drive
    }),
    ("open by privacy, no time server answers", || {
        let mut drive = open(Egress::Privacy);
        let trouble = Some(clock::Trouble::Silence);
        drive.feed(Input::Clock(ClockReport {
            source: Some(Source::Saved),
            trouble,
            ..ClockReport::default()
        }));
        drive
    }),
    ("open by privacy, the time servers lie", || {
        let mut drive = open(Egress::Privacy);
        let said = Duration::from_hours(543_333);
        let trouble = Some(clock::Trouble::Contradicted { said, host: String::from("hs.example.net") });
        drive.feed(Input::Clock(ClockReport {
            source: Some(Source::Tls),
            trouble,
            ..ClockReport::default()
        }));
        drive
    }),
    ("open by privacy, relayed to its peers", || {
        let mut drive = open(Egress::Privacy);
        let router =
            Some(PortMapping { offers: Vec::from([Protocol::Upnp]), mapped: "100.64.9.9:7".parse().ok() });
        drive.feed(Input::Ways(Ways {
            relay: Some(String::from("fra")),
            relayed: 1,
            router,
            ..Ways::default()
        }));
        drive
    }),
    ("open by privacy, with too little power, and too hot", || {
        let mut drive = open(Egress::Privacy);
        let now = Some(Seen::Now);
        let model = Some(String::from("Raspberry Pi 4 Model B"));
        let seen = Board { model, temperature_c: Some(84), under_voltage: now, hot: now, throttled: now };
        drive.feed(Input::Board(seen));
        drive
    }),
    ("the clock cannot be set", || {
        let mut drive = Drive::at_home(Wish::Privacy);
        let (shown, error) = (Duration::ZERO, String::from("Operation not permitted"));
        let trouble = Some(clock::Trouble::CannotRaise { shown, error });
        drive.feed(Input::Clock(ClockReport {
            source: Some(Source::None),
            trouble,
            ..ClockReport::default()
        }));
        drive
    }),
    ("the relay fell silent, and no other is proven", silent),
    ("another relay has taken its place", replaced),
    ("residential wished, privacy still open", || {
        let mut drive = open(Egress::Privacy);
        drive.feed(Input::Wished(Wish::Residential));
        drive
    }),
    ("open by residential", || {
        let mut drive = open(Egress::Residential);
        drive.checked(Egress::Residential, false);
        drive
    }),
    ("drift was healed", || {
        let mut drive = open(Egress::Residential);
        drive.feed(Input::Drifted(String::from("chain forward: a rule is gone")));
        drive.applied();
        drive.applied();
        drive
    }),
    ("somebody fights", fought),
    ("the kernel does not seal", || {
        let mut drive = open(Egress::Residential);
        drive.feed(Input::Wished(Wish::Sealed));
        drive.refused("nft crashed");
        drive
    }),
    ("joined and approved", || in_tailnet(running(Some(ExitNode::Approved)))),
    ("an exit node that waits for approval", || in_tailnet(running(Some(ExitNode::Offered)))),
    ("joining", || in_tailnet(TailnetFacts { joining: true, ..in_state(BackendState::NeedsLogin) })),
    ("a login that was refused", || {
        in_tailnet(TailnetFacts {
            joining: true,
            error: Some(String::from("invalid key")),
            ..in_state(BackendState::NeedsLogin)
        })
    }),
    ("a login page", || {
        in_tailnet(TailnetFacts {
            login_url: Some(String::from("https://headscale.example.com/register/hskey-authreq-GoodMorning")),
            ..in_state(BackendState::NeedsLogin)
        })
    }),
    ("a machine that waits for approval", || in_tailnet(in_state(BackendState::NeedsMachineAuth))),
    ("a control server that has not answered", || in_tailnet(in_state(BackendState::NoState))),
];

fn ipv6_only(nat64: Option<&str>) -> Drive {
    let mut drive = Drive::at_home(Wish::Privacy);
    let mut uplink = house::uplink();
    uplink.addresses.remove(0);
    uplink.gateway4 = None;
    drive.feed(Input::Uplink(Some(uplink)));
    drive.feed(Input::Nat64(nat64.map(|prefix| Nat64::of_96_bits(prefix.parse().expect("an address")))));
    drive.applied();
    drive.applied();
    drive
}

fn no_pong() -> Drive {
    let mut drive = Drive::at_home(Wish::Privacy);
    drive.handshake();
    drive
}

/// The proof has aged.
fn no_check() -> Drive {
    let mut drive = Drive::at_home(Wish::Privacy);
    drive.clock += 4_000;
    drive.handshake();
    drive.clock += 57_000;
    drive.handshake();
    drive.pong();
    drive
}

/// Every port of both relays.
fn obstructed(obstacle: &Obstacle) -> Drive {
    let mut drive = Drive::attached(house::settings(), Wish::Privacy);
    for _ in 0..4 {
        drive.proves(Err(obstacle.clone()));
    }
    drive
}

fn refused() -> Drive {
    let mut drive = Drive::at_home(Wish::Residential);
    drive.feed(Input::Gateway(true));
    drive.refused("nft: out of memory");
    drive
}

fn fought() -> Drive {
    let mut drive = open(Egress::Residential);
    for _ in 0..10 {
        drive.feed(Input::Drifted(String::from("nft chain forward is missing, by nft (pid 7)")));
        drive.clock += 1_000;
        drive.feed(Input::Tick);
        while matches!(drive.core.state(), State::Applying { .. }) {
            drive.applied();
        }
    }
    drive
}

fn silent() -> Drive {
    let mut drive = open(Egress::Privacy);
    drive.proves_nobody();
    drive.relay_falls_silent(Err(house::gone()));
    drive
}

fn replaced() -> Drive {
    let mut drive = open(Egress::Privacy);
    drive.proves(Ok(house::proof(true)));
    drive.relay_falls_silent(Ok(house::proof(true)));
    drive.applied();
    drive
}

fn another_provider() -> Drive {
    let relays: Vec<RelaySettings> = vec![house::relay("azire-ams", "192.0.2.130:51820")];
    let settings = Settings { expect: Expect::Any, relays, ..house::settings() };
    let mut drive = Drive::attached(settings, Wish::Privacy);
    drive.proves(Ok(house::proof(false)));
    drive.handshake();
    drive.checked(Egress::Privacy, false);
    drive.applied();
    drive
}

fn in_tailnet(facts: TailnetFacts) -> Drive {
    let mut drive = open(Egress::Privacy);
    drive.feed(Input::Tailnet(facts));
    drive
}

fn in_state(state: BackendState) -> TailnetFacts {
    TailnetFacts { state: Some(state), ..TailnetFacts::default() }
}

fn running(exit_node: Option<ExitNode>) -> TailnetFacts {
    let (name, node_id) = (Some(String::from("byway-1")), Some(String::from("7")));
    let control = house::settings().control;
    TailnetFacts { name, node_id, exit_node, control, online: true, ..in_state(BackendState::Running) }
}

/// A phone with an address of each family.
fn phone() -> Peer {
    Peer {
        id: String::from("n1"),
        name: String::from("phone"),
        addresses: vec![IpAddr::from([100, 64, 0, 7]), "fd7a:115c:a1e0::7".parse().expect("an address")],
        path: Some(Path::Direct),
    }
}

fn phones() -> Roll {
    Roll { peers: vec![phone()], name_ports: vec![40_123] }
}

fn spent(today: Option<u32>) -> Drive {
    let settings = Settings { daily_gb: Some(50), ..house::settings() };
    let mut drive = open_with(settings, Egress::Residential);
    drive.moves(50_000_000_000, today);
    drive.applied();
    drive
}
