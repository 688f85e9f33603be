//! How the box is reached by its tailnet: directly, or by a relay server, which is slower; and what its house has to do with
//! that.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::posture::ruleset::TAILNET4;

/// What is known of it at this moment. Unknown is `None` or empty, never a guess.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// The relay server that is the box's home (DERP), by its short name.
    pub relay: Option<String>,
    /// Where tailscaled tells its peers to look for the box.
    pub endpoints: Vec<SocketAddr>,
    /// `None`: the house's router was not asked.
    pub router: Option<PortMapping>,
    /// Peers that talk to the box now, without a relay server and by one.
    pub direct: usize,
    pub relayed: usize,
}

/// How the house's router opens a port for whoever asks it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortMapping {
    pub offers: Vec<Protocol>,
    /// Where the internet would find the box then, by the router's word.
    pub mapped: Option<SocketAddr>,
}

/// What may be told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// `"direct"`, `"relayed"`; null: nobody talks to the box now.
    pub by: Option<By>,
    /// The relay server that is the box's home (DERP), by its short name.
    pub relay: Option<String>,
    /// `"pcp"`, `"nat-pmp"`, `"upnp"`: how the house's router opens a port; null: it was not asked.
    pub router: Option<Vec<Protocol>>,
    /// Where it opens one, by its own word.
    pub mapped: Option<SocketAddr>,
    /// All of it in words.
    pub says: String,
}

/// By which a router is asked for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    #[serde(rename = "pcp")]
    Pcp,
    #[serde(rename = "nat-pmp")]
    NatPmp,
    #[serde(rename = "upnp")]
    Upnp,
}

/// By whom those who talk to the box reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Nobody between; somebody else may still be relayed because of their own network.
    Direct,
    /// Everybody goes by a relay server.
    Relayed,
}

impl Ways {
    pub(crate) fn reach(&self) -> Reach {
        Reach {
            by: self.by(),
            relay: self.relay.clone(),
            router: self.router.as_ref().map(|router| router.offers.clone()),
            mapped: self.router.as_ref().and_then(|router| router.mapped),
            says: self.sentence(),
        }
    }

    /// `None`: nobody talks to it.
    const fn by(&self) -> Option<By> {
        match (self.direct, self.relayed) {
            (0, 0) => None,
            (0, _) => Some(By::Relayed),
            _ => Some(By::Direct),
        }
    }

    /// In a few words.
    fn told(&self) -> Option<String> {
        Some(match self.by()? {
            By::Direct => String::from("reached directly"),
            By::Relayed => match &self.relay {
                Some(relay) => format!("relayed by DERP region {relay}"),
                None => String::from("relayed by DERP"),
            },
        })
    }

    /// The same with what the house has to do with it.
    fn sentence(&self) -> String {
        let told = self.told().unwrap_or_else(|| String::from("nobody talks to it now"));
        let opens = self.router.as_ref().is_some_and(|router| router.mapped.is_some());
        match (self.by(), self.router_told()) {
            (Some(By::Relayed), router) => format!("{told}: {}", self.obstacle(router)),
            (Some(By::Direct), Some(router)) if opens => format!("{told}; {router}"),
            (None, Some(router)) => format!("{told}; {router}"),
            // It needs no router for that.
            (Some(By::Direct), _) | (None, None) => told,
        }
    }

    fn obstacle(&self, router: Option<String>) -> String {
        let offers_in_vain =
            self.router.as_ref().is_some_and(|router| router.mapped.is_none() && !router.offers.is_empty());
        if self.is_behind_two_nats() {
            String::from("the house is behind two NATs, and its router can open a port in one of them alone")
        } else if !offers_in_vain && !self.endpoints.iter().any(|endpoint| is_public(endpoint.ip())) {
            String::from("no UDP of the tailnet's comes out of the house")
        } else {
            router.unwrap_or_else(|| String::from("no direct way was found"))
        }
    }

    /// The address that the router has is not the one that the internet sees.
    fn is_behind_two_nats(&self) -> bool {
        let Some(mapped) = self.router.as_ref().and_then(|router| router.mapped) else { return false };
        let is_another = |endpoint: &SocketAddr| {
            endpoint.is_ipv4() && is_public(endpoint.ip()) && endpoint.ip() != mapped.ip()
        };
        !is_public(mapped.ip()) || self.endpoints.iter().any(is_another)
    }

    fn router_told(&self) -> Option<String> {
        let PortMapping { offers, mapped } = self.router.as_ref()?;
        let names: Vec<String> = offers.iter().map(|protocol| format!("{protocol}")).collect();
        let names = names.join(", ");
        Some(match mapped {
            Some(mapped) if is_public(mapped.ip()) => {
                format!("the router opens a port ({names}) at {}", mapped.ip())
            }
            Some(mapped) => {
                format!("the router opens a port ({names}), but at {}, behind a second NAT", mapped.ip())
            }
            None if offers.is_empty() => String::from(
                "the router opens no port: switch UPnP or NAT-PMP on in it, or let UDP 41641 through to the box",
            ),
            None => format!("the router offers {names} and opens no port, as behind a second NAT"),
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::Upnp => "UPnP",
        })
    }
}

/// As the internet's routers see it.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !is_kept_inside(address),
        // fc00::/7 and fe80::/10
        IpAddr::V6(address) => {
            !address.is_unique_local() && !address.is_unicast_link_local() && !address.is_loopback()
        }
    }
}

fn is_kept_inside(address: Ipv4Addr) -> bool {
    address.is_private()
        || address.is_link_local()
        || address.is_loopback()
        || address.is_unspecified()
        // Where carriers number their customers, as tailnets do their nodes.
        || TAILNET4.contains(&address)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn ways(direct: usize, relayed: usize) -> Ways {
        let endpoints = ["198.51.100.10:41641", "192.168.77.2:41641", "10.64.5.5:41641"];
        let endpoints = endpoints.map(|endpoint| endpoint.parse().unwrap()).to_vec();
        Ways { relay: Some("lab".into()), endpoints, router: None, direct, relayed }
    }

    fn asked(ways: Ways, offers: &[Protocol], mapped: Option<&str>) -> Ways {
        let mapped = mapped.map(|mapped| mapped.parse().unwrap());
        Ways { router: Some(PortMapping { offers: offers.to_vec(), mapped }), ..ways }
    }

    #[test]
    fn one_who_is_reached_directly_by_anybody_is_not_called_relayed() {
        let told = [(0, 0), (0, 2), (1, 2), (1, 0)].map(|(direct, relayed)| ways(direct, relayed).by());
        assert_eq!(told, [None, Some(By::Relayed), Some(By::Direct), Some(By::Direct)]);
        assert_eq!(ways(0, 0).told(), None);
        assert_eq!(ways(0, 1).told().as_deref(), Some("relayed by DERP region lab"));
        assert_eq!(Ways { relay: None, ..ways(0, 1) }.told().as_deref(), Some("relayed by DERP"));
    }

    #[test]
    fn why_it_is_relayed_is_told_as_far_as_it_is_known() {
        let upnp = [Protocol::Upnp];
        let inside = vec!["192.168.77.2:41641".parse().unwrap(), "[fe80::1]:41641".parse().unwrap()];
        let table = [
            (ways(0, 1), "no direct way was found"),
            (asked(ways(0, 1), &[], None), "the router opens no port: switch UPnP or NAT-PMP on"),
            (asked(ways(0, 1), &upnp, None), "offers UPnP and opens no port, as behind a second NAT"),
            (asked(ways(0, 1), &upnp, Some("100.64.9.9:41641")), "the house is behind two NATs"),
            (asked(ways(0, 1), &upnp, Some("192.168.1.7:41641")), "the house is behind two NATs"),
            (asked(ways(0, 1), &upnp, Some("203.0.113.9:41641")), "the house is behind two NATs"),
            (
                asked(ways(0, 1), &upnp, Some("198.51.100.10:5")),
                "the router opens a port (UPnP) at 198.51.100.10",
            ),
            (
                asked(Ways { endpoints: inside.clone(), ..ways(0, 1) }, &upnp, Some("100.64.9.9:7")),
                "the house is behind two NATs",
            ),
            (Ways { endpoints: inside, ..ways(0, 1) }, "no UDP of the tailnet's comes out of the house"),
        ];
        for (ways, reason) in table {
            let sentence = ways.sentence();
            assert!(
                sentence.starts_with("relayed by DERP region lab: ") && sentence.contains(reason),
                "{sentence}"
            );
        }
    }

    #[test]
    fn what_the_router_does_is_told_beside_a_direct_way() {
        let both = [Protocol::Pcp, Protocol::NatPmp];
        assert_eq!(
            asked(ways(1, 0), &both, Some("198.51.100.10:41641")).sentence(),
            "reached directly; the router opens a port (PCP, NAT-PMP) at 198.51.100.10"
        );
        assert_eq!(
            asked(ways(1, 0), &both, Some("100.64.9.9:41641")).sentence(),
            "reached directly; the router opens a port (PCP, NAT-PMP), but at 100.64.9.9, behind a second NAT"
        );
        for (offers, mapped) in [(&both[..], None), (&[], None)] {
            assert_eq!(asked(ways(1, 0), offers, mapped).sentence(), "reached directly");
            assert!(asked(ways(0, 0), offers, mapped).sentence().contains("now; the router o"));
        }
        assert_eq!(ways(1, 0).sentence(), "reached directly");
        assert_eq!(ways(0, 0).sentence(), "nobody talks to it now");
    }
}
