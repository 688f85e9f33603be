//! Reads Mullvad's `.conf` as their generator and their scripts really write it. It runs nothing that the
//! file asks for, and looks up no names: both are refused with what to write instead.
//!
//! Every mistake is told at once, by its place. No value is ever quoted: a misplaced key would be printed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Peer;
use crate::mistake::Mistake;

mod key;
mod secret;
mod value;

use self::key::{Key, Section};
pub use self::secret::secrets;

/// Seconds: under the 30 s for which the meanest NAT remembers UDP.
pub(crate) const KEEPALIVE_S: u16 = 25;

/// A relay and what it gave us.
#[derive(Debug)]
pub struct Conf {
    pub peer: Peer,
    /// What the tunnel's device is to have; host prefixes, as Mullvad gives them.
    pub addresses: Vec<IpNet>,
    /// Resolvers inside the tunnel.
    pub dns: Vec<IpAddr>,
    /// Lines that are right but have no effect here, each with the reason.
    pub ignored: Vec<Mistake>,
}

/// The whole file, or every mistake in it, in the order of its lines.
pub fn parse(text: &str) -> Result<Conf, Vec<Mistake>> {
    let mut draft = Draft::default();
    let mut section = Place::Outside;
    let text = text.trim_start_matches('\u{feff}');
    for (number, line) in text.lines().enumerate() {
        section = draft.read_line(number + 1, line, section);
    }
    draft.finish()
}

/// Where the reader is.
#[derive(Clone, Copy)]
enum Place {
    Outside,
    Inside(Section),
    /// In a section that has been refused: its lines are not worth mistakes of their own.
    Refused,
}

/// A part of a line, and where it begins.
#[derive(Clone, Copy)]
struct Span<'a> {
    text: &'a str,
    line: usize,
    column: usize,
}

impl<'a> Span<'a> {
    fn mistake(self, message: impl Into<String>) -> Mistake {
        Mistake { line: self.line, column: self.column, message: message.into() }
    }

    /// Without the space around it.
    fn trimmed(self) -> Span<'a> {
        let text = self.text.trim_start();
        let skipped = self.text[..self.text.len() - text.len()].chars().count();
        Span { text: text.trim_end(), column: self.column + skipped, ..self }
    }

    /// What is before the first `mark`, and what is after it.
    fn split_once(self, mark: char) -> Option<(Span<'a>, Span<'a>)> {
        let (before, after) = self.text.split_once(mark)?;
        let column = self.column + before.chars().count() + 1;
        Some((Span { text: before, ..self }, Span { text: after, column, ..self }))
    }

    /// The entries of a list with commas.
    fn entries(self) -> Vec<Span<'a>> {
        let mut entries = Vec::new();
        let mut rest = self;
        while let Some((entry, after)) = rest.split_once(',') {
            entries.push(entry.trimmed());
            rest = after;
        }
        entries.push(rest.trimmed());
        entries
    }
}

/// What has been read so far.
#[derive(Default)]
struct Draft<'a> {
    values: BTreeMap<Key, Vec<Span<'a>>>,
    sections: BTreeMap<Section, usize>,
    lines: usize,
    mistakes: Vec<Mistake>,
    ignored: Vec<Mistake>,
}

impl<'a> Draft<'a> {
    fn read_line(&mut self, line: usize, text: &'a str, place: Place) -> Place {
        self.lines = line;
        let code = text.split_once('#').map_or(text, |(code, _comment)| code);
        let code = Span { text: code, line, column: 1 }.trimmed();
        if code.text.is_empty() {
            return place;
        }
        if code.text.starts_with('[') {
            return self.read_section(code);
        }
        if let Err(mistake) = self.read_entry(code, place) {
            self.mistakes.push(mistake);
        }
        place
    }

    fn read_section(&mut self, code: Span<'_>) -> Place {
        let Some(section) = Section::from_header(code.text) else {
            self.mistakes.push(code.mistake("write [Interface] or [Peer]: there are no other sections"));
            return Place::Refused;
        };
        if self.sections.contains_key(&section) {
            self.mistakes.push(code.mistake(section.twice()));
            return Place::Refused;
        }
        self.sections.insert(section, code.line);
        Place::Inside(section)
    }

    fn read_entry(&mut self, code: Span<'a>, place: Place) -> Result<(), Mistake> {
        let Some((name, value)) = code.split_once('=') else {
            return Err(code.mistake("write `Key = value`, a section in brackets, or # before a comment"));
        };
        let (name, value) = (name.trimmed(), value.trimmed());
        let section = match place {
            Place::Inside(section) => section,
            Place::Refused => return Ok(()),
            Place::Outside => return Err(name.mistake("put this line under [Interface] or [Peer]")),
        };
        let key = Key::find(name.text, section).map_err(|message| name.mistake(message))?;
        let values = self.values.entry(key).or_default();
        if !values.is_empty() && !key.is_list() {
            return Err(name.mistake(format!("{} is given twice: keep one", key.name())));
        }
        values.push(value);
        Ok(())
    }

    fn finish(mut self) -> Result<Conf, Vec<Mistake>> {
        let private_key = self.required(Key::Private, value::secret);
        let addresses = self.list(Key::Address, value::address);
        let dns = self.list(Key::Dns, value::resolver);
        let public_key = self.required(Key::Public, value::public_key);
        let preshared_key = self.one(Key::Preshared, value::key_bytes);
        let endpoint = self.required(Key::Endpoint, value::endpoint);
        let keepalive_s = self.keepalive();
        self.check_lists(&addresses);
        self.note_ignored();
        self.mistakes.sort();
        match (private_key, public_key, endpoint) {
            (Some(private_key), Some(public_key), Some(endpoint)) if self.mistakes.is_empty() => Ok(Conf {
                peer: Peer { private_key, public_key, preshared_key, endpoint, keepalive_s },
                addresses,
                dns,
                ignored: self.ignored,
            }),
            _ => Err(self.mistakes),
        }
    }

    /// The value of `key` as `read` understands it; none and a mistake if it is wrong, none if it is absent.
    fn one<T>(&mut self, key: Key, read: fn(&str) -> Result<T, String>) -> Option<T> {
        let value = *self.values.get(&key)?.first()?;
        match read(value.text) {
            Ok(meaning) => Some(meaning),
            Err(message) => {
                self.mistakes.push(value.mistake(format!("{}: {message}", key.name())));
                None
            }
        }
    }

    fn required<T>(&mut self, key: Key, read: fn(&str) -> Result<T, String>) -> Option<T> {
        self.miss_if_absent(key);
        self.one(key, read)
    }

    fn miss_if_absent(&mut self, key: Key) {
        if self.values.contains_key(&key) {
            return;
        }
        let section = key.section();
        let line = self.sections.get(&section).copied().unwrap_or(self.lines.max(1));
        let message = format!("[{}] has no {}: {}", section.name(), key.name(), key.example());
        self.mistakes.push(Mistake { line, column: 1, message });
    }

    fn list<T>(&mut self, key: Key, read: fn(&str) -> Result<T, String>) -> Vec<T> {
        let values = self.values.get(&key).map(Vec::as_slice).unwrap_or_default();
        let mut meanings = Vec::new();
        for entry in values.iter().flat_map(|value| value.entries()) {
            match read(entry.text) {
                Ok(meaning) => meanings.push(meaning),
                Err(message) => self.mistakes.push(entry.mistake(format!("{}: {message}", key.name()))),
            }
        }
        meanings
    }

    fn keepalive(&mut self) -> u16 {
        match self.one(Key::Keepalive, value::keepalive) {
            Some(0) => {
                self.ignore(Key::Keepalive, "the tunnel is kept proven in every state: every 25 s");
                KEEPALIVE_S
            }
            Some(seconds) => seconds,
            None => KEEPALIVE_S,
        }
    }

    /// Every family that has an address must be routed whole: nothing is ever left out of the tunnel.
    fn check_lists(&mut self, addresses: &[IpNet]) {
        self.miss_if_absent(Key::Address);
        self.miss_if_absent(Key::AllowedIps);
        let before = self.mistakes.len();
        let allowed = self.list(Key::AllowedIps, value::route);
        let Some(place) = self.values.get(&Key::AllowedIps).and_then(|values| values.first()).copied() else {
            return;
        };
        let whole = |v4: bool| allowed.iter().any(|net| net.prefix_len() == 0 && net.addr().is_ipv4() == v4);
        let short = addresses.iter().any(|address| !whole(address.addr().is_ipv4()));
        if short && self.mistakes.len() == before {
            self.mistakes.push(place.mistake(
                "AllowedIPs: write `0.0.0.0/0, ::/0` (only `0.0.0.0/0` if Address has no IPv6): everything goes by the relay",
            ));
        }
    }

    fn note_ignored(&mut self) {
        self.ignore(Key::Mtu, "the MTU is that of byway.toml, `mtu` under [mullvad]");
        self.ignore(Key::ListenPort, "the tunnel sends from a port of its own and is called by nobody");
        self.ignored.sort();
    }

    fn ignore(&mut self, key: Key, reason: &str) {
        if let Some(value) = self.values.get(&key).and_then(|values| values.first()) {
            self.ignored.push(value.mistake(format!("{} has no effect: {reason}", key.name())));
        }
    }
}

#[cfg(test)]
mod tests;
