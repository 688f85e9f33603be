//! What the owner hands over to the box: `byway.toml` and the files that it names, on the card's first partition or on a USB
//! stick. Read, checked, taken over if it is good, answered in plain words where it lies. Nothing there is ever run.
//!
//! The box starts from a copy of its own. After the join the card's secrets are wiped, comments and all else kept, and
//! the word `kept` stands for each: the one that the box has.

mod answer;
mod card;
mod files;
mod held;
mod offer;
mod remount;
mod secrets;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use crate::config::ConfigError;

pub use answer::{Home, Place, STATUS};
pub use card::{look, settle};
pub use files::Failure;
use held::Held;
pub use offer::check;

const NAME: &str = "byway.toml";

/// What became of what the owner has handed over.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is no `byway.toml`.
    Nothing,
    /// There is none, but one whose name has another end.
    Misnamed,
    /// The box has it already.
    Same,
    /// The box had it, and a stick has brought another since.
    Overruled,
    /// Now it has.
    TakenOver {
        /// Those that were handed over.
        files: Vec<String>,
        /// What was replaced, by its new name.
        kept: Vec<String>,
    },
    Mistakes(ConfigError),
    /// It is good, and could not be written.
    Failed(Failure),
}

/// Puts what lies in `folder` in the place of the box's own configuration, if it is good. `config`: that one, whose
/// folder holds the files that it names.
pub fn take_over(folder: &Path, config: &Path) -> Verdict {
    let held = Held::by(config);
    offer::find(folder, &held).map_or_else(|verdict| verdict, |offer| held.take_over(offer))
}

/// Onto a stick, before this returns.
pub fn answer_on_stick(stick: &Path, verdict: &Verdict) -> io::Result<()> {
    files::answer(&stick.join(STATUS), &answer::on_stick(verdict))
}
