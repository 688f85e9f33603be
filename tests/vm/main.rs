//! A Pi that QEMU emulates, with the card's overlay and the binary that is built for it: the panel as the hand and the eye
//! know it, from outside. The button is a line that is pulled to ground, the lamps are lines that are read, the screen is
//! what its chip has been told. On a real Pi nothing of this is verified: board/rpi/panel.md has the list for that.

mod agent;
mod bus;
mod hardware;
mod lines;
mod panel;
mod pi;
mod presses;
mod redirection;
mod root;
mod tree;

use std::sync::Arc;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

use pi::Bench;

type Scene = (&'static str, fn(&Bench) -> Result<()>);

const SCENES: &[Scene] = &[
    ("lamps_button_and_screen_are_where_the_overlay_says", hardware::is_where_the_overlay_says),
    ("the_panel_tells_the_truth_and_obeys", panel::tells_the_truth),
    ("long_presses_pause_go_on_and_restart", presses::pause_go_on_and_restart),
];

fn main() -> Result<()> {
    let mut arguments = Arguments::from_args();
    // One after the other: an emulated machine keeps a processor busy.
    arguments.test_threads = Some(1);
    let bench = Arc::new(Bench::prepare()?);
    let trials = SCENES.iter().map(|(name, scene)| {
        let bench = Arc::clone(&bench);
        Trial::test(*name, move || scene(&bench).map_err(|error| Failed::from(format!("{error:#}"))))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit()
}
