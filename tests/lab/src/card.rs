//! What an owner of the lab's world puts on a card: `byway.toml`, and Mullvad's files beside it.

use std::fmt;
use std::path::Path;

use anyhow::Result;

use crate::World;
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
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card").field("egress", &self.egress).finish_non_exhaustive()
    }
}

impl Card {
    /// A good card for this world: privacy first, a key that approves itself, the first relay's true configuration.
    pub fn for_world(world: &World) -> Result<Self> {
        let card = Self { egress: "privacy", auth_key: world.control.box_key()?, mullvad_confs: Vec::new() };
        card.with_relays(world, 1)
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
        let Card { egress, auth_key, mullvad_confs } = self;
        let config = config_line(mullvad_confs);
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
{config}
check_url = "https://check.example.net/json"

[clock]
servers = {:?}

[dns]
{}"#,
            TIME_SERVERS.as_flattened(),
            own_name_servers()
        )
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
