//! `byway check`: reads a configuration offline.

use std::path::Path;

use super::Ending;
use crate::config;

pub(super) fn check(file: &Path) -> Ending {
    match config::load(file) {
        Ok(_) => {
            println!("{}: good", file.display());
            Ending::Done
        }
        Err(mistakes) => {
            eprintln!("{mistakes}");
            Ending::Usage
        }
    }
}
