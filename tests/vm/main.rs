//! The card in a Pi that QEMU emulates. On a bench: the panel as the hand and the eye know it, from outside. In a house of
//! the lab's world, with real peers: from power to carrying, through reboots, power cuts, damage and a frozen agent. Kernel,
//! root and command line are what the card says; a Pi's firmware alone is a fake (`byway_lab::firmware`). What only a Pi can
//! show is in board/rpi/panel.md.

mod added;
mod agent;
mod board;
mod bus;
mod card;
mod cost;
mod cuts;
mod damage;
mod files;
mod first_boot;
mod frozen;
mod hardware;
mod household;
mod lines;
mod owner;
mod panel;
mod pi;
mod presses;
mod redirection;
mod second_adapter;
mod tree;
mod way_in;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow};
use libtest_mimic::{Arguments, Failed, Trial};

use household::Household;
use pi::Bench;

type OnBench = (&'static str, fn(&Bench) -> Result<()>);
type InHouse = (&'static str, fn(&mut Household) -> Result<()>);

const ON_BENCH: &[OnBench] = &[
    ("lamps_button_and_screen_are_where_the_overlay_says", hardware::is_where_the_overlay_says),
    ("the_panel_tells_the_truth_and_obeys", panel::tells_the_truth),
    ("long_presses_pause_go_on_and_restart", presses::pause_go_on_and_restart),
    ("a_pi_3_comes_up_from_the_same_card", board::a_pi_3_comes_up),
    ("the_card_is_made_of_the_trees_files", files::are_the_trees),
];

/// One world, one card for most of them; the order is its life.
const IN_HOUSE: &[InHouse] = &[
    ("without_a_configuration_it_waits_sealed_and_says_what_to_do", owner::waits_sealed),
    ("a_mistake_and_a_reboot_keep_what_was_good_and_wished", owner::keeps_what_was_good),
    ("the_owner_logs_in_by_the_tailnet_with_and_without_an_agent", way_in::is_open),
    ("a_machine_at_a_second_adapter_is_given_all_it_needs_and_leaves_by_the_door", second_adapter::serves),
    ("at_full_load_there_is_memory_left", cost::memory_at_full_load),
    ("an_idle_box_hardly_writes", cost::idle_writes),
    ("a_full_data_carries_through_a_power_cut", damage::full_data),
    ("a_frozen_agent_is_bitten_and_the_box_carries_again", frozen::is_bitten),
    // The last one on this card.
    ("a_power_cut_and_a_broken_data_carry_again", damage::broken_data),
    ("from_power_to_carrying_sealed_before_any_interface", first_boot::from_power_to_carrying),
    ("a_power_cut_at_the_join_leaves_one_node_that_carries", cuts::at_the_join),
    ("two_power_cuts_of_the_first_boot_carry_in_the_end", cuts::twice_in_first_boot),
];

/// The long versions (`just soak`).
const SOAKS: &[InHouse] = &[
    ("soak_50_power_cuts_of_normal_life_carry_again", cuts::fifty_in_normal_life),
    ("soak_50_power_cuts_of_the_first_boot_carry_in_the_end", cuts::fifty_in_first_boot),
    ("soak_half_an_idle_hour_hardly_writes", cost::half_an_idle_hour),
];

fn main() -> Result<()> {
    let mut arguments = Arguments::from_args();
    // One after the other: an emulated machine keeps a processor busy.
    arguments.test_threads = Some(1);
    let bench = Arc::new(Bench::prepare()?);
    let house = Arc::new(Mutex::new(None));
    let on_bench = ON_BENCH.iter().map(|(name, scene)| {
        let bench = Arc::clone(&bench);
        Trial::test(*name, move || scene(&bench).map_err(told))
    });
    let in_house = |(name, scene): &InHouse| {
        let (bench, house, scene) = (Arc::clone(&bench), Arc::clone(&house), *scene);
        Trial::test(*name, move || at_home(&bench, &house, scene).map_err(told))
    };
    let soaks = SOAKS.iter().map(|soak| in_house(soak).with_ignored_flag(true));
    let trials = IN_HOUSE.iter().map(in_house).chain(on_bench).chain(soaks).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Before the process ends: the world is taken down by its Drop.
    drop(house.lock().unwrap_or_else(PoisonError::into_inner).take());
    conclusion.exit()
}

/// Raises the world for the first scene that is played in it, and again after one that failed.
fn at_home(
    bench: &Arc<Bench>,
    house: &Mutex<Option<Household>>,
    scene: fn(&mut Household) -> Result<()>,
) -> Result<()> {
    let mut house = house.lock().unwrap_or_else(PoisonError::into_inner);
    if house.is_none() {
        *house = Some(Household::raise(bench)?);
    }
    let standing = house.as_mut().context("there is no house")?;
    let outcome = scene(standing).map_err(|error| anyhow!("{error:#}\n{}", standing.words()));
    if outcome.is_err() {
        // Whatever it left broken is not the next one's business.
        *house = None;
    }
    outcome
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn told(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}
