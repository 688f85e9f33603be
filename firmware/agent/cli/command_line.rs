//! The command line: which commands there are, what each takes, and what its help says.

use std::path::PathBuf;

use byway_core::Wish;
use clap::{Parser, Subcommand};

use crate::control::dns;

/// A box that lends its tailnet two ways out: Mullvad, or the house it stands in.
///
/// Exit codes: 0 done; 1 failed; 2 usage or configuration; 3 `status` or `doctor` found the box not doing what is
/// wished, `relays test` a relay that is not proven, or somebody at `panel test` sees what should not be.
#[derive(Debug, Parser)]
#[command(name = "byway", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the agent: join the tailnet, raise the tunnel, open the wished door once it is proven. Needs root; logs
    /// to stderr, and to `RUN_DIR` for `byway logs`. SIGTERM seals the box and leaves tailscaled running; SIGINT stops tailscaled too.
    Run {
        /// The configuration; the files it names lie beside it.
        #[arg(long, default_value = "/boot/byway.toml")]
        config: PathBuf,
        /// Where the owner puts files: the card's first partition, mounted read-only. A good byway.toml there, and
        /// what it names, takes the place of --config before that is read; BYWAY-STATUS.txt there tells what became of
        /// it; after the join its secrets are wiped. Without a good one anywhere the box waits, and says so.
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        /// What must survive a power cut.
        #[arg(long, default_value = "/data/byway")]
        state_dir: PathBuf,
        /// The card's device: its gap before the first partition has room for a second copy of the few files in
        /// --state-dir that the box is lost without. See `byway spare`.
        #[arg(long, value_name = "DEVICE")]
        spare: Option<PathBuf>,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Load the sealed rule set: no client packet leaves. Prints nothing. What the image runs before any interface
    /// is up; with a live agent it is `byway egress sealed`.
    Seal(RunDir),
    /// Tell what is proven now.
    Status {
        /// One JSON object, for scripts.
        #[arg(long)]
        json: bool,
        /// Again at every change, until interrupted.
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Tell the wish and the door, or wish another: privacy, residential or sealed.
    Egress {
        /// privacy: by Mullvad. residential: by the house's line. sealed: not at all.
        wish: Option<Wish>,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Do what the button does: wish the other of privacy and residential; from sealed, the last one before.
    Toggle {
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Read a configuration without touching anything: every mistake with line, column and what to write instead. A
    /// secret that is `kept` is the box's own, and told.
    Check {
        /// byway.toml; the files it names are looked for beside it.
        file: PathBuf,
    },
    /// List the tailnet peers that have gone out since the boot, the busiest first: bytes each way, when, and whether they
    /// are reached directly or by a relay server of the tailnet's. A client that is paused is listed in any case.
    #[command(args_conflicts_with_subcommands = true)]
    Clients {
        #[command(subcommand)]
        deed: Option<ClientDeed>,
        /// For scripts.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// List the box's relays, the preferred one first: which one carries, which one stands by, and what is known of each.
    #[command(args_conflicts_with_subcommands = true)]
    Relays {
        #[command(subcommand)]
        deed: Option<Deed>,
        /// For scripts.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Draw what the panel shows, or walk along its light, screen and button with somebody who looks at it.
    Panel {
        #[command(subcommand)]
        deed: PanelDeed,
    },
    /// Ask for a name as a client would, and tell by which door and whom the answer came. Fails (1) when there is
    /// none: no such name, no such record, no answer.
    Dns {
        #[command(flatten)]
        names: Names,
        /// For scripts.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Check every promise now, one line each.
    Doctor {
        /// For scripts.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Forget everything, for a new owner: configuration, keys, wishes, the owner's files on the card; the tailnet is asked
    /// to forget the box too. Restarts it.
    Reset {
        /// Do it. Without this it is only said what would be done (2).
        #[arg(long)]
        yes: bool,
        /// What the agent was started with.
        #[arg(long, default_value = "/data/byway")]
        state_dir: PathBuf,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Print one text to be mailed to whoever helps: versions, status, doctor, relays, how the box stopped last, and all logs'
    /// ends; without any secret, name or address of yours. Also when the agent is dead.
    Report {
        /// Read for what must not be in it.
        #[arg(long, default_value = "/data/byway/config/byway.toml")]
        config: PathBuf,
        /// What the agent was started with.
        #[arg(long, default_value = "/data/byway")]
        state_dir: PathBuf,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Tell what the agent and tailscaled have logged since the boot, in the order in which they did; a line of
    /// tailscaled's begins with its name. It is in memory, the newest 512 KB of the agent's: also when neither lives.
    Logs {
        /// At most so many lines.
        #[arg(short = 'n', long, default_value_t = 200)]
        lines: usize,
        /// And what comes, until interrupted.
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// What init does with the second copy that `byway run --spare` keeps.
    #[command(hide = true)]
    Spare {
        #[command(subcommand)]
        deed: SpareDeed,
    },
}

/// What `byway spare` does.
#[derive(Debug, Subcommand)]
pub(super) enum SpareDeed {
    /// Put back what is missing or empty below --state-dir, and say so; without a copy, nothing.
    Restore {
        /// The card's, as /dev/mmcblk0.
        device: PathBuf,
        #[arg(long, default_value = "/data/byway")]
        state_dir: PathBuf,
    },
    /// Leave zeroes in its place, whatever lies there.
    Wipe {
        /// The card's, as /dev/mmcblk0.
        device: PathBuf,
    },
}

/// What `byway relays` does beside listing them.
#[derive(Debug, Subcommand)]
pub(super) enum Deed {
    /// Tell what Mullvad has where: the countries with their cities, or a country's relays. Comes with an account.
    List {
        /// Two letters: se.
        country: Option<String>,
        /// For scripts.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Let this relay carry once it is proven, now and after the next boot. Fails (1) while another one does, and says
    /// why; 2 when there is no such relay. With an account a country or a city will do, and any relay of Mullvad's.
    Use {
        /// As `byway relays` lists it (se-got-wg-001), or as `byway relays list` does (se, se-got).
        name: String,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Prove every relay now, one after the other, the active one through the tunnel; nothing that is carried
    /// notices. Ends with 3 when one is not proven.
    Test {
        /// For scripts.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        run_dir: RunDir,
    },
}

/// What `byway clients` does beside listing them.
#[derive(Debug, Subcommand)]
pub(super) enum ClientDeed {
    /// Refuse whatever this client sends by the box from now on, its running flows and questions for names too, and after
    /// reboots until it is resumed. Nobody else notices; the box itself answers the client as before.
    Pause(ClientName),
    /// Let it go out again.
    Resume(ClientName),
}

#[derive(Debug, clap::Args)]
pub(super) struct ClientName {
    /// As the tailnet names it, the beginning of that where no other name begins so, or one of its addresses.
    pub(super) name: String,
    #[command(flatten)]
    pub(super) run_dir: RunDir,
}

/// What `byway panel` does.
#[derive(Debug, Subcommand)]
pub(super) enum PanelDeed {
    /// Draw the screen's picture, and tell what the light says and which parts there are. Where there are no 130 columns
    /// and 38 lines the picture is the small one.
    Show {
        /// One JSON object, for scripts.
        #[arg(long)]
        json: bool,
        /// Draw the small picture, of braille's letters, in any case.
        #[arg(long, conflicts_with = "json")]
        small: bool,
        /// Again at every change, until interrupted.
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        run_dir: RunDir,
    },
    /// Let light, screen and button show test pictures, one after the other, and ask what somebody at the box sees, you or
    /// whom you have on the phone. Ends with 3 when something is not as it should be.
    Test(RunDir),
}

/// What `byway dns` asks for.
#[derive(Debug, clap::Args)]
pub(super) struct Names {
    /// As example.org.
    #[arg(value_parser = dns::parse_name, required_unless_present = "log")]
    pub(super) name: Option<String>,
    /// As AAAA, MX or TXT.
    #[arg(long = "type", value_name = "TYPE", default_value = "A", value_parser = dns::parse_kind)]
    pub(super) kind: String,
    /// Instead: the last questions of clients, kept in memory with `log = true` below [dns].
    #[arg(long, conflicts_with_all = ["name", "kind"])]
    pub(super) log: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RunDir {
    /// Where the agent's sockets are.
    #[arg(long, default_value = "/run/byway")]
    pub(super) run_dir: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Wait {
    /// Do not wait for the verdict.
    #[arg(long)]
    pub(super) no_wait: bool,
}

impl Wait {
    /// Seconds.
    pub(super) const fn seconds(&self) -> u64 {
        if self.no_wait { 0 } else { 10 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Ending;

    fn parse(words: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(words.split(' '))
    }

    /// As wrong use of the command, with a hint.
    fn refused(words: &str, hint: &str) {
        let error = parse(&format!("byway {words}")).unwrap_err();
        assert_eq!(error.exit_code(), Ending::Usage as i32, "{words}");
        assert!(error.to_string().contains(hint), "{words}: {error}");
    }

    #[test]
    fn relays_are_listed_or_looked_up_or_used_or_tested() {
        for right in [
            "relays",
            "relays --json",
            "relays --run-dir /run/other",
            "relays list",
            "relays list se --json --run-dir /run/other",
            "relays use se-got-wg-001",
            "relays use se-got-wg-001 --no-wait --run-dir /run/other",
            "relays test --json --run-dir /run/other",
        ] {
            assert!(parse(&format!("byway {right}")).is_ok(), "{right}");
        }
        for (wrong, hint) in [
            ("relays list se de", "'de'"),
            ("relays use", "<NAME>"),
            ("relays use a b", "'b'"),
            ("relays --json test", "cannot be used with"),
            ("relays prove", "'prove'"),
        ] {
            refused(wrong, hint);
        }
    }

    #[test]
    fn clients_are_listed_paused_or_resumed() {
        for right in
            ["clients", "clients --json", "clients pause phone", "clients resume 100.64.0.1 --run-dir /x"]
        {
            assert!(parse(&format!("byway {right}")).is_ok(), "{right}");
        }
        for (wrong, hint) in [
            ("clients pause", "<NAME>"),
            ("clients pause a b", "'b'"),
            ("clients --json pause a", "cannot be used with"),
            ("clients stop a", "'stop'"),
        ] {
            refused(wrong, hint);
        }
    }

    #[test]
    fn a_reset_is_meant_by_a_word_of_its_own() {
        let reset = |words: &str| {
            let command = parse(words).unwrap().command;
            let Command::Reset { yes, state_dir, .. } = command else { panic!("{command:?}") };
            (yes, state_dir)
        };
        assert_eq!(reset("byway reset"), (false, "/data/byway".into()));
        assert_eq!(reset("byway reset --yes --state-dir /x/y"), (true, "/x/y".into()));
    }

    #[test]
    fn a_spare_copy_is_put_back_or_wiped() {
        let spare = |words: &str| parse(words).map(|cli| cli.command);
        let restore = spare("byway spare restore /dev/mmcblk0 --state-dir /x").unwrap();
        let Command::Spare { deed: SpareDeed::Restore { device, state_dir } } = restore else { panic!() };
        assert_eq!([device, state_dir], ["/dev/mmcblk0", "/x"].map(PathBuf::from));
        assert!(spare("byway spare wipe /dev/mmcblk0").is_ok());
        for wrong in ["byway spare", "byway spare restore", "byway spare wipe", "byway run --spare"] {
            assert_eq!(spare(wrong).unwrap_err().exit_code(), Ending::Usage as i32, "{wrong}");
        }
    }

    #[test]
    fn a_panel_is_shown_or_tested() {
        for right in ["panel show --small", "panel show --json --watch", "panel test --run-dir /run/other"] {
            assert!(parse(&format!("byway {right}")).is_ok(), "{right}");
        }
        for wrong in ["panel", "panel show --json --small", "panel test --json", "panel press"] {
            assert_eq!(
                parse(&format!("byway {wrong}")).unwrap_err().exit_code(),
                Ending::Usage as i32,
                "{wrong}"
            );
        }
    }

    #[test]
    fn logs_are_counted_in_lines() {
        for right in ["logs", "logs -n 5", "logs -f --lines 0", "logs --follow --run-dir /run/other"] {
            assert!(parse(&format!("byway {right}")).is_ok(), "{right}");
        }
        assert_eq!(parse("byway logs -n -1").unwrap_err().exit_code(), Ending::Usage as i32);
    }

    #[test]
    fn dns_takes_a_name_or_asks_for_the_log() {
        for right in
            ["dns Example.org", "dns example.org --type aaaa --json", "dns --log", "dns --log --json"]
        {
            assert!(parse(&format!("byway {right}")).is_ok(), "{right}");
        }
        for (wrong, hint) in [
            ("dns", "<NAME>"),
            ("dns example.org --log", "--log"),
            ("dns --type MX --log", "--log"),
            ("dns a..b", "is no name: write one as example.org"),
            ("dns example.org --type B", "is no type to ask for: write A"),
        ] {
            refused(wrong, hint);
        }
    }
}
