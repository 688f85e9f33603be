//! `byway panel`: what it shows, as often as that changes; and the walk along its parts.

mod walk;

use std::io::{IsTerminal as _, Write as _, stdin};
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::ask::wait_for;
use super::terminal::{Ink, Paper};
use super::{Ending, text};
use crate::control::Panel;
use crate::control::client::Client;
use walk::Walk;

/// Between two looks: a press is shown while it lasts.
const LOOK: Duration = Duration::from_millis(200);
/// Home, and clear what is below.
const ANEW: &str = "\x1b[H\x1b[J";

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Json,
    Small,
    /// As large as there is room for.
    Drawn,
}

pub(super) fn show(run_dir: &Path, form: Form, watch: bool) -> anyhow::Result<Ending> {
    wait_for(async {
        let client = Client::new(run_dir);
        let mut shown = None::<Panel>;
        loop {
            let panel: Panel = client.get("/v1/panel").await?;
            if shown.as_ref() != Some(&panel) {
                print(&panel, form, watch)?;
            }
            if !watch {
                return Ok(Ending::Done);
            }
            shown = Some(panel);
            sleep(LOOK).await;
        }
    })
}

fn print(panel: &Panel, form: Form, watch: bool) -> anyhow::Result<()> {
    let paper = Paper::of_stdout();
    let anew = if watch && paper.ink != Ink::Plain { ANEW } else { "" };
    let text = match form {
        Form::Json => serde_json::to_string(panel)? + "\n",
        Form::Small => anew.to_owned() + &text::panel(panel, paper.small()),
        Form::Drawn => anew.to_owned() + &text::panel(panel, paper),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Whatever happens on the way, the panel tells the truth again afterwards.
pub(super) fn test(run_dir: &Path) -> anyhow::Result<Ending> {
    if !stdin().is_terminal() {
        eprintln!("byway: `panel test` asks what you see: run it in a terminal (by ssh: `ssh -t`)");
        return Ok(Ending::Usage);
    }
    wait_for(async {
        let mut walk = Walk::begin(Client::new(run_dir))?;
        let outcome = walk.along_all_parts().await;
        let ended = walk.end().await;
        let findings = outcome?;
        ended?;
        print!("\n{}", text::walked(&findings));
        let is_right = findings.iter().all(|finding| !finding.is_wrong());
        Ok(if is_right { Ending::Done } else { Ending::NotAsWished })
    })
}
