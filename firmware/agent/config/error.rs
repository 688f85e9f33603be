//! Why a configuration cannot be used.

use std::fmt;
use std::path::PathBuf;

use crate::mistake::Mistake;

/// Why a configuration cannot be used: every mistake found in it and in the files it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// In each file's order; never empty.
    pub mistakes: Vec<(PathBuf, Mistake)>,
}

impl fmt::Display for ConfigError {
    /// One `FILE:LINE:COLUMN: message` a line, as editors and terminals can follow it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (file, mistake)) in self.mistakes.iter().enumerate() {
            let newline = if nth == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{mistake}", file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_one_line_a_mistake() {
        let mistake = |line| (PathBuf::from("byway.toml"), Mistake { line, column: 2, message: "no".into() });
        let error = ConfigError { mistakes: vec![mistake(1), mistake(3)] };
        assert_eq!(error.to_string(), "byway.toml:1:2: no\nbyway.toml:3:2: no");
    }
}
