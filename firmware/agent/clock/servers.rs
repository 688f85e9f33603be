//! Which time servers are asked: the house's, and some that need no look-up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use byway_core::clock::Now;
use byway_core::uplink::Offers;
use tokio::sync::watch;

use super::ntp;
use crate::way::Way;

/// National and well-known ones, which answer everybody and tell UTC as it is, both families each:
/// - Cloudflare's anycast (developers.cloudflare.com/time-services/ntp/usage),
/// - Netnod's anycast, Sweden's time (ntp.se),
/// - SIDN's `TimeNL`, the Netherlands (time.nl),
/// - NIST, the United States (tf.nist.gov/tf-cgi/servers.cgi), which wants its addresses to be replaceable: they are.
const FIXED: [IpAddr; 8] = [
    IpAddr::V4(Ipv4Addr::new(162, 159, 200, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0xf1, 0, 0, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(194, 58, 200, 20)),
    IpAddr::V6(Ipv6Addr::new(0x2a01, 0x3f7, 0, 0, 0, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(94, 198, 159, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2a00, 0xd78, 0, 0x712, 0x94, 0x198, 0x159, 0x10)),
    IpAddr::V4(Ipv4Addr::new(129, 6, 15, 28)),
    IpAddr::V6(Ipv6Addr::new(0x2610, 0x20, 0x6f15, 0x15, 0, 0, 0, 0x27)),
];
/// Of the house's: it has one vote anyway.
const MOST_OF_THE_HOUSE: usize = 4;

#[derive(Clone, Debug)]
pub struct Servers {
    own: Vec<IpAddr>,
    house: watch::Receiver<Offers>,
}

impl Servers {
    /// `configured` stand for the fixed ones, unless there are none.
    pub fn new(configured: &[IpAddr], house: watch::Receiver<Offers>) -> Self {
        let own = if configured.is_empty() { &FIXED } else { configured };
        Self { own: own.to_vec(), house }
    }

    /// Whether UDP is answered from out there: one of those that are not the house's own answers.
    pub async fn is_anybody_there(&self) -> bool {
        let own: Vec<_> = self.own.iter().map(|server| (*server, false)).collect();
        let guess = Now { uptime: super::uptime(), wall: super::wall(), in_step: false };
        ntp::is_anybody_there(&own, &Way::by_isp(), guess).await
    }

    /// Each with whether the house has named it.
    pub(super) fn all(&self) -> Vec<(IpAddr, bool)> {
        let house = self.house.borrow();
        let house = house.ntp.iter().filter(|server| !self.own.contains(server)).take(MOST_OF_THE_HOUSE);
        let own = self.own.iter().map(|server| (*server, false));
        own.chain(house.map(|server| (*server, true))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_s_servers_are_asked_beside_the_others_and_no_server_twice() {
        let [own, houses, other] = [1, 2, 3].map(|nth| IpAddr::V4(Ipv4Addr::new(192, 0, 2, nth)));
        let (_told, house) = watch::channel(Offers {
            ntp: vec![houses, own, other, other, other, other],
            ..Offers::default()
        });
        let asked = Servers::new(&[own], house.clone()).all();
        assert_eq!(asked[..3], [(own, false), (houses, true), (other, true)]);
        assert_eq!(asked.len(), 1 + MOST_OF_THE_HOUSE);
        assert_eq!(Servers::new(&[], house).all().len(), FIXED.len() + MOST_OF_THE_HOUSE);
    }
}
