//! How the agent is attached to the house: who keeps the interfaces, who keeps the kernel, and what the others may know of
//! the house from then on.

use std::sync::Arc;

use byway_core::Input;
use byway_core::uplink::{Interfaces, Offers};
use tokio::sync::{Mutex, mpsc, watch};

use super::Paths;
use crate::config::Config;
use crate::dns::HouseResolvers;
use crate::net::keeper::{Keeper, Order};
use crate::net::{Changes, Net};
use crate::uplink;

/// What changes with the house.
pub(super) struct Attached {
    /// The interface in use.
    pub(super) interface: watch::Receiver<String>,
    pub(super) resolvers: HouseResolvers,
}

pub(super) fn attach(
    config: &Config,
    paths: &Paths,
    net: &Arc<Mutex<Net>>,
    (of_kernel, of_links): (Changes, Changes),
    (orders, tell): (mpsc::Receiver<Order>, mpsc::Sender<Input>),
) -> anyhow::Result<Attached> {
    let interfaces = interfaces(config);
    let interface = watch::Sender::new(interfaces.cable.clone());
    let offers = watch::Sender::new(Offers::default());
    let attached = Attached {
        interface: interface.subscribe(),
        resolvers: HouseResolvers::new(&config.uplink.dns, offers.subscribe()),
    };
    let keeper = Keeper::new(Arc::clone(net), interface.subscribe(), tell.clone());
    let settings = uplink::Settings { method: config.uplink.method.clone(), interfaces };
    let told = uplink::Told { core: tell, interface, offers };
    uplink::start(settings, &paths.run_dir, Arc::clone(net), of_links, told)?;
    tokio::spawn(keeper.keep(orders, of_kernel));
    Ok(attached)
}

pub(super) fn interfaces(config: &Config) -> Interfaces {
    Interfaces { cable: config.uplink.interface.as_str().to_owned(), wifi: None }
}
