//! What a press of the button means, by how long it was held: decided when it is let go, by the kernel's own time.
//!
//! | held for | letting go |
//! |---|---|
//! | less than 3 s | the other door |
//! | 3 s to 10 s | pause, or go on after one |
//! | 10 s to 20 s | restart the box |
//! | longer | nothing: something lies on it |

use core::time::Duration;

use crate::Uptime;

const PAUSE: Duration = Duration::from_secs(3);
const RESTART: Duration = Duration::from_secs(10);
const STUCK: Duration = Duration::from_secs(20);
/// A contact that closes again so soon has not been let go: of ten presses a second each is open for longer.
const BOUNCE: Duration = Duration::from_millis(30);

/// What the kernel tells of the key, by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Down,
    Up,
    /// The key was not watched until now, and may be down.
    Found {
        down: bool,
    },
    /// There is no key any more.
    Lost,
}

/// What letting go asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gesture {
    /// The other door.
    Toggle,
    /// Sealed, or what was open before: it is the host's line.
    Pause,
    /// The whole box.
    Restart,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Button {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Up,
    Down {
        since: Uptime,
    },
    /// Let go a moment ago, perhaps by a bounce.
    Released {
        since: Uptime,
        at: Uptime,
    },
    /// Down, but not by a press that was seen to begin, or for too long. Until it is let go.
    Stuck,
}

impl Button {
    /// `at`: when it happened, which is never after now. Also the answer to a press that ended before.
    pub(super) fn on_edge(&mut self, at: Uptime, edge: Edge) -> Option<Gesture> {
        let settled = self.on_tick(at);
        self.state = match (edge, self.state) {
            (Edge::Down, State::Up) => State::Down { since: at },
            (Edge::Down, State::Released { since, .. }) => State::Down { since },
            (Edge::Up, State::Down { since }) => State::Released { since, at },
            (Edge::Down | Edge::Up, State::Released { .. } | State::Down { .. })
            | (Edge::Down, State::Stuck) => self.state,
            (Edge::Up, State::Up | State::Stuck) | (Edge::Found { down: false } | Edge::Lost, _) => State::Up,
            (Edge::Found { down: true }, _) => State::Stuck,
        };
        settled
    }

    pub(super) fn on_tick(&mut self, now: Uptime) -> Option<Gesture> {
        match self.state {
            State::Released { since, at } if now.since(at) >= BOUNCE => {
                self.state = State::Up;
                gesture(at.since(since))
            }
            State::Down { since } if now.since(since) >= STUCK => {
                self.state = State::Stuck;
                None
            }
            State::Up | State::Down { .. } | State::Released { .. } | State::Stuck => None,
        }
    }

    /// When `on_tick` or `held` has something new to say.
    pub(super) fn deadline(&self, now: Uptime) -> Option<Uptime> {
        match self.state {
            State::Down { since } => {
                [PAUSE, RESTART, STUCK].into_iter().map(|span| since + span).find(|at| *at > now)
            }
            State::Released { at, .. } => Some(at + BOUNCE),
            State::Up | State::Stuck => None,
        }
    }

    /// Since when a press lasts.
    pub(super) const fn held_since(&self) -> Option<Uptime> {
        match self.state {
            State::Down { since } => Some(since),
            State::Up | State::Released { .. } | State::Stuck => None,
        }
    }

    /// What letting go now asks for.
    pub(super) fn held(&self, now: Uptime) -> Option<Gesture> {
        self.held_since().and_then(|since| gesture(now.since(since)))
    }

    pub(super) const fn is_stuck(&self) -> bool {
        matches!(self.state, State::Stuck)
    }
}

fn gesture(held: Duration) -> Option<Gesture> {
    if held < PAUSE {
        Some(Gesture::Toggle)
    } else if held < RESTART {
        Some(Gesture::Pause)
    } else if held < STUCK {
        Some(Gesture::Restart)
    } else {
        None
    }
}

impl Gesture {
    /// Both asked for, and neither answered yet: the last wish wins, and two presses are none.
    pub(super) fn after(self, earlier: Option<Self>) -> Option<Self> {
        match (earlier, self) {
            (Some(Self::Restart), _) | (_, Self::Restart) => Some(Self::Restart),
            (Some(Self::Toggle), Self::Toggle) | (Some(Self::Pause), Self::Pause) => None,
            (Some(Self::Pause) | None, Self::Toggle) => Some(Self::Toggle),
            (Some(Self::Toggle) | None, Self::Pause) => Some(Self::Pause),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const fn at(ms: u64) -> Uptime {
        Uptime::since_boot(Duration::from_millis(ms))
    }

    /// Every gesture of these edges, and of the time after them.
    fn gestures(edges: &[(u64, Edge)]) -> Vec<Gesture> {
        let mut button = Button::default();
        let mut seen = Vec::new();
        for (ms, edge) in edges {
            seen.extend(button.on_edge(at(*ms), *edge));
        }
        seen.extend(button.on_tick(at(1_000_000)));
        seen
    }

    #[test]
    fn letting_go_decides_by_how_long_it_was_held() {
        for (held, gesture) in [
            (1, Some(Gesture::Toggle)),
            (2_999, Some(Gesture::Toggle)),
            (3_000, Some(Gesture::Pause)),
            (9_999, Some(Gesture::Pause)),
            (10_000, Some(Gesture::Restart)),
            (19_999, Some(Gesture::Restart)),
            (20_000, None),
            (500_000, None),
        ] {
            let seen = gestures(&[(100, Edge::Down), (100 + held, Edge::Up)]);
            assert_eq!(seen, Vec::from_iter(gesture), "{held} ms");
        }
    }

    #[test]
    fn a_bouncing_contact_is_one_press_from_its_first_closing() {
        let bounces =
            [(0, Edge::Down), (5, Edge::Up), (9, Edge::Down), (2_990, Edge::Up), (3_010, Edge::Down)];
        let mut edges = Vec::from(bounces);
        edges.extend([(3_015, Edge::Up)]);
        assert_eq!(gestures(&edges), [Gesture::Pause]);
    }

    #[test]
    fn ten_presses_a_second_are_ten_presses() {
        let edges: Vec<(u64, Edge)> =
            (0..10).flat_map(|nth| [(nth * 100, Edge::Down), (nth * 100 + 50, Edge::Up)]).collect();
        assert_eq!(gestures(&edges), [Gesture::Toggle; 10]);
    }

    #[test]
    fn a_key_that_is_down_when_it_is_found_means_nothing_until_it_was_let_go() {
        let found = [(0, Edge::Found { down: true }), (50, Edge::Down), (100, Edge::Up)];
        assert_eq!(gestures(&found), []);
        let then = [(200, Edge::Down), (300, Edge::Up)];
        assert_eq!(gestures(&[&found[..], &then[..]].concat()), [Gesture::Toggle]);
        assert_eq!(gestures(&[(0, Edge::Found { down: false }), (5, Edge::Up)]), []);
    }

    #[test]
    fn a_key_that_goes_away_while_it_is_down_means_nothing() {
        assert_eq!(gestures(&[(0, Edge::Down), (4_000, Edge::Lost)]), []);
    }

    #[test]
    fn while_it_is_held_it_says_what_letting_go_will_do_and_when_that_changes() {
        let mut button = Button::default();
        button.on_edge(at(100), Edge::Down);
        for (now, held, next) in [
            (100, Some(Gesture::Toggle), Some(3_100)),
            (3_100, Some(Gesture::Pause), Some(10_100)),
            (10_100, Some(Gesture::Restart), Some(20_100)),
            (20_100, None, None),
        ] {
            assert_eq!(button.on_tick(at(now)), None);
            assert_eq!((button.held(at(now)), button.deadline(at(now))), (held, next.map(at)), "{now} ms");
        }
        assert!(button.is_stuck());
        button.on_edge(at(30_000), Edge::Up);
        assert!(!button.is_stuck());
    }

    #[test]
    fn what_nobody_has_taken_yet_gives_way_to_the_last_wish() {
        use Gesture::{Pause, Restart, Toggle};
        for (earlier, later, wanted) in [
            (None, Toggle, Some(Toggle)),
            (Some(Toggle), Toggle, None),
            (Some(Toggle), Pause, Some(Pause)),
            (Some(Pause), Pause, None),
            (Some(Pause), Toggle, Some(Toggle)),
            (Some(Toggle), Restart, Some(Restart)),
            (Some(Restart), Toggle, Some(Restart)),
        ] {
            assert_eq!(later.after(earlier), wanted, "{earlier:?}, then {later:?}");
        }
    }
}
