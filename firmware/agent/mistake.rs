//! One mistake in a file that a person wrote: where it is and what to write instead.

use std::fmt;

/// `line` and `column` count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    pub line: usize,
    pub column: usize,
    /// A lower-case phrase that says what to write instead. Never holds a secret.
    pub message: String,
}

impl Mistake {
    /// At the character that starts at this byte of `text`.
    pub(crate) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].trim_start_matches('\u{feff}').chars().count(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters_from_one() {
        assert_eq!(Mistake::at("ab\nc", 3, "x").to_string(), "2:1: x");
        assert_eq!(Mistake::at("\u{e5}\u{e4}b", 4, "x").to_string(), "1:3: x");
        assert_eq!(Mistake::at("\u{feff}ab", 3, "x").to_string(), "1:1: x", "a byte order mark is no column");
        assert_eq!(Mistake::at("ab", 99, "x").to_string(), "1:3: x", "beyond the end is the end");
    }
}
