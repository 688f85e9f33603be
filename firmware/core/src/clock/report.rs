//! What may be told of the clock, and the sentence for each doubt.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::agree::{Verdict, Word};
use super::{Now, Offset, Source};
use crate::Uptime;

/// For the view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockReport {
    /// `None` before the clock was looked at.
    pub source: Option<Source>,
    /// How wrong the clock was when it was last checked.
    pub offset: Option<Offset>,
    pub checked: Option<Uptime>,
    /// Time servers that have answered the last question, and those of them that agree.
    pub answered: usize,
    pub agreed: usize,
    pub trouble: Option<Trouble>,
}

/// Why the clock is not what it should be, or its servers are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    Silence,
    Lone(IpAddr),
    Disagreed(Vec<(IpAddr, Duration)>),
    Unconfirmed(Duration),
    Contradicted { said: Duration, host: String },
    Hosts([(String, Duration); 2]),
    LeftAlone(Offset),
    CannotSet { offset: Offset, error: String },
    CannotRaise { shown: Duration, error: String },
    Impossible(Duration),
}

impl ClockReport {
    /// What the owner has to know at once: that there is no time, or that somebody lies about it.
    pub(crate) fn complaint(&self) -> Option<String> {
        let trouble = self.trouble.as_ref()?;
        (self.source == Some(Source::None) || trouble.is_a_lie()).then(|| trouble.to_string())
    }

    /// Whether the hour of the day may be believed.
    pub(crate) const fn tells_the_hour(&self) -> bool {
        match self.source {
            Some(Source::Saved | Source::Rtc | Source::Tls | Source::Ntp) => true,
            Some(Source::None | Source::Build) | None => false,
        }
    }

    pub(crate) fn without_ages(&self) -> Self {
        Self { checked: None, offset: None, ..self.clone() }
    }
}

impl Trouble {
    pub(super) fn of(verdict: &Verdict, word: &Word, now: Now) -> Self {
        let shown = |at_boot: Duration| at_boot + now.uptime.elapsed_since_boot();
        match (verdict, word) {
            (Verdict::Silence | Verdict::Disagreed(_), Word::Disagreed(one, other)) => {
                Self::Hosts([one, other].map(|date| (date.host.clone(), shown(date.at_boot))))
            }
            (Verdict::Silence, Word::Silence | Word::Date(_)) => Self::Silence,
            (Verdict::Agreed { best, .. }, Word::Silence | Word::Disagreed(..)) => {
                Self::Unconfirmed(shown(best.at_boot))
            }
            (Verdict::Agreed { best, .. }, Word::Date(date)) => {
                Self::Contradicted { said: shown(best.at_boot), host: date.host.clone() }
            }
            (Verdict::Disagreed(samples), Word::Silence | Word::Date(_)) => match &samples[..] {
                [lone] => Self::Lone(lone.server),
                samples => Self::Disagreed(samples.iter().map(|of| (of.server, shown(of.at_boot))).collect()),
            },
        }
    }

    const fn is_a_lie(&self) -> bool {
        match self {
            Self::Disagreed(_) | Self::Unconfirmed(_) | Self::Contradicted { .. } | Self::Hosts(_) => true,
            Self::Silence
            | Self::Lone(_)
            | Self::LeftAlone(_)
            | Self::CannotSet { .. }
            | Self::CannotRaise { .. }
            | Self::Impossible(_) => false,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => f.write_str("no time server answers"),
            Self::Lone(server) => write!(f, "only one time server answers, {server}"),
            Self::Disagreed(servers) => {
                f.write_str("the time servers do not agree: ")?;
                for (nth, (server, said)) in servers.iter().enumerate() {
                    let comma = if nth == 0 { "" } else { ", " };
                    write!(f, "{comma}{server} says {}", Day(*said))?;
                }
                Ok(())
            }
            Self::Unconfirmed(said) => {
                write!(f, "the time servers say {}, and no certificate's host confirms it", Day(*said))
            }
            Self::Contradicted { said, host } => {
                write!(f, "the time servers say {}, which {host} contradicts", Day(*said))
            }
            Self::Hosts([(one, first), (other, second)]) => {
                let (first, second) = (Day(*first), Day(*second));
                write!(f, "no time server is sure, {one} says {first} and {other} says {second}")
            }
            Self::LeftAlone(offset) => {
                write!(f, "the clock is {offset}, and [clock] keep = \"none\" leaves that to somebody else")
            }
            Self::CannotSet { offset, error } => {
                write!(f, "the clock is {offset} and cannot be set: {error}")
            }
            Self::CannotRaise { shown, error } => {
                write!(f, "the clock shows {} and cannot be set: {error}", Day(*shown))
            }
            Self::Impossible(shown) => {
                write!(f, "the clock shows {}, which cannot be right", Day(*shown))
            }
        }
    }
}

/// A day with hour and minute, as people write it; `{:#}` as RFC 3339 does.
pub(crate) struct Day(pub(crate) Duration);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.as_secs() / 60;
        let (mut day, mut year) = (minutes / (24 * 60), 1970);
        while day >= days_of(year) {
            day -= days_of(year);
            year += 1;
        }
        let february = days_of(year) - 337;
        let mut month = 1;
        for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if day < days {
                break;
            }
            day -= days;
            month += 1;
        }
        let (hour, minute) = (minutes / 60 % 24, minutes % 60);
        let (between, zone) = if f.alternate() { ("T", "Z") } else { (" ", "") };
        write!(f, "{year}-{month:02}-{:02}{between}{hour:02}:{minute:02}{zone}", day + 1)
    }
}

const fn days_of(year: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if is_leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_days_as_the_calendar_has_them() {
        let day = |seconds| Day(Duration::from_secs(seconds)).to_string();
        assert_eq!(day(0), "1970-01-01 00:00");
        assert_eq!(day(951_825_599), "2000-02-29 11:59");
        assert_eq!(day(1_795_680_000), "2026-11-26 08:00");
        assert_eq!(day(1_798_761_599), "2026-12-31 23:59");
        assert_eq!(day(4_107_542_400), "2100-03-01 00:00");
    }
}
