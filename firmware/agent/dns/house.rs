//! Whom the house has for names: the resolvers that the owner names, else those that the house offers at the moment.
//! They are asked for the box's own names and for the house's domain, never for clients' names of the internet.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use byway_core::uplink::Offers;
use tokio::sync::watch;

use super::DNS_PORT;
use super::upstream::Upstream;
use crate::way::Way;

#[derive(Clone, Debug)]
pub struct HouseResolvers {
    named: Vec<IpAddr>,
    offers: watch::Receiver<Offers>,
}

impl HouseResolvers {
    pub fn new(named: &[IpAddr], offers: watch::Receiver<Offers>) -> Self {
        Self { named: named.to_vec(), offers }
    }

    /// Empty while nobody has named or offered any.
    pub fn now(&self) -> Vec<IpAddr> {
        if self.named.is_empty() { self.offers.borrow().dns.clone() } else { self.named.clone() }
    }
}

/// The first of them, with what is known of how it answers.
#[derive(Debug)]
pub(super) struct HouseResolver {
    resolvers: HouseResolvers,
    kept: Mutex<Option<(IpAddr, Arc<Upstream>)>>,
}

impl HouseResolver {
    pub(super) const fn first_of(resolvers: HouseResolvers) -> Self {
        Self { resolvers, kept: Mutex::new(None) }
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        self.resolvers.now().first().copied()
    }

    pub(super) fn upstream(&self) -> Option<Arc<Upstream>> {
        let address = self.address()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_another = kept.as_ref().is_none_or(|(of, _)| *of != address);
        if of_another {
            let upstream = Upstream::plain((address, DNS_PORT).into(), Way::by_isp());
            *kept = Some((address, Arc::new(upstream)));
        }
        kept.as_ref().map(|(_, upstream)| Arc::clone(upstream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owners_word_comes_before_the_houses() {
        let (offer, offers) = watch::channel(Offers::default());
        let (owners, houses) = (IpAddr::from([9, 9, 9, 9]), IpAddr::from([192, 168, 1, 1]));
        let without = HouseResolvers::new(&[], offers.clone());
        assert!(without.now().is_empty());
        offer.send_replace(Offers { dns: Vec::from([houses]), ..Offers::default() });
        assert_eq!(without.now(), [houses]);
        assert_eq!(HouseResolvers::new(&[owners], offers).now(), [owners]);
    }
}
