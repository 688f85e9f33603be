//! Reads `byway.toml` (DESIGN 7): which sections and keys mean what, which must be there, which exclude each other.
//! Reads the files it names through the function it is given; opens nothing itself.

mod account;
mod clients;
mod clock;
mod dns;
mod lan;
mod panel;
mod relays;
mod residential;
mod ssh;
mod uplink;
mod wifi;

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use byway_core::{Egress, Expect};
use toml::de::DeTable;

use super::error::ConfigError;
use super::reader::{At, Reader, Section};
use super::url::Url;
use super::value::Secret;
use super::{Config, Mullvad, Tailnet};
use crate::mistake::Mistake;

/// How a file that the configuration names is read.
pub type ReadFile<'f> = &'f dyn Fn(&Path) -> io::Result<String>;

/// What the tunnel can carry: from IPv6's smallest MTU (RFC 8200 5) to what is left of an Ethernet frame's 1500
/// after `WireGuard` over IPv6.
const MTU: RangeInclusive<u16> = 1280..=1420;
const DEFAULT_MTU: u16 = 1380;

/// Reads the text of the configuration at `file`, whose folder is where the files it names begin.
///
/// # Errors
/// Every mistake at once.
pub fn parse(text: &str, file: &Path, read: ReadFile<'_>) -> Result<Config, ConfigError> {
    let (table, syntax) = DeTable::parse_recoverable(text);
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut walk = Walk { reader: Reader::new(text), folder, read, elsewhere: Vec::new() };
    let config = walk.config(table.get_ref());
    let here = merge(text, &syntax, walk.reader).into_iter().map(|mistake| (file.to_owned(), mistake));
    let mistakes: Vec<(PathBuf, Mistake)> = here.chain(walk.elsewhere).collect();
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        Some(_) | None => Err(ConfigError { mistakes }),
    }
}

/// All mistakes, in the file's order. Where the text is no TOML the parser guesses on; what only follows from a
/// guess is not told.
fn merge(text: &str, syntax: &[toml::de::Error], reader: Reader<'_>) -> Vec<Mistake> {
    let mut all: Vec<Mistake> = syntax
        .iter()
        .map(|error| Mistake::at(text, error.span().map_or(text.len(), |span| span.start), error.message()))
        .collect();
    all.sort();
    all.dedup_by_key(|mistake| mistake.line);
    let broken: Vec<usize> = all.iter().map(|mistake| mistake.line).collect();
    let is_header =
        |line: &usize| text.lines().nth(line - 1).is_some_and(|line| line.trim_start().starts_with('['));
    if !broken.iter().any(is_header) {
        all.extend(reader.mistakes.into_iter().filter(|mistake| !broken.contains(&mistake.line)));
    }
    if broken.is_empty() {
        all.extend(reader.missing);
    }
    all.sort();
    all
}

struct Walk<'a> {
    reader: Reader<'a>,
    folder: &'a Path,
    read: ReadFile<'a>,
    /// Mistakes in the files that the configuration names.
    elsewhere: Vec<(PathBuf, Mistake)>,
}

impl<'a> Walk<'a> {
    /// `None` only beside a mistake; with other mistakes, a configuration that is never used.
    fn config(&mut self, file: &'a DeTable<'a>) -> Option<Config> {
        self.reader.check_sections(file);
        let own = self.reader.section(file, "box");
        let uplink = self.reader.section(file, "uplink");
        let lan = self.reader.section(file, "lan");
        let tailnet = self.reader.section(file, "tailnet");
        let mullvad = self.reader.section(file, "mullvad");
        let dns = self.reader.section(file, "dns");
        let clients = self.reader.section(file, "clients");
        let residential = self.reader.section(file, "residential");
        let clock = self.reader.section(file, "clock");
        let ssh = self.reader.section(file, "ssh");
        let panel = self.reader.section(file, "panel");
        let egresses = [("privacy", Egress::Privacy), ("residential", Egress::Residential)];
        let name = self.reader.parsed(&own, "name").unwrap_or_default();
        let egress = self.reader.word(&own, "egress", &egresses).unwrap_or(Egress::Privacy);
        let uplink = uplink::read(&mut self.reader, &uplink);
        let lan = lan::read(&mut self.reader, &lan, &uplink);
        let tailnet = self.tailnet(&tailnet);
        let mullvad = self.mullvad(&mullvad);
        let expect = mullvad.as_ref().map_or(Expect::Mullvad, |mullvad| mullvad.expect);
        let dns = dns::read(&mut self.reader, &dns, &uplink, expect);
        let clients = clients::read(&mut self.reader, &clients);
        let residential = residential::read(&mut self.reader, &residential);
        let clock = clock::read(&mut self.reader, &clock);
        let ssh = ssh::read(&mut self.reader, &ssh);
        let (panel, time_zone) = panel::read(&mut self.reader, &panel);
        Some(Config {
            name,
            egress,
            uplink,
            lan,
            tailnet,
            mullvad: mullvad?,
            dns: dns?,
            clients,
            residential,
            clock,
            ssh,
            panel,
            time_zone,
        })
    }

    fn tailnet(&mut self, section: &Section<'a>) -> Tailnet {
        let advertise_lan = self.reader.flag(section, "advertise_lan").is_some_and(|flag| flag.value);
        Tailnet {
            advertise_lan,
            control: self.control(section),
            auth_key: self.auth_key(section),
            tailscaled: self.tailscaled(section),
        }
    }

    /// tailscaled asks at the root of the control server, whatever path its URL has.
    fn control(&mut self, section: &Section<'a>) -> Option<Url> {
        let text = self.reader.text(section, "control")?;
        let url: Url = self.reader.parsed(section, "control")?;
        if url.path != "/" {
            let root = Url { path: "/".to_owned(), ..url.clone() }.to_string();
            let message = format!("a control server has no path: write {:?}", root.trim_end_matches('/'));
            self.reader.mistake(text.at, message);
        }
        Some(url)
    }

    /// An empty one, or an empty file, is what the agent leaves after the join.
    fn auth_key(&mut self, section: &Section<'a>) -> Option<Secret> {
        let written = self.reader.text(section, "auth_key").filter(|key| !key.value.is_empty());
        let Some(named) = self.reader.text(section, "auth_key_file") else {
            written?;
            return self.reader.parsed(section, "auth_key");
        };
        if written.is_some() {
            self.reader.mistake(named.at, "there is an auth_key too: leave one of the two out");
            return None;
        }
        let text = self.file(named)?;
        let key = text.trim_start_matches('\u{feff}').trim();
        if key.is_empty() {
            return None;
        }
        let secret = key.parse().ok();
        if secret.is_none() {
            let message =
                format!("{:?} does not hold a key: put the key in it, alone, on one line", named.value);
            self.reader.mistake(named.at, message);
        }
        secret
    }

    fn tailscaled(&mut self, section: &Section<'a>) -> PathBuf {
        let default = "/usr/sbin/tailscaled";
        let Some(text) = self.reader.text(section, "tailscaled") else {
            return default.into();
        };
        if !text.value.starts_with('/') {
            let message = format!("{:?} does not begin with /: write {:?}", text.value, default);
            self.reader.mistake(text.at, message);
        }
        text.value.into()
    }

    fn mullvad(&mut self, section: &Section<'a>) -> Option<Mullvad> {
        let expectations = [("mullvad", Expect::Mullvad), ("any", Expect::Any)];
        let mtu = self.reader.number(section, "mtu", &MTU).map_or(DEFAULT_MTU, |mtu| mtu.value);
        let expect = self.reader.word(section, "expect", &expectations).unwrap_or(Expect::Mullvad);
        let check_url = self.reader.parsed(section, "check_url").unwrap_or_else(Url::am_i_mullvad);
        let account = account::read(&mut self.reader, section, expect);
        Some(Mullvad { relays: relays::read(self, section)?, account, mtu, expect, check_url })
    }

    fn file(&mut self, named: At<&str>) -> Option<String> {
        let read = (self.read)(&self.folder.join(named.value));
        self.reader.file(named, read)
    }
}
