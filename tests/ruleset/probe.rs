//! The probes as they stand in `probes/*.txt`, and what one of them demands; how they are written: `probes/README.md`.

use std::ops::RangeInclusive;

use anyhow::{Context as _, Result, bail, ensure};
use byway_core::Egress;
use byway_core::posture::routing::Family;

use crate::speak::Way;

/// A history of doors, and what must be true of single packets in each part of it.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) house: &'static str,
    /// The first is loaded whole; to each of the others the box is flipped.
    pub(crate) history: Vec<Option<Egress>>,
    /// From this part of it on each probe's client is paused.
    pub(crate) pause: Option<usize>,
    /// A word of the mutants that this is for, where it has nothing to say about the rest.
    pub(crate) about: &'static str,
    /// What somebody else does once the last door is open, and how it is undone.
    pub(crate) damage: Vec<&'static str>,
    pub(crate) repair: Vec<&'static str>,
    pub(crate) probes: Vec<Probe>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Probe {
    pub(crate) name: String,
    pub(crate) families: Vec<Family>,
    /// One for each door of the scene's history.
    pub(crate) parts: Vec<Vec<String>>,
}

impl Scene {
    pub(crate) fn parse(name: &'static str, texts: &[&'static str]) -> Result<Self> {
        let mut scene = Self {
            name,
            house: "dual-stack",
            history: Vec::new(),
            pause: None,
            about: "",
            damage: Vec::new(),
            repair: Vec::new(),
            probes: Vec::new(),
        };
        let lines = texts
            .iter()
            .flat_map(|text| text.lines())
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut paragraph: Vec<&str> = Vec::new();
        for line in lines.chain(["the end"]) {
            if line.starts_with(' ') {
                paragraph.push(line.trim());
                continue;
            }
            let steps = std::mem::take(&mut paragraph);
            if let Some((title, steps)) = steps.split_first() {
                scene.take(title, steps).with_context(|| format!("{name}: {title}"))?;
            }
            paragraph.push(line);
        }
        for probe in &scene.probes {
            let (parts, doors) = (probe.parts.len(), scene.history.len());
            ensure!(parts == doors, "{name}: {} has {parts} parts for {doors} doors", probe.name);
        }
        Ok(scene)
    }

    fn take(&mut self, title: &'static str, steps: &[&'static str]) -> Result<()> {
        match title.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["house", house] => self.house = house,
            ["history", doors @ ..] => {
                for word in doors {
                    let is_pause = *word == "pause";
                    if is_pause {
                        self.pause = Some(self.history.len());
                    }
                    let before = self.history.last().copied().flatten().filter(|_| is_pause);
                    self.history.push(if is_pause { before } else { door(word)? });
                }
            }
            ["about", word] => self.about = word,
            ["damage"] => self.damage = steps.to_vec(),
            ["repair"] => self.repair = steps.to_vec(),
            _ => self.probes.extend(probes(title, steps)?),
        }
        Ok(())
    }
}

fn door(word: &&str) -> Result<Option<Egress>> {
    Ok(match *word {
        "privacy" => Some(Egress::Privacy),
        "residential" => Some(Egress::Residential),
        "sealed" => None,
        other => bail!("no such door: {other}"),
    })
}

/// One, or one for each word of a line `for NAME in ..`.
fn probes(title: &str, steps: &[&str]) -> Result<Vec<Probe>> {
    let Some(at) = steps.iter().position(|step| step.starts_with("for ")) else {
        return Ok(vec![probe(title, steps)?]);
    };
    let words: Vec<&str> = steps[at].split_whitespace().collect();
    let ["for", variables, "in", values @ ..] = words.as_slice() else { bail!("not a list: {}", steps[at]) };
    let mut found = Vec::new();
    for value in values {
        let rest = steps[..at].iter().chain(&steps[at + 1..]);
        let pairs: Vec<(&str, &str)> = variables.split(',').zip(value.split(',')).collect();
        let filled = |step: &&str| {
            pairs.iter().fold(String::from(*step), |step, (name, value)| step.replace(name, value))
        };
        let rest: Vec<String> = rest.map(filled).collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        found.extend(probes(&format!("{title} ({value})"), &rest)?);
    }
    Ok(found)
}

fn probe(title: &str, steps: &[&str]) -> Result<Probe> {
    let mut probe =
        Probe { name: String::from(title), families: Family::BOTH.to_vec(), parts: vec![Vec::new()] };
    for step in steps {
        match *step {
            "only v4" => probe.families = vec![Family::V4],
            "only v6" => probe.families = vec![Family::V6],
            "flip" => probe.parts.push(Vec::new()),
            step => probe.parts.last_mut().context("a probe has a part")?.push(String::from(step)),
        }
    }
    Ok(probe)
}

/// One line of a probe: something is done, or something must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// So many times a packet arrives by an interface.
    In { interface: &'a str, times: usize, words: &'a [&'a str] },
    /// A program of the box speaks.
    Say { way: Way<'a>, words: &'a [&'a str] },
    /// So often it is seen.
    Follows { pattern: &'a [&'a str], times: RangeInclusive<usize> },
    /// So much more stands in a counter, or in a set's counter of a client.
    Counts { what: &'a [&'a str], more: usize },
    /// Two words, once they are known.
    Differ,
}

impl<'a> Step<'a> {
    pub(crate) fn parse(words: &'a [&'a str]) -> Result<Self> {
        Ok(match words {
            ["in", interface, "many", times, words @ ..] => {
                Self::In { interface, times: times.parse()?, words }
            }
            ["in", interface, words @ ..] => Self::In { interface, times: 1, words },
            ["say", words @ ..] => {
                let (way, words) = way(words)?;
                Self::Say { way, words }
            }
            ["some", least, most, pattern @ ..] => {
                Self::Follows { pattern, times: least.parse()?..=most.parse()? }
            }
            ["out" | "hears" | "refused", ..] => Self::Follows { pattern: words, times: 1..=1 },
            ["counts", what @ .., more] => Self::Counts { what, more: more.parse()? },
            ["differ", _, _] => Self::Differ,
            _ => bail!("not a step: {}", words.join(" ")),
        })
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::In { .. } | Self::Say { .. })
    }
}

fn way<'a>(mut words: &'a [&'a str]) -> Result<(Way<'a>, &'a [&'a str])> {
    let mut way = Way::default();
    loop {
        words = match words {
            ["mark", mark, rest @ ..] => {
                way.mark = Some(u32::from_str_radix(mark.trim_start_matches("0x"), 16)?);
                rest
            }
            ["dev", device, rest @ ..] => {
                way.device = Some(device);
                rest
            }
            ["bound", rest @ ..] => {
                way.bound = true;
                rest
            }
            _ => return Ok((way, words)),
        };
    }
}
