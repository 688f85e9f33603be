//! What each neighbour is told of the owner's configuration.

use std::hash::{BuildHasher as _, RandomState};

use byway_core::watchdog::Part;
use byway_core::{Egress, HouseAccess, Settings, Upstreams, Used, View};
use tokio::sync::watch;

use super::house::{self, Attached};
use super::{Paths, relays};
use crate::config::{Config, Host, Url};
use crate::store::Store;
use crate::tailnet::{self, AuthKey, LocalApi};
use crate::tls::Trust;
use crate::watchdog::Pulses;
use crate::{dns, last_words, memory, net};

/// Tailscale's own control server, for a configuration that names none.
pub(super) const TAILSCALES_CONTROL: &str = "controlplane.tailscale.com";

pub(super) fn settings(config: &Config, last_egress: Egress, store: &Store) -> anyhow::Result<Settings> {
    Ok(Settings {
        name: config.name.as_str().to_owned(),
        relays: relays::settings(&config.mullvad),
        preferred: store.relay().told(),
        interfaces: house::interfaces(config),
        expect: config.mullvad.expect,
        control: config.tailnet.control.as_ref().map(control_url),
        last_egress,
        flow_table: net::make_room(memory::now()?)?,
        upstreams: Upstreams {
            privacy: config.dns.privacy.to_string(),
            residential: config.dns.residential.to_string(),
        },
        refuse_dot: config.dns.refuse_dot,
        refuse_smtp: !config.residential.smtp,
        limit_mbit: config.clients.limit_mbit,
        daily_gb: config.residential.daily_gb,
        used: Used::default(), // of a file of its own
        serve: config.lan.serve.clone(),
        reach: config.tailnet.advertise_lan,
        house_access: HouseAccess { ping: config.lan.ping, ssh: config.ssh.lan },
        paused: store.paused().told(),
        last_stop: last_words::sentence(),
        seed: RandomState::new().hash_one(()),
    })
}

pub(super) fn dns_settings(
    config: &Config,
    paths: &Paths,
    trust: Trust,
    Attached { interface, resolvers, offers: _ }: Attached,
    pulses: &Pulses,
) -> dns::Settings {
    dns::Settings {
        dns: config.dns.clone(),
        interface,
        resolvers,
        trust,
        tailscaled: LocalApi::new(tailnet::socket(&paths.run_dir)),
        store: Store::new(&paths.state_dir),
        pulse: pulses.begin(Part::Names),
    }
}

pub(super) fn tailnet_settings(
    config: &Config,
    paths: &Paths,
    views: watch::Receiver<View>,
    pulses: &Pulses,
) -> tailnet::Settings {
    tailnet::Settings {
        tailscaled: config.tailnet.tailscaled.clone(),
        state_dir: paths.state_dir.clone(),
        run_dir: paths.run_dir.clone(),
        control: config.tailnet.control.as_ref().map(control_url),
        auth_key: config.tailnet.auth_key.as_ref().map(|key| AuthKey::new(key.reveal())),
        hostname: config.name.as_str().to_owned(),
        views,
        pulse: pulses.of(Part::Tailnet),
    }
}

/// As tailscaled keeps it: without a path.
fn control_url(url: &Url) -> String {
    url.to_string().trim_end_matches('/').to_owned()
}

/// Hosts with certificates whose date counts: those that the box speaks to anyway.
pub(super) fn referees(config: &Config) -> anyhow::Result<[Url; 2]> {
    let control = match &config.tailnet.control {
        Some(control) => control.clone(),
        None => format!("https://{TAILSCALES_CONTROL}").parse().map_err(anyhow::Error::msg)?,
    };
    Ok([control, config.mullvad.check_url.clone()])
}

/// The control server's name; none where it is an address, which needs no look-up.
pub(super) fn control_name(config: &Config) -> Option<String> {
    match &config.tailnet.control {
        None => Some(TAILSCALES_CONTROL.to_owned()),
        Some(Url { host: Host::Name(name), .. }) => Some(name.clone()),
        Some(Url { host: Host::Address(_), .. }) => None,
    }
}
