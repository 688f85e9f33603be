//! `byway check`: reads a configuration offline.

use std::path::Path;

use super::Ending;
use crate::handover;

pub(super) fn check(file: &Path) -> Ending {
    match handover::check(file) {
        Ok(kept) => {
            println!("{}: good", file.display());
            for (file, secret) in kept {
                println!("{}: {secret} is kept: the box's own", file.display());
            }
            Ending::Done
        }
        Err(mistakes) => {
            eprintln!("{mistakes}");
            Ending::Usage
        }
    }
}
