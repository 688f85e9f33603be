//! The owner's configuration: `byway.toml` and the files it names, read whole, with every mistake at once (DESIGN 7).
//! Decides nothing and changes no file.

mod error;
mod keys;
mod personal;
mod read;
mod reader;
mod ssh_key;
mod upstream;
mod url;
mod value;
mod well_known;
mod wifi;
mod zone;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use byway_core::account::Choice;
use byway_core::clock::Keep;
use byway_core::panel::OffHours;
use byway_core::uplink::Method;
use byway_core::{Egress, Expect, Serve};

use crate::mistake::Mistake;
use crate::panel::screen::ScreenSettings;
use crate::tunnel::conf::{self, Conf};
pub use error::ConfigError;
pub use personal::learn_personal;
pub use read::{ReadFile, parse};
pub use ssh_key::SshKey;
pub use upstream::{Transport, Upstream};
pub use url::{Host, Scheme, Url};
pub use value::{HostName, InterfaceName, Secret};
pub use wifi::{Country, Ssid, Wifi, WifiKey};
pub use zone::TimeZone;

/// What the owner wrote; right in itself, though the world may still disagree.
#[derive(Debug)]
pub struct Config {
    /// `[box] name`: what the box is called on the tailnet.
    pub name: HostName,
    /// `[box] egress`: the wish at the very first boot; afterwards the store remembers it.
    pub egress: Egress,
    pub uplink: Uplink,
    pub lan: Lan,
    pub tailnet: Tailnet,
    pub mullvad: Mullvad,
    pub dns: Dns,
    pub clients: Clients,
    pub residential: Residential,
    pub clock: Clock,
    pub ssh: Ssh,
    pub panel: Panel,
    /// Where the house is; `None`: its days are UTC's.
    pub time_zone: Option<TimeZone>,
}

/// `[uplink]`: the way to the house's router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    pub interface: InterfaceName,
    pub method: Method,
    /// The house's resolvers, for the box's own names; empty: well-known public ones.
    pub dns: Vec<IpAddr>,
    /// `[uplink.wifi]`: the way while there is no cable.
    pub wifi: Option<Wifi>,
}

/// `[lan]`: what the house's own machines have of the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lan {
    pub serve: Serve,
    /// Whether their pings are answered.
    pub ping: bool,
}

/// `[tailnet]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tailnet {
    /// The control server, a URL without a path; `None` is Tailscale's own.
    pub control: Option<Url>,
    /// From `auth_key` or `auth_key_file`; needed at the first join only.
    pub auth_key: Option<Secret>,
    /// Whether peers reach the house's own network.
    pub advertise_lan: bool,
    /// An absolute path. Whether it is there shows when it is started: the card may be written elsewhere.
    pub tailscaled: PathBuf,
}

/// `[mullvad]`
#[derive(Debug)]
pub struct Mullvad {
    /// The preferred one first, each with a name and a relay of its own; empty only beside an account.
    pub relays: Vec<MullvadFile>,
    /// Whose relays come after those.
    pub account: Option<Account>,
    /// Of the tunnel's interface, in bytes, 1280 to 1420.
    pub mtu: u16,
    pub expect: Expect,
    pub check_url: Url,
}

/// `[mullvad] account`: relays of Mullvad's whole list, by a key that the box makes for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// 16 digits.
    pub number: Secret,
    pub location: Choice,
    /// Whether only Mullvad's own machines count, not rented ones.
    pub owned: bool,
    /// How old the box's key may become.
    pub rotate: Duration,
}

/// `[dns]`: names as clients ask for them. Domains are in lower case, without dots at their ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    pub privacy: Upstream,
    pub residential: Upstream,
    /// Names below it are asked of the first of `[uplink] dns`, which is there then.
    pub house_domain: Option<String>,
    /// Names below these may have private addresses.
    pub allow_private: Vec<String>,
    /// Whether clients' DNS over TLS is refused, so that they ask the box.
    pub refuse_dot: bool,
    /// Whether the last questions are kept, in memory.
    pub log: bool,
}

/// `[clients]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    /// What each may take in each direction; `None`: whatever the line gives.
    pub limit_mbit: Option<u16>,
}

/// `[residential]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Residential {
    /// Whether clients may send mail to other people's servers (TCP 25).
    pub smtp: bool,
    /// What they may move in a day, both ways; `None`: whatever they like.
    pub daily_gb: Option<u16>,
}

/// `[clock]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    pub keep: Keep,
    /// Time servers, in place of the built-in ones; empty: those.
    pub servers: Vec<IpAddr>,
}

/// `[ssh]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh {
    /// Who may log in; without any nothing listens.
    pub keys: Vec<SshKey>,
    /// Whether they may from the house too.
    pub lan: bool,
}

/// `[panel]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel {
    /// Which one is looked for; `None`: none.
    pub screen: Option<ScreenSettings>,
    /// `None`: it never keeps quiet.
    pub night: Option<Night>,
}

impl Default for Panel {
    fn default() -> Self {
        Self { screen: Some(ScreenSettings::default()), night: None }
    }
}

/// When the panel keeps quiet, by the clock on the house's wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Night {
    pub hours: OffHours,
    pub zone: TimeZone,
}

impl Mullvad {
    /// What to say of resolvers in the files that cannot be asked beside a tailnet: what they blocked is let through.
    pub fn notes(&self) -> Vec<String> {
        let mut named: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
        for relay in &self.relays {
            let blocking = relay.conf.dns.iter().find(|server| upstream::is_blocking_resolver(**server));
            if let Some(server) = blocking {
                named.entry(*server).or_default().push(format!("{}.conf", relay.relay_name()));
            }
        }
        let advice = upstream::BLOCKING_BY_NAME;
        let note = |(server, files): (IpAddr, Vec<String>)| {
            format!(
                "{server}, the DNS of {}, is one of Mullvad's blocking resolvers and at the same time where the \
                 tailnet's own addresses are, so it is not asked: {advice}, as privacy below [dns]",
                files.join(", ")
            )
        };
        named.into_iter().map(note).collect()
    }
}

/// A file as Mullvad's generator makes them.
#[derive(Debug)]
pub struct MullvadFile {
    pub path: PathBuf,
    pub conf: Conf,
}

impl MullvadFile {
    /// # Errors
    /// Every mistake in the file at once.
    fn parse(path: PathBuf, text: &str) -> Result<Self, Vec<Mistake>> {
        if text.trim().is_empty() {
            return Err(vec![Mistake::at(text, 0, "the file is empty: download it again")]);
        }
        Ok(Self { path, conf: conf::parse(text)? })
    }

    /// The relay's name, as its file is called: `se-got-wg-001`.
    pub fn relay_name(&self) -> String {
        self.path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    }
}

/// Reads `byway.toml` and the files it names, which begin in its folder.
///
/// # Errors
/// Every mistake in them at once, or that the file cannot be read.
pub fn load(file: &Path) -> Result<Config, ConfigError> {
    parse(&read_text(file)?, file, &|named| fs::read_to_string(named))
}

pub(crate) fn read_text(file: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(file).map_err(|error| {
        let message = format!("cannot be read: {error}: write it, or name another with --config");
        ConfigError { mistakes: vec![(file.into(), Mistake { line: 1, column: 1, message })] }
    })
}
