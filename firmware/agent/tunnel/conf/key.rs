//! The names that a `.conf` may hold, and those that it must not.

/// In the order in which they are usually written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Interface,
    Peer,
}

impl Section {
    pub(super) fn from_header(header: &str) -> Option<Section> {
        let name = header.strip_prefix('[')?.strip_suffix(']')?.trim();
        [Section::Interface, Section::Peer]
            .into_iter()
            .find(|section| section.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Section::Interface => "Interface",
            Section::Peer => "Peer",
        }
    }

    /// What to say about a second one.
    pub(super) fn twice(self) -> &'static str {
        match self {
            Section::Interface => "keep one [Interface]: a file is for one device",
            Section::Peer => {
                "keep one [Peer]: a file is for one relay, put the other one into a file of its own"
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Private,
    Address,
    Dns,
    Mtu,
    ListenPort,
    Public,
    Preshared,
    AllowedIps,
    Endpoint,
    Keepalive,
}

const KEYS: [Key; 10] = [
    Key::Private,
    Key::Address,
    Key::Dns,
    Key::Mtu,
    Key::ListenPort,
    Key::Public,
    Key::Preshared,
    Key::AllowedIps,
    Key::Endpoint,
    Key::Keepalive,
];

/// What `wg-quick` understands and this box must not, in small letters.
const REFUSED: [(&str, &str); 7] = [
    ("preup", NO_COMMANDS),
    ("postup", NO_COMMANDS),
    ("predown", NO_COMMANDS),
    ("postdown", NO_COMMANDS),
    ("table", "delete this line: the routes are byway's own"),
    ("fwmark", "delete this line: the marks are byway's own"),
    ("saveconfig", "delete this line: byway never writes this file"),
];
const NO_COMMANDS: &str =
    "delete this line: byway never runs commands from this file, and its own firewall is the kill switch";

impl Key {
    /// The key called `name` in `section`, whatever its letters' case, or what to do about it.
    pub(super) fn find(name: &str, section: Section) -> Result<Key, String> {
        if let Some((_, message)) = REFUSED.iter().find(|(refused, _)| refused.eq_ignore_ascii_case(name)) {
            return Err((*message).to_owned());
        }
        match KEYS.into_iter().find(|key| key.name().eq_ignore_ascii_case(name)) {
            Some(key) if key.section() == section => Ok(key),
            Some(key) => {
                Err(format!("{} belongs under [{}]: move it there", key.name(), key.section().name()))
            }
            None => Err(format!("unknown key: [{}] has {}", section.name(), names_of(section))),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Key::Private => "PrivateKey",
            Key::Address => "Address",
            Key::Dns => "DNS",
            Key::Mtu => "MTU",
            Key::ListenPort => "ListenPort",
            Key::Public => "PublicKey",
            Key::Preshared => "PresharedKey",
            Key::AllowedIps => "AllowedIPs",
            Key::Endpoint => "Endpoint",
            Key::Keepalive => "PersistentKeepalive",
        }
    }

    pub(super) fn section(self) -> Section {
        match self {
            Key::Private | Key::Address | Key::Dns | Key::Mtu | Key::ListenPort => Section::Interface,
            Key::Public | Key::Preshared | Key::AllowedIps | Key::Endpoint | Key::Keepalive => Section::Peer,
        }
    }

    /// Whether more lines add to the first one.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Key::Address | Key::Dns | Key::AllowedIps)
    }

    /// How to get or write a value that is missing.
    pub(super) fn example(self) -> &'static str {
        match self {
            Key::Private | Key::Public | Key::Preshared => {
                "copy the line from the file that Mullvad generated"
            }
            Key::Address => "write the tunnel's own addresses, such as `Address = 10.64.0.2/32`",
            Key::Endpoint => "write the relay's address and port, such as `Endpoint = 192.0.2.130:51820`",
            Key::AllowedIps => "write `AllowedIPs = 0.0.0.0/0, ::/0`",
            Key::Dns | Key::Mtu | Key::ListenPort | Key::Keepalive => "it may be left out",
        }
    }
}

fn names_of(section: Section) -> String {
    let names: Vec<_> = KEYS.into_iter().filter(|key| key.section() == section).map(Key::name).collect();
    names.join(", ")
}
