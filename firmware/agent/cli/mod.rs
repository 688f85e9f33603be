//! The command line: what each command prints and with which code it ends (DESIGN 7). Nothing else of the agent
//! prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the part that prints")]

mod ask;
mod check;
mod clients;
mod command_line;
mod logs;
mod panel;
mod relays;
mod report;
mod reset;
mod spare;
mod terminal;
mod text;

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, ExitCode};

use anyhow::Context as _;
use clap::Parser as _;

use crate::journal;
use crate::last_words;
use crate::net;
use crate::run;
use crate::store::folder_of;
use crate::watchdog;

use command_line::{Cli, ClientDeed, ClientName, Command, Deed, Names, PanelDeed, RunDir, SpareDeed};

/// How a command ended; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Done = 0,
    Usage = 2,
    NotAsWished = 3,
}

pub fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(ending) => ExitCode::from(ending as u8),
        Err(error) => {
            eprintln!("byway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<Ending> {
    match command {
        Command::Run { config, from, state_dir, spare, run_dir } => {
            run(&run::Paths { config, card: from, state_dir, spare, run_dir: run_dir.run_dir })
        }
        Command::Seal(RunDir { run_dir }) => seal(&run_dir),
        Command::Status { json, watch, run_dir } => ask::status(&run_dir.run_dir, json, watch),
        Command::Egress { wish, wait, run_dir } => ask::egress(&run_dir.run_dir, wish, wait.seconds()),
        Command::Toggle { wait, run_dir } => ask::toggle(&run_dir.run_dir, wait.seconds()),
        Command::Check { file } => Ok(check::check(&file)),
        Command::Clients { deed: None, json, run_dir } => clients::list(&run_dir.run_dir, json),
        Command::Clients { deed: Some(ClientDeed::Pause(ClientName { name, run_dir })), .. } => {
            clients::pause(&run_dir.run_dir, name)
        }
        Command::Clients { deed: Some(ClientDeed::Resume(ClientName { name, run_dir })), .. } => {
            clients::resume(&run_dir.run_dir, name)
        }
        Command::Relays { deed: None, json, run_dir } => relays::list(&run_dir.run_dir, json),
        Command::Relays { deed: Some(Deed::Use { name, wait, run_dir }), .. } => {
            relays::use_one(&run_dir.run_dir, &name, wait.seconds())
        }
        Command::Relays { deed: Some(Deed::List { country, json, run_dir }), .. } => {
            relays::catalogue(&run_dir.run_dir, country.as_deref(), json)
        }
        Command::Relays { deed: Some(Deed::Test { json, run_dir }), .. } => {
            relays::test(&run_dir.run_dir, json)
        }
        Command::Panel { deed: PanelDeed::Show { json, small, watch, run_dir } } => {
            let form = match (json, small) {
                (true, _) => panel::Form::Json,
                (false, true) => panel::Form::Small,
                (false, false) => panel::Form::Drawn,
            };
            panel::show(&run_dir.run_dir, form, watch)
        }
        Command::Panel { deed: PanelDeed::Test(RunDir { run_dir }) } => panel::test(&run_dir),
        Command::Dns { names: Names { name: Some(name), kind, log: _ }, json, run_dir } => {
            ask::name(&run_dir.run_dir, &name, &kind, json)
        }
        Command::Dns { names: Names { name: None, .. }, json, run_dir } => ask::log(&run_dir.run_dir, json),
        Command::Doctor { json, run_dir } => ask::doctor(&run_dir.run_dir, json),
        Command::Spare { deed: SpareDeed::Restore { device, state_dir } } => {
            spare::restore(&device, &state_dir)
        }
        Command::Spare { deed: SpareDeed::Wipe { device } } => spare::wipe(&device),
        Command::Reset { yes, state_dir, run_dir } => reset::reset(&state_dir, &run_dir.run_dir, yes),
        Command::Report { config, state_dir, run_dir } => report::report(&report::Places {
            config: &config,
            state_dir: &state_dir,
            run_dir: &run_dir.run_dir,
        }),
        Command::Logs { lines, follow, run_dir } => logs::show(&run_dir.run_dir, lines, follow),
    }
}

fn run(paths: &run::Paths) -> anyhow::Result<Ending> {
    journal::start(&paths.run_dir);
    if paths.card.as_ref().is_some_and(|card| is_folder_of(card, &paths.config)) {
        eprintln!("byway: --from is the folder of --config: name another one, the box's own, there");
        return Ok(Ending::Usage);
    }
    match run::main(paths).inspect_err(last_words::failed)? {
        run::Ended::Stopped => Ok(Ending::Done),
        run::Ended::Renewed => Err(run_anew()),
        run::Ended::BadConfig(mistakes) => {
            eprintln!("{mistakes}");
            Ok(Ending::Usage)
        }
    }
}

/// What is handed over is wiped there once the box has it.
fn is_folder_of(folder: &Path, file: &Path) -> bool {
    matches!((folder.canonicalize(), folder_of(file).canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// In this process's place, by the same command line; returns only what keeps it from that.
fn run_anew() -> anyhow::Error {
    watchdog::hand_on();
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| "byway".into());
    let error = process::Command::new("/proc/self/exe").arg0(name).args(arguments).exec();
    anyhow::Error::new(error).context("cannot start anew with the new configuration")
}

/// Asks the agent if there is one; the rule set is sealed in any case.
fn seal(run_dir: &Path) -> anyhow::Result<Ending> {
    if run::is_running(run_dir) {
        return ask::seal(run_dir);
    }
    net::seal_now().context("the box is not sealed")?;
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_not_the_boxs_own() {
        let folder = tempfile::tempdir().unwrap();
        let card = folder.path().join("card");
        std::fs::create_dir(&card).unwrap();
        assert!(is_folder_of(&card, &card.join("byway.toml")));
        assert!(is_folder_of(&card, &card.join("../card/byway.toml")));
        assert!(!is_folder_of(&card, &folder.path().join("byway.toml")));
        assert!(!is_folder_of(&card, &folder.path().join("not-there-yet/byway.toml")));
    }
}
