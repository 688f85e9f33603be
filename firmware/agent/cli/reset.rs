//! `byway reset`: forgets everything, for a new owner.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use super::{Ending, ask};
use crate::reset;
use crate::tailnet::{self, LocalApi};

/// Without `yes` nothing is done but said.
pub(super) fn reset(state_dir: &Path, run_dir: &Path, yes: bool) -> anyhow::Result<Ending> {
    if !yes {
        eprintln!(
            "byway: this makes the box forget its configuration and the owner's files on its card, its keys and its place \
             on the tailnet, its wishes and its logs, and restarts it; write `byway reset --yes` if you mean it"
        );
        return Ok(Ending::Usage);
    }
    reset::ensure_lasting(state_dir)?;
    ask::wait_for(async {
        // The mark comes first: whoever reaches the box by the tailnet may be gone with the next step.
        reset::mark(state_dir)?;
        let _survives = signal(SignalKind::hangup())?;
        if let Err(error) = LocalApi::new(tailnet::socket(run_dir)).log_out().await {
            eprintln!("byway: {error}: remove the box at the control server by hand");
        }
        println!("the box forgets everything and starts anew");
        reset::reboot().await?;
        Ok(Ending::Done)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_word_it_is_only_told() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("byway");
        assert_eq!(reset(&state, folder.path(), false).unwrap(), Ending::Usage);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
}
