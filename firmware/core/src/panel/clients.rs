//! How many devices have gone out by the box lately.

use core::time::Duration;

use crate::{Uptime, View};

/// Longer than an idle app is silent.
const LATELY: Duration = Duration::from_mins(1);

/// `None`: nobody can tell.
pub(super) fn lately(view: &View, now: Uptime) -> Option<usize> {
    let clients = view.clients.as_ref()?.iter();
    Some(clients.filter(|client| client.last_seen.is_some_and(|last| now.since(last) < LATELY)).count())
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;
    use crate::clients::ClientView;

    fn at(seconds: u64) -> Uptime {
        Uptime::since_boot(Duration::from_secs(seconds))
    }

    fn seen(last_seen: Option<u64>) -> ClientView {
        ClientView {
            id: None,
            name: None,
            addresses: Vec::new(),
            tx_bytes: 1,
            rx_bytes: 1,
            since: None,
            last_seen: last_seen.map(at),
            path: None,
            paused: false,
            limit_mbit: None,
        }
    }

    #[test]
    fn who_was_seen_within_a_minute_is_counted() {
        let unknown = View::without_configuration(at(0), String::new());
        assert_eq!(lately(&unknown, at(100)), None);
        let of = |all: &[Option<u64>]| {
            let clients = Some(all.iter().copied().map(seen).collect());
            lately(&View { clients, ..unknown.clone() }, at(100))
        };
        assert_eq!(of(&[]), Some(0));
        assert_eq!(of(&[Some(99), Some(41), Some(40), None]), Some(2));
    }
}
