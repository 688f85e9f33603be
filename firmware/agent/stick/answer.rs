//! What the stick says of itself when it is put into a computer again: plain words, for Windows too, and no secret.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::take_over::{NAME, Verdict};
use crate::config::ConfigError;

pub const STATUS: &str = "BYWAY-STATUS.txt";

/// Into a plain file alone, and onto the stick before this returns.
pub(super) fn write(stick: &Path, verdict: &Verdict) -> io::Result<()> {
    let mut open = OpenOptions::new();
    let open = open.write(true).create(true).truncate(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut file = open.open(stick.join(STATUS))?;
    file.write_all(text(verdict).as_bytes())?;
    file.sync_all()
}

fn text(verdict: &Verdict) -> String {
    let mut lines = vec![format!("byway {}", env!("CARGO_PKG_VERSION")), String::new()];
    lines.push(capitalized(&verdict.summary()));
    lines.extend(details(verdict));
    lines.extend([String::new(), next_step(verdict).to_owned()]);
    if !matches!(verdict, Verdict::Nothing) {
        lines.push(format!("{NAME} may hold secrets: keep the stick safe, or delete it there afterwards."));
    }
    lines.push(String::new());
    lines.join("\r\n")
}

impl Verdict {
    /// One lower-case sentence.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::Nothing => format!("there is no {NAME} on this stick."),
            Self::Misnamed => {
                format!("nothing was changed: the file is called {NAME}.txt, and should be called {NAME}.")
            }
            Self::Same => "the box has this configuration. Nothing had to be changed.".to_owned(),
            Self::TakenOver { .. } => "the new configuration was taken over.".to_owned(),
            Self::Mistakes(error) => match error.mistakes.len() {
                1 => "nothing was changed: there is a mistake.".to_owned(),
                mistakes => format!("nothing was changed: there are {mistakes} mistakes."),
            },
            Self::Failed(_) => {
                "nothing was changed: the box could not write the new configuration.".to_owned()
            }
        }
    }
}

fn details(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Nothing | Verdict::Misnamed | Verdict::Same => Vec::new(),
        Verdict::TakenOver { files, kept } => {
            let mut lines = vec![format!("Taken from the stick: {}.", files.join(", "))];
            if !kept.is_empty() {
                lines.push(format!("What they replace is kept on the box: {}.", kept.join(", ")));
            }
            lines
        }
        Verdict::Mistakes(error) => mistakes(error),
        Verdict::Failed(failure) => vec![format!("{}: {}.", failure.path.display(), failure.cause)],
    }
}

fn mistakes(error: &ConfigError) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (file, mistake) in &error.mistakes {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("{name}, line {}, column {}", mistake.line, mistake.column);
        lines.push(format!("{place}: {}", mistake.message));
    }
    lines
}

fn next_step(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Nothing => "Put it there and plug the stick in again.",
        Verdict::Misnamed => {
            "Windows hides the end of a name: let the Explorer show it (View, Show, File name extensions), rename the \
             file, and plug the stick in again."
        }
        Verdict::Same => "You may pull the stick out.",
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

fn capitalized(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mistake::Mistake;

    #[test]
    fn names_every_mistake_with_its_place_for_windows() {
        let mistake = |line, message: &str| {
            ("/run/byway/stick/byway.toml".into(), Mistake { line, column: 3, message: message.to_owned() })
        };
        let error = ConfigError { mistakes: vec![mistake(2, "write a"), mistake(7, "write b")] };
        let text = text(&Verdict::Mistakes(error));
        assert!(text.contains(
            "\r\nbyway.toml, line 2, column 3: write a\r\nbyway.toml, line 7, column 3: write b\r\n"
        ));
        assert!(text.contains("Nothing was changed: there are 2 mistakes.\r\n"), "{text}");
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "Notepad's line ends");
        assert!(!text.contains("/run/"), "a place that nobody can look at: {text}");
    }

    #[test]
    fn tells_what_was_taken_over_and_what_comes_next() {
        let text = text(&Verdict::TakenOver {
            files: vec!["byway.toml".to_owned(), "a.conf".to_owned()],
            kept: vec!["byway.toml.old".to_owned()],
        });
        for words in ["was taken over", "byway.toml, a.conf.", "byway.toml.old.", "starts anew"] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
