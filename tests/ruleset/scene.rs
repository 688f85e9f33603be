//! Plays a scene: every probe's first part under the first door, then the flip, then the second parts. All that the
//! box does must be what the probes say, and nothing else.

use std::iter;
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use byway_core::posture::ruleset;
use byway_core::{Egress, Facts, Posture, Refused};

use crate::actor::Actor;
use crate::facts::open;
use crate::mutant::{self, Change};
use crate::names::{self, Doors, Names};
use crate::namespace::{load, run};
use crate::probe::Scene;
use crate::world::{World, introduce};

/// Unlike every other number of a rule set.
const FIRST_EPOCH: u64 = 424_200;

/// Where tailscaled answers names.
const TAILSCALED_S_NAMES: u16 = 40_123;

/// A probe in one family that did not hold, and why.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) probe: String,
    pub(crate) why: String,
}

/// What the box is told in the course of a scene: a whole rule set, then flips.
pub(crate) fn texts(scene: &Scene, facts: &Facts, round: u8) -> Vec<String> {
    let mut postures: Vec<Posture> = Vec::new();
    for (part, (door, number)) in scene.history.iter().zip(FIRST_EPOCH..).enumerate() {
        let refused = scene.pause.filter(|pause| part >= *pause).map(|_| refused(round)).unwrap_or_default();
        let opened = match door {
            _ if scene.pause == Some(part) && part > 0 => postures[part - 1].clone(),
            Some(egress) => open(*egress, facts.clone(), number),
            None => Posture::sealed(facts.clone()),
        };
        postures.push(Posture { refused, ..opened });
    }
    let before = iter::once(None).chain(postures.iter().map(Some));
    let text = |(before, posture): (Option<&Posture>, &Posture)| match before {
        None => ruleset::whole(posture),
        Some(before) if posture.differs_in_refused_alone(before) => ruleset::refuse(posture),
        Some(_) => ruleset::flip(posture),
    };
    before.zip(&postures).map(text).collect()
}

/// Each probe's client.
fn refused(round: u8) -> Refused {
    let mut clients: Vec<IpAddr> = (0..=u8::MAX).flat_map(|number| names::client(round, number)).collect();
    clients.sort();
    Refused { clients, name_ports: Vec::from([TAILSCALED_S_NAMES]) }
}

/// With a rule set that was changed, or as it is.
pub(crate) fn play(
    scene: &Scene,
    facts: &Facts,
    world: &mut World,
    change: Option<&Change>,
) -> Result<Vec<Failure>> {
    let round = world.next_round();
    let mut cast = cast(scene, facts, round)?;
    let texts = texts(scene, facts, round);
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
