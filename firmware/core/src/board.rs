//! What is known of the board under everything, its power and its heat, and what somebody must do about them.

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

/// Bits of the firmware's word, each a second time 16 bits further on: it was so since the boot.
const UNDER_VOLTAGE: u32 = 1;
const SLOWED: u32 = 1 << 1 | 1 << 2;
const HOT: u32 = 1 << 3;
const SINCE_BOOT: u32 = 16;

/// Unknown is `None`: not every board and kernel tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    pub model: Option<String>,
    pub temperature_c: Option<i32>,
    pub under_voltage: Option<Seen>,
    /// At the temperature from which on the firmware makes it slower.
    pub hot: Option<Seen>,
    /// Slower than it could be, for either.
    pub throttled: Option<Seen>,
}

/// The later counts for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    No,
    #[serde(rename = "since boot")]
    SinceBoot,
    Now,
}

impl Board {
    /// `get_throttled` as the Pi's kernel prints it, in hexadecimal digits.
    pub fn learn_throttled(&mut self, told: &str) {
        let digits = told.trim();
        let Ok(word) = u32::from_str_radix(digits.strip_prefix("0x").unwrap_or(digits), 16) else { return };
        let seen = |bits| match (word & bits != 0, word & (bits << SINCE_BOOT) != 0) {
            (true, _) => Some(Seen::Now),
            (false, true) => Some(Seen::SinceBoot),
            (false, false) => Some(Seen::No),
        };
        (self.under_voltage, self.hot, self.throttled) = (seen(UNDER_VOLTAGE), seen(HOT), seen(SLOWED));
    }

    /// The alarm of the mainline kernel's sensor, which knows the present alone.
    pub fn learn_alarm(&mut self, told: &str) {
        self.under_voltage = match told.trim() {
            "0" => Some(Seen::No),
            "1" => Some(Seen::Now),
            _ => None,
        };
    }

    /// Of a thermal zone, in thousandths of a degree.
    pub fn learn_temperature(&mut self, told: &str) {
        self.temperature_c =
            told.trim().parse().ok().map(|thousandths: i32| (thousandths + 500).div_euclid(1000));
    }

    /// With what was seen before it.
    pub(crate) fn after(self, before: &Self) -> Self {
        let then = |now: Option<Seen>, before: Option<Seen>| match (now, before) {
            (Some(Seen::No), Some(Seen::SinceBoot | Seen::Now)) => Some(Seen::SinceBoot),
            (now, _) => now,
        };
        Self {
            under_voltage: then(self.under_voltage, before.under_voltage),
            hot: then(self.hot, before.hot),
            throttled: then(self.throttled, before.throttled),
            ..self
        }
    }

    /// What the owner has to know at once.
    pub(crate) fn complaint(&self) -> Option<String> {
        let power = (self.under_voltage == Some(Seen::Now)).then(|| String::from(TOO_WEAK));
        let heat = (self.hot == Some(Seen::Now)).then(|| String::from(TOO_HOT));
        match (power, heat) {
            (Some(power), Some(heat)) => Some(format!("{power}; {heat}")),
            (power, heat) => power.or(heat),
        }
    }

    /// Whether there is power enough, in words.
    pub fn power(&self) -> Result<String, String> {
        match self.under_voltage {
            Some(Seen::Now) => Err(String::from(TOO_WEAK)),
            Some(Seen::SinceBoot) => Err(format!("at times since the boot {TOO_WEAK}")),
            Some(Seen::No) => Ok(String::from("enough since the boot")),
            None => Ok(String::from("this board does not tell")),
        }
    }

    /// Whether it is cool enough, in words.
    pub fn heat(&self) -> Result<String, String> {
        let shown = self.temperature_c.map_or_else(String::new, |degrees| format!("{degrees} \u{b0}C, "));
        match self.hot {
            Some(Seen::Now) => Err(format!("{shown}{TOO_HOT}")),
            Some(Seen::SinceBoot) => Err(format!("{shown}and at times since the boot {TOO_HOT}")),
            Some(Seen::No) => Ok(format!("{shown}cool enough since the boot")),
            None if shown.is_empty() => Ok(String::from("this board does not tell")),
            None => Ok(format!("{shown}and this board does not tell what is too much")),
        }
    }

    pub(crate) fn without_ages(&self) -> Self {
        Self { temperature_c: None, ..self.clone() }
    }
}

const TOO_WEAK: &str = "the power supply is too weak: use the one made for this Pi";
const TOO_HOT: &str = "the Pi is too hot and works slower: give it air";

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled(word: &str) -> Board {
        let mut board = Board::default();
        board.learn_throttled(word);
        board
    }

    #[test]
    fn each_bit_of_the_firmwares_word_has_its_meaning() {
        let no = Some(Seen::No);
        let (boot, now) = (Some(Seen::SinceBoot), Some(Seen::Now));
        for (word, seen) in [
            ("0\n", [no, no, no]),
            ("1", [now, no, no]),
            ("10000", [boot, no, no]),
            ("10001", [now, no, no]),
            ("2", [no, no, now]),
            ("40000", [no, no, boot]),
            ("0x80008\n", [no, now, no]),
            ("80000", [no, boot, no]),
            ("50005", [now, no, now]),
            ("f0000", [boot, boot, boot]),
            ("fff0fff0", [no; 3]),
            ("", [None; 3]),
            ("odd", [None; 3]),
            ("100000000", [None; 3]),
        ] {
            let board = throttled(word);
            assert_eq!([board.under_voltage, board.hot, board.throttled], seen, "{word}");
        }
    }

    #[test]
    fn an_alarm_that_is_over_was_since_the_boot() {
        let alarm = |told: &str| {
            let mut board = Board::default();
            board.learn_alarm(told);
            board
        };
        assert_eq!(alarm("0\n").after(&alarm("0")).under_voltage, Some(Seen::No));
        let over = alarm("0").after(&alarm("1"));
        assert_eq!(over.under_voltage, Some(Seen::SinceBoot));
        assert_eq!(alarm("0").after(&over).under_voltage, Some(Seen::SinceBoot));
        assert_eq!(alarm("1").after(&over).under_voltage, Some(Seen::Now));
        assert_eq!(alarm("2").after(&over).under_voltage, None);
    }

    #[test]
    fn degrees_are_rounded() {
        let degrees = |told: &str| {
            let mut board = Board::default();
            board.learn_temperature(told);
            board.temperature_c
        };
        assert_eq!(
            ["51540\n", "51499", "-500", "-501", "", "warm"].map(degrees),
            [Some(52), Some(51), Some(0), Some(-1), None, None]
        );
    }

    #[test]
    fn what_to_do_is_said() {
        let hot = Board { temperature_c: Some(84), ..throttled("80008") };
        assert_eq!(hot.complaint().as_deref(), Some(TOO_HOT));
        assert_eq!(hot.heat().unwrap_err(), "84 \u{b0}C, the Pi is too hot and works slower: give it air");
        assert_eq!(throttled("9").complaint().unwrap().matches(';').count(), 1);
        assert_eq!(throttled("10000").complaint(), None);
        assert!(throttled("10000").power().unwrap_err().starts_with("at times since the boot the power"));
        assert!(throttled("1").power().is_err() && throttled("0").power().is_ok());
        assert_eq!(Board::default().power().as_deref(), Ok("this board does not tell"));
        assert_eq!(Board::default().heat().as_deref(), Ok("this board does not tell"));
    }
}
