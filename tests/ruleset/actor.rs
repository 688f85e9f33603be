//! A probe in one family: does what its lines say, and compares what the box does with what they demand.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use byway_core::posture::routing::Family;

use crate::counters;
use crate::names::Names;
use crate::probe::{Probe, Step};
use crate::scene::Failure;
use crate::speak;
use crate::world::World;

/// What `#` stands for when a packet comes for the first time: a port that needs no privilege.
const FIRST_NUMBER: usize = 5001;

/// A probe in one family.
#[derive(Debug)]
pub(crate) struct Actor<'a> {
    probe: &'a Probe,
    family: Family,
    names: Names,
    /// What the box chose, under the name that the probe gave it: `$port`.
    ports: BTreeMap<String, String>,
    why: Option<String>,
}

impl<'a> Actor<'a> {
    pub(crate) fn new(probe: &'a Probe, family: Family, names: Names) -> Self {
        Self { probe, family, names, ports: BTreeMap::new(), why: None }
    }

    /// The machine of the house that it is about.
    pub(crate) fn member(&self) -> Option<IpAddr> {
        self.names.member()
    }

    /// An error is a mistake of the probe; what the box does wrong is kept.
    pub(crate) fn play(&mut self, part: usize, world: &World) -> Result<()> {
        if self.why.is_some() {
            return Ok(());
        }
        let steps = &self.probe.parts[part];
        let resolved: Vec<Vec<String>> = steps
            .iter()
            .map(|step| step.split_whitespace().map(|word| self.names.resolve(word)).collect())
            .collect::<Result<_>>()
            .with_context(|| self.probe.name.clone())?;
        let words: Vec<Vec<&str>> =
            resolved.iter().map(|step| step.iter().map(String::as_str).collect()).collect();
        let mut rest = words.as_slice();
        while !rest.is_empty() {
            let is_done = |words: &Vec<&str>| Step::parse(words).is_ok_and(|step| step.is_done());
            let first = rest.iter().position(|step| !is_done(step)).unwrap_or(rest.len());
            let next = rest[first..].iter().position(is_done).map_or(rest.len(), |next| first + next);
            let (turn, later) = rest.split_at(next);
            self.turn(turn, world).with_context(|| format!("{}: {turn:?}", self.probe.name))?;
            if self.why.is_some() {
                return Ok(());
            }
            rest = later;
        }
        Ok(())
    }

    /// Things are done, then all that follows is looked at.
    fn turn(&mut self, turn: &[Vec<&str>], world: &World) -> Result<()> {
        let filled: Vec<Vec<String>> = turn.iter().map(|words| self.filled(words)).collect();
        let filled: Vec<Vec<&str>> =
            filled.iter().map(|words| words.iter().map(String::as_str).collect()).collect();
        let steps: Vec<Step<'_>> = filled.iter().map(|words| Step::parse(words)).collect::<Result<_>>()?;
        let before = counted(&steps)?;
        let mut refusals = Vec::new();
        for step in &steps {
            refusals.extend(carry_out(step, world)?);
        }
        let heard = |step: &&Step<'_>| matches!(step, Step::Follows { pattern: ["hears", ..], .. });
        let heard = steps.iter().filter(heard).count();
        let mut events = world.events_until(|events| {
            events.iter().filter(|event| event.starts_with("hears")).count() >= heard
        })?;
        events.extend(refusals);
        self.compare(&steps, events);
        for words in turn.iter().filter(|words| words[0] == "differ") {
            let words = self.filled(words);
            if words[1] == words[2] {
                self.fail(format!("the same: {}", words[1]));
            }
        }
        for ((what, more, before), (.., after)) in before.into_iter().zip(counted(&steps)?) {
            if after != before + more {
                self.fail(format!("{}: from {before} to {after} instead of {more} more", what.join(" ")));
            }
        }
        Ok(())
    }

    fn compare(&mut self, steps: &[Step<'_>], mut events: Vec<String>) {
        // What every probe would hear is kept for those that listen.
        for protocol in ["icmp", "tcp"] {
            let listens = |step: &Step<'_>| match step {
                Step::Follows { pattern, .. } => pattern.starts_with(&["hears", protocol]),
                Step::In { .. } | Step::Say { .. } | Step::Counts { .. } | Step::Differ => false,
            };
            if !steps.iter().any(listens) {
                events.retain(|event| !event.starts_with(&format!("hears {protocol}")));
            }
        }
        for step in steps {
            let Step::Follows { pattern, times } = step else { continue };
            // Two lines may ask for the same: each takes no more than it wants.
            let mut seen = 0;
            let wanted = *times.end();
            events.retain(|event| {
                let taken = seen < wanted && self.matches(pattern, event);
                seen += usize::from(taken);
                !taken
            });
            if !times.contains(&seen) {
                self.fail(format!(
                    "seen {seen} times: {}; beside {:?}",
                    pattern.join(" "),
                    &events[..events.len().min(5)]
                ));
                return;
            }
        }
        if !events.is_empty() {
            self.fail(format!("must not be: {:?}", &events[..events.len().min(5)]));
        }
    }

    /// `*` is any word or the rest of one, `<9` a smaller number; `$name` is anything too, and is remembered.
    fn matches(&mut self, pattern: &[&str], event: &str) -> bool {
        let words: Vec<&str> = event.split_whitespace().collect();
        if words.len() != pattern.len() {
            return false;
        }
        let mut found = Vec::new();
        for (wanted, word) in pattern.iter().zip(&words) {
            let Some((start, name)) = wanted.split_once(['*', '$', '<']) else {
                if wanted == word {
                    continue;
                }
                return false;
            };
            let Some(value) = word.strip_prefix(start) else { return false };
            let number = |word: &str| word.parse::<u32>().unwrap_or(u32::MAX);
            if wanted.contains('<') && number(value) >= number(name) {
                return false;
            }
            found.push((String::from(name), String::from(value)));
        }
        self.ports.extend(found);
        true
    }

    /// With what is remembered.
    fn filled(&self, words: &[&str]) -> Vec<String> {
        let fill = |word: &&str| {
            let known = word.split_once('$').and_then(|(start, name)| Some((start, self.ports.get(name)?)));
            known.map_or_else(|| String::from(*word), |(start, port)| format!("{start}{port}"))
        };
        words.iter().map(fill).collect()
    }

    fn fail(&mut self, why: String) {
        self.why.get_or_insert(why);
    }

    pub(crate) fn failure(self) -> Option<Failure> {
        let family = match self.family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        let probe = format!("{} [{family}]", self.probe.name);
        self.why.map(|why| Failure { probe, why })
    }
}

/// The error with which the kernel refuses it, where it does.
fn carry_out(step: &Step<'_>, world: &World) -> Result<Option<String>> {
    match step {
        Step::In { interface, times, words } => {
            for number in FIRST_NUMBER..FIRST_NUMBER + times {
                let number = number.to_string();
                let words: Vec<String> = words.iter().map(|word| word.replace('#', &number)).collect();
                world.put(interface, &words.iter().map(String::as_str).collect::<Vec<_>>())?;
            }
            Ok(None)
        }
        Step::Say { way, words } => Ok(speak::say(way, words)?.map(|errno| format!("refused {errno:?}"))),
        Step::Follows { .. } | Step::Counts { .. } | Step::Differ => Ok(None),
    }
}

/// What is to be counted, how much more there should be, how much there is.
fn counted<'a>(steps: &[Step<'a>]) -> Result<Vec<(&'a [&'a str], usize, usize)>> {
    let counts = steps.iter().filter_map(|step| match step {
        Step::Counts { what, more } => Some((*what, *more)),
        Step::In { .. } | Step::Say { .. } | Step::Follows { .. } | Step::Differ => None,
    });
    counts.map(|(what, more)| Ok((what, more, counters::read(what)?))).collect()
}
