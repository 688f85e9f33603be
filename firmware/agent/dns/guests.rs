//! How many may be served at once, in all and from one address: nobody takes the places of everybody.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Guests {
    /// In all, and from one address.
    most: (usize, usize),
    present: Mutex<BTreeMap<IpAddr, usize>>,
}

/// A place at the table; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    guests: Arc<Guests>,
    from: IpAddr,
}

impl Guests {
    pub(super) fn at_most(in_all: usize, from_one: usize) -> Arc<Self> {
        Arc::new(Self { most: (in_all, from_one), present: Mutex::default() })
    }

    /// `None`: no place is left.
    pub(super) fn seat(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = present.values().sum();
        let here = present.get(&from).copied().unwrap_or(0);
        if all >= self.most.0 || here >= self.most.1 {
            return None;
        }
        present.insert(from, here + 1);
        Some(Place { guests: Arc::clone(self), from })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.guests.present.lock().unwrap_or_else(PoisonError::into_inner);
        match present.get_mut(&self.from) {
            Some(here) if *here > 1 => *here -= 1,
            Some(_) | None => _ = present.remove(&self.from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_places_for_others_and_gives_its_own_back() {
        let [first, second] = [IpAddr::from([100, 64, 0, 1]), IpAddr::from([100, 64, 0, 2])];
        let guests = Guests::at_most(3, 2);
        let held: Vec<Place> = (0..2).filter_map(|_| guests.seat(first)).collect();
        assert!(guests.seat(first).is_none(), "as many as one may have");
        let other = guests.seat(second);
        assert!(other.is_some());
        assert!(guests.seat(second).is_none(), "as many as there are");
        drop(held);
        assert!(guests.seat(first).is_some());
    }
}
