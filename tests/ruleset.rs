//! The rule set packet by packet: what may leave a box by which door, what may come in, and what must never be seen.
//! Each scene in a network namespace of its own, whose interfaces end in the test's hands. Needs root, `ip`, `nft`
//! and `conntrack`. `just mutate` leaves out one rule after the other and asks which probe notices.

use anyhow::{Context as _, Result};

use crate::probe::Scene;

#[path = "ruleset/actor.rs"]
mod actor;
#[path = "ruleset/counters.rs"]
mod counters;
#[path = "kernel/facts.rs"]
mod facts;
#[path = "ruleset/house.rs"]
mod house;
#[path = "ruleset/mutant.rs"]
mod mutant;
#[path = "ruleset/names.rs"]
mod names;
#[path = "kernel/namespace.rs"]
mod namespace;
#[path = "ruleset/probe.rs"]
mod probe;
#[path = "ruleset/read.rs"]
mod read;
#[path = "ruleset/scene.rs"]
mod scene;
#[path = "ruleset/sentinel.rs"]
mod sentinel;
#[path = "ruleset/speak.rs"]
mod speak;
#[path = "ruleset/survey.rs"]
mod survey;
#[path = "ruleset/train.rs"]
mod train;
#[path = "ruleset/unseen.rs"]
mod unseen;
#[path = "ruleset/wire.rs"]
mod wire;
#[path = "ruleset/world.rs"]
mod world;
#[path = "ruleset/write.rs"]
mod write;

/// Its name, and the texts that make it.
type Script = (&'static str, &'static [&'static str]);

const SCENES: [Script; 43] = [
    (
        "privacy",
        &[
            "history privacy",
            OPEN_DOOR,
            include_str!("ruleset/probes/privacy.txt"),
            TO_THE_BOX,
            FROM_THE_BOX,
            NAMES,
        ],
    ),
    (
        "residential",
        &[
            "history residential",
            OPEN_DOOR,
            include_str!("ruleset/probes/residential.txt"),
            TO_THE_BOX,
            FROM_THE_BOX,
            NAMES,
        ],
    ),
    (
        "sealed",
        &["history sealed", include_str!("ruleset/probes/sealed.txt"), TO_THE_BOX, FROM_THE_BOX, NAMES],
    ),
    ("privacy to residential", &["history privacy residential", OLD_FLOWS, STUB_LOSES_ITS_DOOR]),
    ("residential to privacy", &["history residential privacy", OLD_FLOWS, STUB_LOSES_ITS_DOOR]),
    ("privacy again", &["history privacy privacy", OLD_FLOWS]),
    (
        "residential again",
        &["history residential residential", OLD_FLOWS, include_str!("ruleset/probes/residential_again.txt")],
    ),
    (
        "there and back",
        &["history privacy residential privacy", include_str!("ruleset/probes/there_and_back.txt")],
    ),
    ("privacy to sealed", &["history privacy sealed", TO_SEALED, STUB_LOSES_ITS_DOOR]),
    ("residential to sealed", &["history residential sealed", TO_SEALED, STUB_LOSES_ITS_DOOR]),
    ("rule set alone", &[include_str!("ruleset/probes/astray.txt")]),
    ("rule set alone, residential", &[include_str!("ruleset/probes/astray_residential.txt")]),
    ("routes alone", &[include_str!("ruleset/probes/no_rule_set.txt")]),
    ("routes alone, in the house", &["history privacy", STAYS]),
    ("routes alone, in a public house", &["house public", "history residential", STAYS]),
    ("routes alone, in a carrier grade house", &["house carrier-grade", "history residential", STAYS]),
    ("last resort of the tunnel", &[include_str!("ruleset/probes/no_tunnel_route.txt")]),
    ("last resort of privacy", &["history privacy", NO_DOOR_ROUTE]),
    ("last resort of residential", &["history residential", NO_DOOR_ROUTE]),
    ("carrier grade house", &[include_str!("ruleset/probes/carrier_grade.txt")]),
    ("public house", &[include_str!("ruleset/probes/public_house.txt")]),
    ("narrow tunnel", &[include_str!("ruleset/probes/narrow_tunnel.txt")]),
    ("strict house", &[include_str!("ruleset/probes/strict.txt")]),
    ("owner's house", &[include_str!("ruleset/probes/owners.txt")]),
    ("mute house", &[include_str!("ruleset/probes/mute.txt")]),
    ("trusting house", &[include_str!("ruleset/probes/trusting.txt")]),
    ("slow house", &[include_str!("ruleset/probes/slow.txt")]),
    ("crowd", &[include_str!("ruleset/probes/crowd.txt")]),
    ("pause by privacy", &["history privacy pause", PAUSE]),
    ("pause by residential", &["history residential pause", PAUSE]),
    (
        "privacy after a pause",
        &["history residential pause privacy", include_str!("ruleset/probes/pause_and_flip.txt")],
    ),
    ("no address yet", &[include_str!("ruleset/probes/no_address.txt")]),
    ("members, privacy", &["house served", "history privacy", HOUSEHOLD]),
    ("members, residential", &["house served", "history residential", HOUSEHOLD]),
    (
        "members, sealed",
        &["house served", "history sealed", include_str!("ruleset/probes/household_sealed.txt")],
    ),
    ("members, privacy to residential", &["house served", "history privacy residential", HOUSEHOLD_FLIP]),
    ("members, residential to privacy", &["house served", "history residential privacy", HOUSEHOLD_FLIP]),
    ("members apart, privacy", &["history privacy", APART]),
    ("members apart, residential", &["history residential", APART]),
    (
        "members apart, no IPv6 in the house",
        &["history privacy", include_str!("ruleset/probes/no_ipv6_in_the_house.txt")],
    ),
    ("reach, sealed", &["history sealed", REACH]),
    ("reach, residential", &["history residential", REACH]),
    ("reach and a pause", &["history residential pause", include_str!("ruleset/probes/reach_pause.txt")]),
];

const HOUSEHOLD: &str = include_str!("ruleset/probes/household.txt");
const HOUSEHOLD_FLIP: &str = include_str!("ruleset/probes/household_flip.txt");
const APART: &str = include_str!("ruleset/probes/household_apart.txt");
const REACH: &str = include_str!("ruleset/probes/reach.txt");

const OPEN_DOOR: &str = include_str!("ruleset/probes/open_door.txt");
const TO_THE_BOX: &str = include_str!("ruleset/probes/to_the_box.txt");
const FROM_THE_BOX: &str = include_str!("ruleset/probes/from_the_box.txt");
const NAMES: &str = include_str!("ruleset/probes/names.txt");
const OLD_FLOWS: &str = include_str!("ruleset/probes/old_flows.txt");
const STUB_LOSES_ITS_DOOR: &str = include_str!("ruleset/probes/stub_loses_its_door.txt");
const STAYS: &str = include_str!("ruleset/probes/stays_in_the_house.txt");
const TO_SEALED: &str = include_str!("ruleset/probes/to_sealed.txt");
const NO_DOOR_ROUTE: &str = include_str!("ruleset/probes/no_door_route.txt");

const PAUSE: &str = include_str!("ruleset/probes/pause.txt");

#[test]
fn privacy() -> Result<()> {
    holds("privacy")
}

#[test]
fn residential() -> Result<()> {
    holds("residential")
}

#[test]
fn sealed() -> Result<()> {
    holds("sealed")
}

#[test]
fn privacy_to_residential() -> Result<()> {
    holds("privacy to residential")
}

#[test]
fn residential_to_privacy() -> Result<()> {
    holds("residential to privacy")
}

#[test]
fn privacy_again() -> Result<()> {
    holds("privacy again")
}

#[test]
fn residential_again() -> Result<()> {
    holds("residential again")
}

#[test]
fn there_and_back() -> Result<()> {
    holds("there and back")
}

#[test]
fn privacy_to_sealed() -> Result<()> {
    holds("privacy to sealed")
}

#[test]
fn residential_to_sealed() -> Result<()> {
    holds("residential to sealed")
}

#[test]
fn rule_set_alone() -> Result<()> {
    holds("rule set alone")
}

#[test]
fn rule_set_alone_residential() -> Result<()> {
    holds("rule set alone, residential")
}

#[test]
fn routes_alone() -> Result<()> {
    holds("routes alone")
}

#[test]
fn last_resort_of_the_tunnel() -> Result<()> {
    holds("last resort of the tunnel")
}

#[test]
fn last_resort_of_privacy() -> Result<()> {
    holds("last resort of privacy")
}

#[test]
fn last_resort_of_residential() -> Result<()> {
    holds("last resort of residential")
}

#[test]
fn carrier_grade_house() -> Result<()> {
    holds("carrier grade house")
}

#[test]
fn routes_alone_in_each_house() -> Result<()> {
    holds("routes alone, in the house")?;
    holds("routes alone, in a public house")?;
    holds("routes alone, in a carrier grade house")
}

#[test]
fn public_house() -> Result<()> {
    holds("public house")
}

#[test]
fn narrow_tunnel() -> Result<()> {
    holds("narrow tunnel")
}

#[test]
fn trusting_house() -> Result<()> {
    holds("trusting house")
}

#[test]
fn slow_house() -> Result<()> {
    holds("slow house")
}

#[test]
fn strict_house() -> Result<()> {
    holds("strict house")
}

#[test]
fn owners_house() -> Result<()> {
    holds("owner's house")
}

#[test]
fn mute_house() -> Result<()> {
    holds("mute house")
}

#[test]
fn crowd() -> Result<()> {
    holds("crowd")
}

#[test]
fn pause_by_each_door() -> Result<()> {
    holds("pause by privacy")?;
    holds("pause by residential")?;
    holds("privacy after a pause")
}

#[test]
fn no_address_yet() -> Result<()> {
    holds("no address yet")
}

#[test]
fn members_privacy() -> Result<()> {
    holds("members, privacy")
}

#[test]
fn members_residential() -> Result<()> {
    holds("members, residential")
}

#[test]
fn members_sealed() -> Result<()> {
    holds("members, sealed")
}

#[test]
fn members_privacy_to_residential() -> Result<()> {
    holds("members, privacy to residential")
}

#[test]
fn members_residential_to_privacy() -> Result<()> {
    holds("members, residential to privacy")
}

#[test]
fn members_apart_privacy() -> Result<()> {
    holds("members apart, privacy")
}

#[test]
fn members_apart_residential() -> Result<()> {
    holds("members apart, residential")
}

#[test]
fn members_apart_without_ipv6_in_the_house() -> Result<()> {
    holds("members apart, no IPv6 in the house")
}

#[test]
fn reach_and_a_pause() -> Result<()> {
    holds("reach and a pause")
}

#[test]
fn reach_sealed() -> Result<()> {
    holds("reach, sealed")
}

#[test]
fn reach_residential() -> Result<()> {
    holds("reach, residential")
}

/// Whatever is left out, a probe fails.
#[test]
#[ignore = "minutes: just mutate"]
#[expect(clippy::print_stdout, reason = "the table is what it is run for")]
fn nothing_can_be_left_out() -> Result<()> {
    let scenes = SCENES.map(|(name, texts)| Scene::parse(name, texts)).into_iter().collect::<Result<_>>()?;
    let (table, survivors) = survey::table(&survey::survey(scenes)?);
    println!("{table}");
    assert!(survivors.is_empty(), "no probe fails without:\n{}", survivors.join("\n"));
    Ok(())
}

fn holds(name: &str) -> Result<()> {
    let script = SCENES.iter().find(|(known, _)| *known == name).context("no such scene")?;
    let failures = survey::failures(Scene::parse(script.0, script.1)?)?;
    let lines = failures.iter().map(|failure| format!("{}\n    {}\n", failure.probe, failure.why));
    assert!(failures.is_empty(), "{name}:\n{}", lines.collect::<String>());
    Ok(())
}
