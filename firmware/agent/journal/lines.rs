//! When a line of a log was written, and the lines of two logs in that order. Pure.

use std::fmt;
use std::time::{Duration, SystemTime};

use byway_core::Uptime;

/// What begins a line of the agent's: `2026-11-26T22:10:00.123Z +12.345`, or `- +12.345` while nobody knows the time.
pub(super) struct Moment {
    pub(super) wall: Option<Duration>,
    pub(super) uptime: Uptime,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wall {
            Some(wall) => {
                write!(f, "{}", humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + wall))?;
            }
            None => f.write_str("-")?,
        }
        write!(f, " +{:.3}", self.uptime.elapsed_since_boot().as_secs_f64())
    }
}

/// Whose a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Agent,
    Tailscaled,
}

/// As it is shown: tailscaled's say that they are, and tell the time as ours do.
pub(super) fn shown(line: &str, whose: Whose) -> String {
    match (whose, written_by_tailscaled(line)) {
        (Whose::Agent, _) => line.to_owned(),
        (Whose::Tailscaled, Some((at, text))) => format!("{at} tailscaled: {text}"),
        (Whose::Tailscaled, None) => format!("tailscaled: {line}"),
    }
}

/// Both in the order in which they were written; a line that does not tell its time belongs to the one before it. What
/// was written before anybody knew the time comes first.
pub(super) fn merge(agent: &str, tailscaled: &str) -> Vec<String> {
    let mut agent = timed(agent, Whose::Agent).peekable();
    let mut tailscaled = timed(tailscaled, Whose::Tailscaled).peekable();
    let mut merged = Vec::new();
    loop {
        let next = match (agent.peek(), tailscaled.peek()) {
            (Some((ours, _)), Some((theirs, _))) if ours <= theirs => agent.next(),
            (Some(_) | None, Some(_)) => tailscaled.next(),
            (Some(_) | None, None) => agent.next(),
        };
        let Some((_, line)) = next else { return merged };
        merged.push(line);
    }
}

/// Each line with the time that counts for it, which sorts as text.
fn timed(log: &str, whose: Whose) -> impl Iterator<Item = (String, String)> {
    let mut last = String::new();
    log.lines().map(move |line| {
        let at = match whose {
            Whose::Agent => written_by_agent(line).map(str::to_owned),
            Whose::Tailscaled => written_by_tailscaled(line).map(|(at, _)| at),
        };
        if let Some(at) = at {
            last = at;
        }
        (last.clone(), shown(line, whose))
    })
}

fn written_by_agent(line: &str) -> Option<&str> {
    let (at, rest) = line.split_once(' ')?;
    (at.ends_with('Z') && humantime::parse_rfc3339(at).is_ok() && rest.starts_with('+')).then_some(at)
}

/// As Go's log package writes it, `2026/11/26 22:10:00 text`, in UTC; and the rest.
fn written_by_tailscaled(line: &str) -> Option<(String, &str)> {
    let (day, rest) = line.split_once(' ')?;
    let (time, text) = rest.split_once(' ')?;
    let at = format!("{}T{time}Z", day.replace('/', "-"));
    humantime::parse_rfc3339(&at).ok()?;
    Some((at, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_tells_the_time_where_it_is_known() {
        let (wall, uptime) = (Duration::from_millis(1_795_680_000_123), Duration::from_millis(12_345));
        let moment = |wall| Moment { wall, uptime: Uptime::since_boot(uptime) }.to_string();
        assert_eq!(moment(Some(wall)), "2026-11-26T08:00:00.123Z +12.345");
        assert_eq!(moment(None), "- +12.345");
        assert_eq!(written_by_agent(&(moment(Some(wall)) + "  INFO x")), Some("2026-11-26T08:00:00.123Z"));
        assert_eq!(written_by_agent(&(moment(None) + "  INFO x")), None);
    }

    #[test]
    fn merges_by_time_and_keeps_what_belongs_together() {
        let agent = "- +1.000  INFO starting\n\
                     2026-11-26T08:00:01.500Z +9.000  INFO open\n\
                     2026-11-26T08:00:05.000Z +12.500 ERROR panicked at x.rs:1:2:\n\
                     it went wrong\n";
        let tailscaled = "panic: no time told\n\
                          2026/11/26 08:00:01 logtail started\n\
                          goroutine 1 [running]:\n\
                          2026/11/26 08:00:09.123456 magicsock: closed\n";
        assert_eq!(
            merge(agent, tailscaled),
            [
                "- +1.000  INFO starting",
                "tailscaled: panic: no time told",
                "2026-11-26T08:00:01.500Z +9.000  INFO open",
                "2026-11-26T08:00:01Z tailscaled: logtail started",
                "tailscaled: goroutine 1 [running]:",
                "2026-11-26T08:00:05.000Z +12.500 ERROR panicked at x.rs:1:2:",
                "it went wrong",
                "2026-11-26T08:00:09.123456Z tailscaled: magicsock: closed",
            ]
        );
    }

    #[test]
    fn one_log_alone_is_merged_too() {
        assert_eq!(merge("", "2026/11/26 08:00:01 a\n"), ["2026-11-26T08:00:01Z tailscaled: a"]);
        assert_eq!(merge("- +1.000  INFO a\n", ""), ["- +1.000  INFO a"]);
        assert!(merge("", "").is_empty());
    }
}
