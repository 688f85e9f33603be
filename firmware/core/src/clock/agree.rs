//! Decides which time servers to believe, and what hosts with certificates say to it.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::IpAddr;
use core::time::Duration;

/// Beside half of its round trip a good server is no further from the truth.
const SERVER_ERROR: Duration = Duration::from_millis(100);
/// A host's own clock, its whole seconds, and an answer that was slow.
const NEAR: Duration = Duration::from_secs(5);

/// What one time server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub server: IpAddr,
    /// The house has named it, by DHCP.
    pub is_houses: bool,
    /// What its clock showed at our boot.
    pub at_boot: Duration,
    pub round_trip: Duration,
}

/// The date that a host has told, with a certificate that is good at that date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Date {
    pub host: String,
    pub at_boot: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Silence,
    /// Two at least, and most of those that have answered; the best has the shortest way.
    Agreed {
        best: Sample,
        of: usize,
    },
    /// Also a lone one, with nobody to agree with.
    Disagreed(Vec<Sample>),
}

/// What the hosts with certificates say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Silence,
    Date(Date),
    Disagreed(Date, Date),
}

impl Sample {
    fn earliest(&self) -> Duration {
        self.at_boot.saturating_sub(self.error())
    }

    fn latest(&self) -> Duration {
        self.at_boot + self.error()
    }

    fn error(&self) -> Duration {
        self.round_trip / 2 + SERVER_ERROR
    }

    fn may_be(&self, moment: Duration) -> bool {
        (self.earliest()..=self.latest()).contains(&moment)
    }
}

impl Verdict {
    /// However many servers the house names, its word is one: whoever owns the house's network owns them all.
    pub(super) fn of(samples: Vec<Sample>) -> Self {
        let (houses, mut voters): (Vec<_>, Vec<_>) = samples.into_iter().partition(|sample| sample.is_houses);
        voters.extend(houses.into_iter().min_by_key(|sample| sample.round_trip));
        // Where most intervals meet, one of them begins (Marzullo's algorithm).
        let meeting = |moment| voters.iter().filter(move |sample| sample.may_be(moment));
        let most = voters.iter().map(Sample::earliest).max_by_key(|at| (meeting(*at).count(), Reverse(*at)));
        let Some(most) = most else { return Self::Silence };
        let of = meeting(most).count();
        match meeting(most).min_by_key(|sample| sample.round_trip).cloned() {
            Some(best) if of >= 2 && 2 * of > voters.len() => Self::Agreed { best, of },
            Some(_) | None => Self::Disagreed(voters),
        }
    }

    pub(super) const fn agreed(&self) -> usize {
        match self {
            Self::Silence | Self::Disagreed(_) => 0,
            Self::Agreed { of, .. } => *of,
        }
    }

    /// The server to go by, once a host with a certificate stands by it.
    pub(super) fn confirmed_by(&self, date: &Date) -> Option<&Sample> {
        let is_near = |sample: &&Sample| sample.at_boot.abs_diff(date.at_boot) <= NEAR;
        match self {
            Self::Silence => None,
            Self::Agreed { best, .. } => Some(best).filter(is_near),
            Self::Disagreed(samples) => samples.iter().filter(is_near).min_by_key(|sample| sample.round_trip),
        }
    }
}

impl Word {
    pub(super) fn of(dates: &[Date], is_plausible: impl Fn(Duration) -> bool) -> Self {
        let mut dates = dates.iter().filter(|date| is_plausible(date.at_boot));
        let Some(first) = dates.next() else { return Self::Silence };
        match dates.find(|date| date.at_boot.abs_diff(first.at_boot) > 2 * NEAR) {
            Some(other) => Self::Disagreed(first.clone(), other.clone()),
            None => Self::Date(first.clone()),
        }
    }
}
