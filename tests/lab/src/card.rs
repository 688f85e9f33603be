//! What an owner of the lab's world puts on a card: `byway.toml`, and Mullvad's files beside it.

use std::fmt;
use std::path::Path;

use anyhow::Result;

use crate::World;
use crate::mullvad_api::ACCOUNT;
use crate::tools::write_secret;
use crate::topology::{PRIVACY_DNS, RESIDENTIAL_DNS, TIME_SERVERS};

/// What is on the card. Prints only what is no secret.
#[derive(Clone)]
pub struct Card {
    /// The egress at the very first boot: `privacy`, `residential` or `sealed`.
    pub egress: &'static str,
    pub auth_key: String,
    /// Each relay's file: its name and its text, in the owner's order.
    pub mullvad_confs: Vec<(String, String)>,
    /// Whose relays carry, behind those of the files.
    pub account: Option<Account>,
}

/// An account with Mullvad, and what is wanted of it.
#[derive(Clone)]
pub struct Account {
    pub number: String,
    /// A country, a city or a relay, as `se-got`.
    pub location: &'static str,
    /// The box's own habit, if none is given.
    pub rotate_days: Option<u8>,
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card").field("egress", &self.egress).finish_non_exhaustive()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("location", &self.location).finish_non_exhaustive()
    }
}

impl Card {
    /// A good card for this world: privacy first, a key that approves itself, the first relay's true configuration.
    pub fn for_world(world: &World) -> Result<Self> {
        Self::without_relays(world)?.with_relays(world, 1)
    }

    /// The same in account mode: no file of Mullvad's, but the number of the account that the world has.
    pub fn of_account(world: &World, location: &'static str) -> Result<Self> {
        Ok(Self::without_relays(world)?.with_account(location))
    }

    fn without_relays(world: &World) -> Result<Self> {
        let auth_key = world.control.box_key()?;
        Ok(Self { egress: "privacy", auth_key, mullvad_confs: Vec::new(), account: None })
    }

    /// The same with the world's account behind the files.
    #[must_use]
    pub fn with_account(self, location: &'static str) -> Self {
        let account = Account { number: ACCOUNT.to_owned(), location, rotate_days: None };
        Self { account: Some(account), ..self }
    }

    /// The same with the true configurations of the world's first `count` relays.
    pub fn with_relays(mut self, world: &World, count: usize) -> Result<Self> {
        let relays = world.relays().into_iter().take(count);
        let confs = relays.map(|relay| Ok((conf_name(relay.name()), relay.conf()?)));
        self.mullvad_confs = confs.collect::<Result<_>>()?;
        Ok(self)
    }

    /// The text of its `byway.toml`, for a box whose tailscaled is there.
    pub fn byway_toml(&self, tailscaled: &str) -> String {
        let Card { egress, auth_key, .. } = self;
        let mullvad = self.mullvad_lines();
        format!(
            r#"[box]
name = "byway"
egress = "{egress}"

[uplink]
interface = "eth0"
method = "dhcp"

[tailnet]
control = "https://hs.example.net"
auth_key = "{auth_key}"
tailscaled = "{tailscaled}"

[mullvad]
{mullvad}
check_url = "https://check.example.net/json"

[clock]
servers = {:?}

[dns]
{}"#,
            TIME_SERVERS.as_flattened(),
            own_name_servers()
        )
    }

    /// Where relays come from.
    fn mullvad_lines(&self) -> String {
        let files = (!self.mullvad_confs.is_empty()).then(|| config_line(&self.mullvad_confs));
        let account = self.account.as_ref().map(Account::lines);
        files.into_iter().chain(account).collect::<Vec<_>>().join("\n")
    }
}

impl Account {
    fn lines(&self) -> String {
        let Self { number, location, rotate_days } = self;
        let rotate = rotate_days.map_or_else(String::new, |days| format!("\nrotate_days = {days}"));
        format!("account = \"{number}\"\nlocation = \"{location}\"{rotate}")
    }
}

pub(crate) fn write_confs(card: &Path, confs: &[(String, String)]) -> Result<()> {
    confs.iter().try_for_each(|(name, text)| write_secret(&card.join(name), text))
}

pub(crate) fn config_line(confs: &[(String, String)]) -> String {
    let names: Vec<&String> = confs.iter().map(|(name, _)| name).collect();
    format!("config = {names:?}")
}

/// As Mullvad's generator names a relay's file.
pub fn conf_name(relay: &str) -> String {
    format!("{relay}.conf")
}

/// The world's two, one for each door.
fn own_name_servers() -> String {
    format!(
        r#"privacy = "https://dns-privacy.example.net/dns-query"
residential = "tls://dns-residential.example.net"
{}
"#,
        bootstrap()
    )
}

/// Where they are: a line of the card.
pub fn bootstrap() -> String {
    let [privacy, residential] =
        [PRIVACY_DNS, RESIDENTIAL_DNS].map(|(v4, v6)| format!(r#"["{v4}", "{v6}"]"#));
    format!(
        r#"bootstrap = {{ "dns-privacy.example.net" = {privacy}, "dns-residential.example.net" = {residential} }}"#
    )
}
