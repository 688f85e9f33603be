//! How the agent is attached to the house: who keeps the interfaces, who keeps the kernel, who counts what goes through,
//! and what the others may know of the house from then on.

use std::sync::Arc;

use anyhow::Context as _;
use byway_core::uplink::{Interfaces, Offers};
use byway_core::watchdog::Part;
use byway_core::{Input, Serve, Uplink};
use tokio::sync::{Mutex, mpsc, watch};

use super::Paths;
use crate::clients;
use crate::config::Config;
use crate::dns::HouseResolvers;
use crate::net::keeper::{Keeper, Order};
use crate::net::{Changes, Net};
use crate::store::Store;
use crate::tailnet::{self, LocalApi};
use crate::uplink;
use crate::watchdog::Pulses;

/// What changes with the house.
pub(super) struct Attached {
    /// The interface in use.
    pub(super) interface: watch::Receiver<String>,
    pub(super) resolvers: HouseResolvers,
    pub(super) offers: watch::Receiver<Offers>,
}

/// And the uplink that an agent before this one has left.
pub(super) async fn attach(
    config: &Config,
    paths: &Paths,
    (orders, tell): (mpsc::Receiver<Order>, mpsc::Sender<Input>),
    pulses: &Pulses,
) -> anyhow::Result<(Arc<Mutex<Net>>, Option<Uplink>, Attached)> {
    let mut net = Net::open().await.context("cannot speak to the kernel by netlink")?;
    let found = find(&mut net, config).await?;
    let (of_kernel, of_links) = (Changes::open(net.port())?, Changes::open(net.port())?);
    let net = Arc::new(Mutex::new(net));
    let interfaces = interfaces(config);
    let in_use = found.as_ref().map_or(&interfaces.cable, |uplink| &uplink.interface);
    let interface = watch::Sender::new(in_use.clone());
    let offers = watch::Sender::new(Offers::default());
    let attached = Attached {
        interface: interface.subscribe(),
        resolvers: HouseResolvers::new(&config.uplink.dns, offers.subscribe()),
        offers: offers.subscribe(),
    };
    let (pulse, count) = (pulses.begin(Part::Kernel), tell.clone());
    let keeper = Keeper::new(
        Arc::clone(&net),
        interface.subscribe(),
        tell.clone(),
        pulse,
        config.lan.serve == Serve::House,
    );
    let settings = uplink::Settings {
        method: config.uplink.method.clone(),
        interfaces,
        wifi: config.uplink.wifi.clone(),
        run_dir: paths.run_dir.clone(),
    };
    let told = uplink::Told { core: tell, interface, offers, pulse: pulses.begin(Part::Uplink) };
    uplink::start(settings, Arc::clone(&net), of_links, told)?;
    let tailscaled = LocalApi::new(tailnet::socket(&paths.run_dir));
    let of_the_house = (config.time_zone.clone(), &config.lan.serve);
    clients::watch(Arc::clone(&net), tailscaled, Store::new(&paths.run_dir), count, of_the_house).await;
    tokio::spawn(keeper.keep(orders, of_kernel));
    Ok((net, found, attached))
}

pub(super) fn interfaces(config: &Config) -> Interfaces {
    let wifi = config.uplink.wifi.as_ref().map(|wifi| wifi.interface.as_str().to_owned());
    Interfaces { cable: config.uplink.interface.as_str().to_owned(), wifi }
}

/// The cable's, if that has an address.
async fn find(net: &mut Net, config: &Config) -> anyhow::Result<Option<Uplink>> {
    for name in interfaces(config).names() {
        if let Some(uplink) = net.uplink(&name).await? {
            return Ok(Some(uplink));
        }
    }
    Ok(None)
}
