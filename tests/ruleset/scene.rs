//! Plays a scene: every probe's first part under the first door, then the flip, then the second parts. All that the
//! box does must be what the probes say, and nothing else.

use anyhow::{Context as _, Result};
use byway_core::posture::ruleset;
use byway_core::{Egress, Facts, Posture};

use crate::actor::Actor;
use crate::facts::open;
use crate::mutant::{self, Change};
use crate::names::{Doors, Names};
use crate::namespace::{load, run};
use crate::probe::Scene;
use crate::world::{World, introduce};

/// Unlike every other number of a rule set.
const FIRST_EPOCH: u64 = 424_200;

/// A probe in one family that did not hold, and why.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) probe: String,
    pub(crate) why: String,
}

/// What the box is told in the course of a scene: a whole rule set, then flips.
pub(crate) fn texts(scene: &Scene, facts: &Facts) -> Vec<String> {
    let mut texts = Vec::new();
    for (door, number) in scene.history.iter().zip(FIRST_EPOCH..) {
        let posture = posture(*door, facts, number);
        texts.push(if texts.is_empty() { ruleset::whole(&posture) } else { ruleset::flip(&posture) });
    }
    texts
}

fn posture(door: Option<Egress>, facts: &Facts, number: u64) -> Posture {
    match door {
        Some(egress) => open(egress, facts.clone(), number),
        None => Posture::sealed(facts.clone()),
    }
}

/// With a rule set that was changed, or as it is.
pub(crate) fn play(
    scene: &Scene,
    facts: &Facts,
    world: &mut World,
    change: Option<&Change>,
) -> Result<Vec<Failure>> {
    let mut cast = cast(scene, facts, world.next_round())?;
    let texts = texts(scene, facts);
    for (part, text) in texts.iter().enumerate() {
        if let Err(why) = load(&change.map_or_else(|| text.clone(), |change| mutant::changed(text, change))) {
            return Ok(vec![Failure { probe: String::from("nft refuses it"), why: why.to_string() }]);
        }
        if part == 0 {
            run("conntrack -F 2>&1; exec ip neigh flush dev eth0");
            if let Some(household) = &facts.household {
                introduce(cast.iter().filter_map(Actor::member), household);
            }
        }
        if part + 1 == texts.len() && !scene.damage.is_empty() {
            run(&scene.damage.join("\n"));
        }
        world.events()?;
        for actor in &mut cast {
            actor.play(part, world)?;
        }
    }
    if !scene.repair.is_empty() {
        run(&scene.repair.join("\n"));
    }
    Ok(cast.into_iter().filter_map(Actor::failure).collect())
}

fn cast<'a>(scene: &'a Scene, facts: &Facts, round: u8) -> Result<Vec<Actor<'a>>> {
    let mut cast = Vec::new();
    let door = |door: Option<&Option<Egress>>| door.copied().flatten();
    let doors = Doors { old: door(scene.history.first()), open: door(scene.history.last()) };
    for (probe, number) in scene.probes.iter().zip(3..) {
        for family in &probe.families {
            let number = u8::try_from(number).context("a scene has room for 250 probes")?;
            let names = Names::new(facts, doors, *family, (round, number));
            cast.push(Actor::new(probe, *family, names));
        }
    }
    Ok(cast)
}
