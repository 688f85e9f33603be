//! Leaves out one thing after the other, plays every scene, and tells which probes notice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use byway_core::Facts;

use crate::house;
use crate::mutant::{self, Mutant};
use crate::namespace::{in_a_namespace, run};
use crate::probe::Scene;
use crate::scene::{Failure, play, texts};
use crate::unseen::UNSEEN;
use crate::world::World;

/// A word: only what has it in its name is left out.
const WANTED: &str = "BYWAY_MUTATE";
/// Most of what is missing will not come.
const SHORT_PATIENCE: Duration = Duration::from_millis(20);
/// How many probes a line of the table names.
const NAMED: usize = 3;

/// The probes that do not hold.
pub(crate) fn failures(scene: Scene) -> Result<Vec<Failure>> {
    in_a_namespace(move || {
        let facts = house::facts(scene.house)?;
        play(&scene, &facts, &mut World::raise(&facts)?, None)
    })
}

/// Which probes fail without each thing; a mutant that no probe sees has none.
pub(crate) fn survey(scenes: Vec<Scene>) -> Result<BTreeMap<Mutant, BTreeSet<String>>> {
    let mut seen = BTreeMap::new();
    let each =
        scenes.into_iter().map(|scene| thread::spawn(move || in_a_namespace(move || of_scene(&scene))));
    for played in each.collect::<Vec<_>>() {
        let played = played.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        for (mutant, probes) in played {
            seen.entry(mutant).or_insert_with(BTreeSet::new).extend(probes);
        }
    }
    Ok(seen)
}

fn of_scene(scene: &Scene) -> Result<Vec<(Mutant, Vec<String>)>> {
    let facts = house::facts(scene.house)?;
    let mut world = World::raise(&facts)?;
    let healthy = play(scene, &facts, &mut world, None)?;
    ensure!(healthy.is_empty(), "{}: with everything in place: {healthy:?}", scene.name);
    world.patience = SHORT_PATIENCE;
    mutants(scene, &facts)
        .into_iter()
        .map(|mutant| {
            let failures = played_without(&mutant, scene, &facts, &mut world);
            let failures = failures.with_context(|| format!("{}, without {mutant}", scene.name))?;
            let probes = failures.into_iter().map(|failure| format!("{}: {}", scene.name, failure.probe));
            Ok((mutant, probes.collect()))
        })
        .collect()
}

fn mutants(scene: &Scene, facts: &Facts) -> BTreeSet<Mutant> {
    let all = mutant::of_rule_sets(&texts(scene, facts, 0)).into_iter().chain(mutant::of_routing(facts));
    let wanted = std::env::var(WANTED).unwrap_or_default();
    let told = all.map(|mutant| (mutant.to_string(), mutant));
    let told = told.filter(|(label, _)| label.contains(scene.about) && label.contains(&wanted));
    told.map(|(_, mutant)| mutant).collect()
}

fn played_without(mutant: &Mutant, scene: &Scene, facts: &Facts, world: &mut World) -> Result<Vec<Failure>> {
    match mutant {
        Mutant::RuleSet(change) => play(scene, facts, world, Some(change)),
        Mutant::Routing(line) => {
            let before = routing();
            run(&mutant::command(line, "del"));
            let failures = play(scene, facts, world, None);
            // A scene's repair may have brought it back.
            run(&format!("{} 2>/dev/null || true", mutant::command(line, "add")));
            let after = routing();
            ensure!(before == after, "not put back: {before} {after}");
            failures
        }
    }
}

fn routing() -> String {
    run("for family in -4 -6; do
            ip $family rule
            ip $family route show table 7001
            ip $family route show table 7002
        done | sed 's/ proto [a-z]*//'")
}

/// A Markdown table, and the mutants that nobody saw though somebody should.
pub(crate) fn table(seen: &BTreeMap<Mutant, BTreeSet<String>>) -> (String, Vec<String>) {
    let mut table = String::from("| without | these fail |\n|---|---|\n");
    let mut survivors = Vec::new();
    for (mutant, probes) in seen {
        let label = mutant.to_string();
        let reason = UNSEEN.iter().find(|(unseen, _)| *unseen == label).map(|(_, reason)| reason);
        let verdict = match (probes.len(), reason) {
            (0, Some(reason)) => format!("none: {reason}"),
            (0, None) => String::from("**none**"),
            (all, Some(_)) => format!("**some, and it was said that none can:** {}", named(probes, all)),
            (all, None) => named(probes, all),
        };
        if verdict.starts_with("**") {
            survivors.push(label.clone());
        }
        _ = writeln!(table, "| `{}` | {verdict} |", label.replace('|', "\\|"));
    }
    (table, survivors)
}

fn named(probes: &BTreeSet<String>, all: usize) -> String {
    let first: Vec<&str> = probes.iter().take(NAMED).map(String::as_str).collect();
    let rest = if all > NAMED { format!("; and {} more", all - NAMED) } else { String::new() };
    first.join("; ") + &rest
}
