//! What is told of the relays: what keeps them from carrying, and what is odd about the one that does.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::{Obstacle, RelayView, Relays, Role};
use crate::Lack;

impl Relays {
    /// What keeps every one of them from carrying.
    pub(crate) fn lack(&self) -> Lack {
        let obstacles =
            self.all.iter().filter_map(|candidate| Some((candidate, candidate.obstacle.as_ref()?)));
        let farthest = obstacles.min_by_key(|(_, obstacle)| Reverse(obstacle.distance()));
        let Some((candidate, obstacle)) = farthest else {
            return Lack::Relay(match self.name() {
                Some(name) => format!("proving the relay {name}"),
                None => String::from("no relay is known yet"),
            });
        };
        if let Obstacle::NotMullvad(address) = obstacle {
            return Lack::NotMullvad(*address);
        }
        let sentence = candidate.sentence().unwrap_or_default();
        let lost = self.now_current().filter(|lost| lost.obstacle == Some(Obstacle::FellSilent));
        Lack::Relay(match (self.all.len(), lost) {
            (1, _) => sentence,
            // Nobody has taken its place.
            (_, Some(lost)) if *obstacle != Obstacle::FellSilent => {
                format!("{}; {sentence}", lost.sentence().unwrap_or_default())
            }
            (many, _) => format!("none of {many} relays is proven: {sentence}"),
        })
    }

    /// What is odd about the one that carries, and whom it has replaced.
    pub(crate) fn oddities(&self) -> Vec<String> {
        let Some(candidate) = self.now_current() else { return Vec::new() };
        let port = candidate.blocked_port().map(|blocked| {
            let port = candidate.endpoint().port();
            format!("the relay is reached by port {port}: nothing came back from {blocked}")
        });
        let narrow = candidate.is_narrow().then(|| {
            format!(
                "bigger packets vanish on the way to the relay: the tunnel carries {}",
                candidate.end().mtu
            )
        });
        let left = self.left.and_then(|left| self.get(left)).filter(|left| left.proof().is_none());
        let left = left.map(|left| format!("the relay {} fell silent", left.settings.name));
        [port, narrow, left].into_iter().flatten().collect()
    }

    /// In the list's order; where they are as the files have it.
    pub(crate) fn views(&self) -> Vec<RelayView> {
        let proven = self.others().filter(|candidate| candidate.proof().is_some());
        let standby = proven.map(|candidate| candidate.id).min_by_key(|relay| self.order(*relay));
        let role = |relay| match self.taken {
            Some(_) if Some(relay) == self.current => Role::Active,
            Some(_) if Some(relay) == standby => Role::Standby,
            Some(_) | None => Role::Spare,
        };
        self.all.iter().map(|candidate| candidate.view(role(candidate.id))).collect()
    }
}
