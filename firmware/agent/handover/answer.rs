//! What is said in the folder where somebody has put files, when it is in a computer again: plain words, for Windows too, and
//! no secret.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;

use super::{NAME, Verdict};
use crate::config::ConfigError;
use crate::mistake::Mistake;

pub const STATUS: &str = "BYWAY-STATUS.txt";

const HAS_IT: &str = "The box has this configuration. Nothing had to be changed.";
const IS_JOINED: &str = "The box has this configuration, and has joined its tailnet with it.";
const OVERRULED: &str = "The box goes by another configuration, which a USB stick has brought since.";

/// What the files lie on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Stick,
    Card,
}

/// Where the box is to be found on its tailnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home {
    pub name: String,
    pub addresses: Vec<IpAddr>,
}

pub(super) fn on_stick(verdict: &Verdict) -> String {
    let mut lines = told(verdict, Place::Stick);
    lines.push(next_step_with_stick(verdict).to_owned());
    if !matches!(verdict, Verdict::Nothing) {
        lines.push(format!("{NAME} may hold secrets: keep the stick safe, or delete it there afterwards."));
    }
    page(&lines)
}

/// `goes_on`: the box has a configuration to go by.
pub(super) fn on_card(verdict: &Verdict, goes_on: bool) -> String {
    let mut lines = told(verdict, Place::Card);
    lines.push(next_step_with_card(verdict).to_owned());
    match verdict {
        Verdict::Nothing | Verdict::Misnamed | Verdict::Mistakes(_) | Verdict::Failed(_) => lines.push(
            if goes_on {
                "Meanwhile the box goes on with the last good configuration that it had."
            } else {
                "Until then nothing goes out by the box: it has no other configuration."
            }
            .to_owned(),
        ),
        Verdict::Same | Verdict::Overruled | Verdict::TakenOver { .. } => {}
    }
    page(&lines)
}

/// On the card of a box that is on its tailnet.
/// `unnamed`: files there that may hold secrets and are none of the configuration's.
pub(super) fn joined(Home { name, addresses }: &Home, unnamed: &[String]) -> String {
    let mut place = format!("There it is {name}");
    for (nth, address) in addresses.iter().enumerate() {
        _ = write!(place, "{} {address}", if nth == 0 { ":" } else { "," });
    }
    let mut lines = vec![
        IS_JOINED.to_owned(),
        format!("{place}."),
        String::new(),
        format!("The secrets of {NAME} are in the box's own memory now, and wiped here."),
    ];
    if !unnamed.is_empty() {
        lines.push(format!("Not so what {NAME} does not name: take it from the card if it holds any."));
        lines.extend(unnamed.iter().map(|name| format!("- {name}")));
    }
    lines.extend([
        String::new(),
        format!(
            "To change something, edit {NAME} with a computer, put the card back and start the box; or put a"
        ),
        format!(
            "new {NAME} on a USB stick and plug that in. Where it says \"kept\" the box uses the secret that it"
        ),
        "has: leave the word there, or write another secret in its place.".to_owned(),
    ]);
    page(&lines)
}

/// The card says so already, be it with more words.
pub(super) fn says(said: &str, verdict: &Verdict) -> bool {
    let is_one_of = |headlines: &[&str]| said.lines().any(|line| headlines.contains(&line));
    match verdict {
        Verdict::Same => is_one_of(&[HAS_IT, IS_JOINED]),
        Verdict::Overruled => is_one_of(&[OVERRULED]),
        Verdict::Nothing
        | Verdict::Misnamed
        | Verdict::TakenOver { .. }
        | Verdict::Mistakes(_)
        | Verdict::Failed(_) => false,
    }
}

impl Verdict {
    /// One sentence.
    pub(crate) fn summary(&self, place: Place) -> String {
        match self {
            Self::Nothing => format!("There is no {NAME} on this {place}."),
            Self::Misnamed => {
                format!("Nothing was changed: the file is called {NAME}.txt, and should be called {NAME}.")
            }
            Self::Same => HAS_IT.to_owned(),
            Self::Overruled => OVERRULED.to_owned(),
            Self::TakenOver { .. } => "The new configuration was taken over.".to_owned(),
            Self::Mistakes(error) => match error.mistakes.len() {
                1 => "Nothing was changed: there is a mistake.".to_owned(),
                mistakes => format!("Nothing was changed: there are {mistakes} mistakes."),
            },
            Self::Failed(_) => {
                "Nothing was changed: the box could not write the new configuration.".to_owned()
            }
        }
    }

    /// For the screen and the status of a box without any configuration. `own`: why its own is none.
    pub fn in_a_line(&self, own: &ConfigError) -> String {
        match self {
            Self::Nothing => {
                format!("no configuration: put {NAME} on the card with a computer, or on a USB stick")
            }
            Self::Misnamed => {
                format!("no configuration: {NAME}.txt on the card should be called {NAME}")
            }
            Self::Failed(failure) => {
                format!("no configuration: {} cannot be written: {}", failure.path.display(), failure.cause)
            }
            Self::Mistakes(error) => format!("no configuration: {}", first(error)),
            Self::Same | Self::Overruled | Self::TakenOver { .. } => {
                format!("no configuration: {}", first(own))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stick => "stick",
            Self::Card => "card",
        })
    }
}

/// What has become of it, up to what is to be done.
fn told(verdict: &Verdict, place: Place) -> Vec<String> {
    let mut lines = vec![verdict.summary(place)];
    match verdict {
        Verdict::Nothing | Verdict::Misnamed | Verdict::Same | Verdict::Overruled => {}
        Verdict::TakenOver { files, kept } => {
            lines.push(format!("Taken from the {place}: {}.", files.join(", ")));
            if !kept.is_empty() {
                lines.push(format!("What they replace is kept on the box: {}.", kept.join(", ")));
            }
        }
        Verdict::Mistakes(error) => {
            lines.push(String::new());
            lines.extend(error.mistakes.iter().map(|(file, mistake)| placed(file, mistake)));
        }
        Verdict::Failed(failure) => {
            lines.push(format!("{}: {}.", failure.path.display(), failure.cause));
        }
    }
    lines.push(String::new());
    lines
}

/// The first mistake, and how many more there are.
fn first(error: &ConfigError) -> String {
    let more = match error.mistakes.len().saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let mistake = error.mistakes.first().map(|(file, mistake)| placed(file, mistake));
    mistake.unwrap_or_default() + &more
}

fn placed(file: &Path, mistake: &Mistake) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}, line {}, column {}: {}", mistake.line, mistake.column, mistake.message)
}

fn next_step_with_stick(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Nothing => "Put it there and plug the stick in again.",
        Verdict::Misnamed => {
            "Windows hides the end of a name: let the Explorer show it (View, Show, File name extensions), rename the \
             file, and plug the stick in again."
        }
        Verdict::Same | Verdict::Overruled => "You may pull the stick out.",
        Verdict::TakenOver { .. } => {
            "The box starts anew with it now. Leave the stick in for a minute: this file then says that the box has it."
        }
        Verdict::Mistakes(_) => {
            "The box goes on with what it had. Correct the file on a computer and plug the stick in again."
        }
        Verdict::Failed(_) => {
            "The box goes on with what it had. Its card may be full or worn out: tell the owner of the box."
        }
    }
}

fn next_step_with_card(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Nothing => {
            "Put it there, with the files that it names beside it, put the card back and start the box."
        }
        Verdict::Misnamed => {
            "Windows hides the end of a name: let the Explorer show it (View, Show, File name extensions), rename the \
             file, put the card back and start the box."
        }
        Verdict::Same => {
            "Once it has joined its tailnet this file says where it is, and secrets are wiped here."
        }
        Verdict::Overruled => {
            "To have the one on this card again, change something in it and start the box. It may hold secrets: keep the \
             card safe."
        }
        Verdict::TakenOver { .. } => {
            "The box joins its tailnet with it now. Then this file says where it is there, and secrets are wiped here."
        }
        Verdict::Mistakes(_) => "Correct the file on a computer, put the card back and start the box.",
        Verdict::Failed(_) => "The box's card may be full or worn out: write it anew, or take another one.",
    }
}

/// With the ends of lines that Notepad knows.
fn page(lines: &[String]) -> String {
    let head = [format!("byway {}", env!("CARGO_PKG_VERSION")), String::new()];
    head.iter().chain(lines).flat_map(|line| [line.as_str(), "\r\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistaken() -> Verdict {
        let mistake = |line, message: &str| {
            ("/run/byway/stick/byway.toml".into(), Mistake { line, column: 3, message: message.to_owned() })
        };
        Verdict::Mistakes(ConfigError { mistakes: vec![mistake(2, "write a"), mistake(7, "write b")] })
    }

    fn taken() -> Verdict {
        Verdict::TakenOver {
            files: vec!["byway.toml".to_owned(), "a.conf".to_owned()],
            kept: vec!["byway.toml.old".to_owned()],
        }
    }

    #[test]
    fn names_every_mistake_with_its_place_for_windows() {
        for text in [on_stick(&mistaken()), on_card(&mistaken(), true)] {
            assert!(text.contains(
                "\r\nbyway.toml, line 2, column 3: write a\r\nbyway.toml, line 7, column 3: write b\r\n"
            ));
            assert!(text.contains("Nothing was changed: there are 2 mistakes.\r\n"), "{text}");
            assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "Notepad's line ends");
            assert!(!text.contains("/run/"), "a place that nobody can look at: {text}");
        }
    }

    #[test]
    fn tells_what_was_taken_over_and_what_comes_next() {
        let said = ["was taken over", "byway.toml, a.conf.", "byway.toml.old."];
        let texts = [(on_stick(&taken()), "starts anew"), (on_card(&taken(), true), "joins its tailnet")];
        for (text, next) in texts {
            for words in said.into_iter().chain([next]) {
                assert!(text.contains(words), "{words}: {text}");
            }
        }
    }

    #[test]
    fn nothing_that_is_said_of_a_stick_is_said_of_the_card() {
        let failure = super::super::Failure { path: "/data/x".into(), cause: "full".to_owned() };
        for verdict in [Verdict::Nothing, Verdict::Misnamed, Verdict::Same, taken(), mistaken()]
            .into_iter()
            .chain([Verdict::Failed(failure)])
        {
            assert!(!on_card(&verdict, true).contains("stick"), "{verdict:?}");
            assert!(!on_stick(&verdict).contains("put the card back"), "{verdict:?}");
        }
    }

    #[test]
    fn tells_whether_the_box_goes_on() {
        for verdict in [Verdict::Nothing, Verdict::Misnamed, mistaken()] {
            assert!(on_card(&verdict, true).contains("goes on with the last good"));
            assert!(on_card(&verdict, false).contains("nothing goes out by the box"));
        }
    }

    #[test]
    fn what_is_said_of_a_joined_box_stays_at_a_boot_where_nothing_is_new() {
        let home = Home { name: "cottage".to_owned(), addresses: vec!["100.64.0.2".parse().unwrap()] };
        let text = joined(&home, &[]);
        assert!(text.contains("\r\nThere it is cottage: 100.64.0.2.\r\n"), "{text}");
        assert!(says(&text, &Verdict::Same) && says(&on_card(&Verdict::Same, true), &Verdict::Same));
        assert!(!says(&on_card(&mistaken(), true), &Verdict::Same));
        assert!(!says(&text, &Verdict::Overruled) && !says(&text, &mistaken()));
    }

    #[test]
    fn a_line_has_the_first_mistake_with_its_place() {
        let own = ConfigError { mistakes: Vec::new() };
        let line = mistaken().in_a_line(&own);
        assert_eq!(line, "no configuration: byway.toml, line 2, column 3: write a (and 1 more)");
        assert!(Verdict::Nothing.in_a_line(&own).contains("put byway.toml on the card"));
    }
}
