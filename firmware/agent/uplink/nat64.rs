//! Finds the prefix by which the house's network reaches IPv4 from IPv6 (NAT64), while the house has no IPv4: its routers
//! advertise it, or its resolver makes addresses of it for a name that has IPv4 addresses alone (RFC 7050).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use byway_core::uplink::Offers;
use byway_core::uplink::router::Nat64;
use byway_core::{Input, View};
use ipnet::IpNet;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::config::Host;
use crate::dns::own::Names;

/// RFC 7050 3
const NAME: &str = "ipv4only.arpa";
/// What it stands for.
const WELL_KNOWN: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];
/// Between two questions: while there is no prefix, and once there is one.
const QUICK: Duration = Duration::from_secs(5);
const CALM: Duration = Duration::from_mins(10);

/// For the life of the agent.
pub(crate) async fn watch(
    names: Arc<Names>,
    mut offers: watch::Receiver<Offers>,
    mut views: watch::Receiver<View>,
    tell: mpsc::Sender<Input>,
) {
    let mut told = None;
    loop {
        let lacks_ipv4 = lacks_ipv4(&views.borrow_and_update());
        let advertised = offers.borrow_and_update().nat64;
        let prefix = match advertised {
            None if lacks_ipv4 => find(&names).await,
            advertised => advertised,
        };
        if prefix != told && tell.send(Input::Nat64(prefix)).await.is_err() {
            return;
        }
        told = prefix;
        let has_turned = views.wait_for(|view| self::lacks_ipv4(view) != lacks_ipv4);
        let pause = if lacks_ipv4 && prefix.is_none() { QUICK } else { CALM };
        tokio::select! {
            turned = timeout(pause, has_turned) => if let Ok(Err(_)) = turned {
                return;
            },
            Ok(()) = offers.changed() => {}
        }
    }
}

fn lacks_ipv4(view: &View) -> bool {
    let v4 = |net: &IpNet| matches!(net, IpNet::V4(_));
    view.uplink.as_ref().is_some_and(|uplink| !uplink.addresses.iter().any(v4))
}

async fn find(names: &Names) -> Option<Nat64> {
    let found = names.resolve(&Host::Name(NAME.to_owned())).await.ok()?;
    found.into_iter().find_map(prefix)
}

/// Of the lengths that a prefix may have (RFC 6052 2.2), the one that networks use.
fn prefix(address: IpAddr) -> Option<Nat64> {
    let IpAddr::V6(address) = address else { return None };
    let prefix = Nat64::of_96_bits(address);
    let made_of = |known: &Ipv4Addr| prefix.address_of(*known) == address && address.segments()[0] != 0;
    WELL_KNOWN.iter().any(made_of).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: &str) -> Option<String> {
        let prefix = prefix(address.parse().unwrap())?;
        Some(prefix.address_of(Ipv4Addr::UNSPECIFIED).to_string())
    }

    #[test]
    fn a_prefix_is_what_stands_before_an_address_that_is_known() {
        assert_eq!(found("64:ff9b::c000:aa").as_deref(), Some("64:ff9b::"));
        assert_eq!(found("2001:db8:64::192.0.0.171").as_deref(), Some("2001:db8:64::"));
        for other in ["64:ff9b::c000:ac", "2001:db8::1", "::192.0.0.170", "192.0.0.170"] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
