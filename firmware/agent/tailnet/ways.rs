//! Looks how the box is reached: by which way its peers talk to it, and whether the house's router opens a port. tailscaled
//! asks the router for one and tells nobody what it got; so it is made to ask once more, for a port that nobody listens at.

use std::time::Duration;

use byway_core::tailnet::{BackendState, PortMapping, Protocol, Ways};
use byway_core::{Input, UplinkView, View};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use tracing::debug;

use super::localapi::{Error, LocalApi};

const LOOK: Duration = Duration::from_secs(10);
/// Somebody may have changed the router's settings.
const ASK_AGAIN: Duration = Duration::from_mins(30);
/// tailscaled gives a router a quarter of a second for each protocol.
const TRIES: u32 = 3;

/// Tells of every change, until nobody listens.
pub async fn watch(api: LocalApi, mut views: watch::Receiver<View>, tell: mpsc::Sender<Input>) {
    let runs = |view: &View| view.tailnet.state == Some(BackendState::Running);
    let (mut router, mut told) = (Router::default(), Ways::default());
    while let Ok(house) = views.wait_for(runs).await.map(|view| view.uplink.clone()) {
        match look(&api, &mut router, house).await {
            Ok(ways) if ways != told => {
                told = ways.clone();
                if tell.send(Input::Ways(ways)).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => debug!(%error, "how the box is reached is not known"),
        }
        sleep(LOOK).await;
    }
}

async fn look(api: &LocalApi, router: &mut Router, house: Option<UplinkView>) -> Result<Ways, Error> {
    router.ask(api, house).await?;
    Ok(Ways { router: router.told.clone(), ..api.ways().await? })
}

/// The house's router, as it was asked last.
#[derive(Default)]
struct Router {
    told: Option<PortMapping>,
    /// In which house, since when and how often.
    asked: Option<(Option<UplinkView>, Instant, u32)>,
}

impl Router {
    /// In each house until it has opened a port, or was asked often enough; and now and then.
    async fn ask(&mut self, api: &LocalApi, house: Option<UplinkView>) -> Result<(), Error> {
        let is_this = |(asked, since, _): &(_, Instant, _)| *asked == house && since.elapsed() < ASK_AGAIN;
        if !self.asked.as_ref().is_some_and(is_this) {
            self.told = None;
            self.asked = Some((house, Instant::now(), 0));
        }
        let has_mapped = self.told.as_ref().is_some_and(|told| told.mapped.is_some());
        if let Some((_, _, tries)) = self.asked.as_mut().filter(|(_, _, tries)| *tries < TRIES && !has_mapped)
        {
            let told = port_mapping(&api.debug_portmap().await?);
            self.told = both(self.told.take(), told);
            *tries += 1;
        }
        Ok(())
    }
}

/// What a router has once offered it offers.
fn both(before: Option<PortMapping>, now: Option<PortMapping>) -> Option<PortMapping> {
    let (Some(before), Some(now)) = (&before, &now) else { return now.or(before) };
    let all = [Protocol::Pcp, Protocol::NatPmp, Protocol::Upnp].into_iter();
    let offers = all.filter(|offer| before.offers.contains(offer) || now.offers.contains(offer)).collect();
    Some(PortMapping { offers, mapped: now.mapped })
}

/// Out of lines that are made for people; `None`: the router could not be asked.
fn port_mapping(lines: &str) -> Option<PortMapping> {
    let beginning = |start| lines.lines().find_map(move |line| line.strip_prefix(start));
    let probed = beginning("Probe: ")?;
    let offers = [("PCP:true", Protocol::Pcp), ("PMP:true", Protocol::NatPmp), ("UPnP:true", Protocol::Upnp)];
    let offers = offers.into_iter().filter(|(word, _)| probed.contains(word)).map(|(_, protocol)| protocol);
    let mapped = beginning("cb: mapping: ").or_else(|| beginning("mapping: "));
    Some(PortMapping { offers: offers.collect(), mapped: mapped.and_then(|mapped| mapped.parse().ok()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: &str = "gw=192.168.77.1; self=192.168.77.2\nProbe: {PCP:true PMP:true UPnP:false}\nno mapping\n\
                          portmapper: [v1] Got PMP response\nportmapping changed.\nhave mapping: true\n\
                          cb: mapping: 198.51.100.10:38511\n";

    #[test]
    fn reads_what_a_router_offers_and_where_it_has_opened_a_port() {
        let mapped = Some("198.51.100.10:38511".parse().unwrap());
        let offers = Vec::from([Protocol::Pcp, Protocol::NatPmp]);
        assert_eq!(port_mapping(OPENED), Some(PortMapping { offers, mapped }));
        let upnp = PortMapping { offers: Vec::from([Protocol::Upnp]), mapped: None };
        assert_eq!(port_mapping("Probe: {PCP:false PMP:false UPnP:true}\nno mapping\n"), Some(upnp));
        let silent = "Probe: {PCP:false PMP:false UPnP:false}\nno portmapping services available\n";
        assert_eq!(port_mapping(silent), Some(PortMapping::default()));
        assert_eq!(port_mapping("no gateway or self IP; link=eth0\n"), None);
    }
}
