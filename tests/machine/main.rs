//! What needs another kernel than this machine's may be: a radio, and a USB stick with FAT. Tried in a machine of its own,
//! which QEMU emulates where the processor cannot lend itself; nothing of this machine is changed, and no root is needed.

mod card;
mod image;
mod machine;
mod root;
mod sticks;
mod wifi;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use byway_lab::machine::{Kernel, Machine};
use libtest_mimic::{Arguments, Failed, Trial};

type Scene = (&'static str, fn(&Bench) -> Result<()>);

const SCENES: &[Scene] = &[
    ("the_radio_carries_while_there_is_no_cable", wifi::carries_while_there_is_no_cable),
    ("sticks_are_taken_over_or_answered_and_left_alone", sticks::are_taken_over_or_answered),
    (
        "a_stick_rescues_a_box_whose_own_configuration_is_broken",
        sticks::rescue_a_box_whose_own_configuration_is_broken,
    ),
    ("a_card_is_waited_with_and_taken_over", card::is_waited_with_and_taken_over),
];

/// What every machine boots from.
pub(crate) struct Bench {
    kernel: Kernel,
    root: PathBuf,
}

impl Bench {
    fn prepare() -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/machine");
        let kernel = Kernel::find(&folder.join("kernel"))?;
        let root = folder.join("root.cpio");
        let agent = Path::new(env!("CARGO_BIN_EXE_byway"));
        root::write(&root, &kernel, agent).context("no root for the machine")?;
        Ok(Self { kernel, root })
    }

    pub(crate) fn boot(&self) -> Result<Machine> {
        let mut machine = machine::boot(&self.kernel, &self.root)?;
        // As an image does before its interfaces are up; the kernel loads what a rule set needs.
        machine.wait_for("its first rule set", "byway seal && echo sealed", |said| said == "sealed")?;
        Ok(machine)
    }
}

fn main() -> Result<()> {
    let mut arguments = Arguments::from_args();
    // One after the other: an emulated machine needs more than one processor.
    arguments.test_threads = Some(1);
    let bench = Arc::new(Bench::prepare()?);
    let trials = SCENES.iter().map(|(name, scene)| {
        let bench = Arc::clone(&bench);
        Trial::test(*name, move || scene(&bench).map_err(|error| Failed::from(format!("{error:#}"))))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit()
}
