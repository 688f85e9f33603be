//! The agent's stub as a process of its own, so that `just bench` can set it beside other forwarders. Its door is always
//! the residential one, and leads through eth0.

use std::net::IpAddr;

use anyhow::Result;
use byway::clock;
use byway::config::{Dns, Host, Transport, Upstream};
use byway::dns::{Ears, HouseResolvers, Settings, start};
use byway::store::Store;
use byway::tailnet::LocalApi;
use byway::tls;
use byway::watchdog::Pulses;
use byway_core::relays::Keys;
use byway_core::uplink::{Interfaces, Offers};
use byway_core::watchdog::Part;
use byway_core::{Core, Egress, Expect, RelaySettings, Serve, TunnelEnd, Upstreams, View, Wish};
use clap::Parser;
use tokio::sync::{mpsc, watch};

/// Answers at port 53 of the loopback until it is killed; it does so as soon as it answers a first question.
#[derive(Debug, Parser)]
struct Options {
    /// Where the upstream is; it is asked by UDP at port 53
    upstream: IpAddr,
    /// Asks by DNS over HTTPS instead, at /dns-query of port 443, whom the certificate must name so
    #[arg(long, value_name = "HOST")]
    https: Option<String>,
}

fn main() -> Result<()> {
    let (_door, door) = watch::channel(Some(Egress::Residential));
    let (_views, views) = watch::channel(view());
    let (_inquiries, inquiries) = mpsc::channel(1);
    let (_interface, interface) = watch::channel("eth0".to_owned());
    let (_offers, offers) = watch::channel(Offers::default());
    let resolvers = HouseResolvers::new(&[], offers);
    // Its names are of no tailnet.
    let tailscaled = LocalApi::new("/nonexistent");
    // Nobody tells it a domain, so nothing is written there.
    let store = Store::new("/nonexistent");
    let (dns, trust) = (dns(Options::parse()), tls::trust(&tls::authorities()));
    let pulse = Pulses::default().of(Part::Names);
    let settings = Settings { dns, interface, resolvers, trust, tailscaled, store, pulse };
    let _health = start(settings, Ears { door, views, inquiries })?;
    loop {
        std::thread::park();
    }
}

fn dns(Options { upstream, https }: Options) -> Dns {
    let addresses = Vec::from([upstream]);
    let upstream = match https {
        None => Upstream { transport: Transport::Plain, host: Host::Address(upstream), port: 53, addresses },
        Some(host) => {
            let path = "/dns-query".to_owned();
            Upstream { transport: Transport::Https { path }, host: Host::Name(host), port: 443, addresses }
        }
    };
    Dns {
        privacy: upstream.clone(),
        residential: upstream,
        house_domain: None,
        allow_private: Vec::new(),
        refuse_dot: false,
        log: false,
    }
}

/// Of an agent that has just been started: the stub reads the tailnet's domain there, and finds none.
fn view() -> View {
    let settings = byway_core::Settings {
        house_access: byway_core::HouseAccess::default(),
        name: "byway".to_owned(),
        relays: vec![RelaySettings {
            name: String::new(),
            keys: Keys::File(0),
            end: TunnelEnd { addresses: Vec::new(), relay: ([192, 0, 2, 130], 51820).into(), mtu: 1380 },
            ports: Vec::new(),
        }],
        preferred: None,
        daily_gb: None,
        used: byway_core::Used::default(),
        paused: Vec::new(),
        refuse_smtp: true,
        limit_mbit: None,
        last_stop: None,
        seed: 0,
        interfaces: Interfaces { cable: String::from("eth0"), wifi: None },
        expect: Expect::Any,
        control: None,
        last_egress: Egress::Residential,
        flow_table: 65_536,
        upstreams: Upstreams { privacy: String::new(), residential: String::new() },
        refuse_dot: false,
        serve: Serve::Nobody,
        reach: false,
    };
    Core::start(clock::uptime(), settings, Wish::Residential, None).0.view()
}
