//! Values of the configuration that cannot be wrong once they exist. Each parses itself and says in a phrase what
//! to write instead; what is asked of them together is decided by the reader.

use std::fmt;
use std::str::FromStr;

use super::url;

/// The name of a machine on the tailnet: one label of a host name, lower case (RFC 1123 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest name that would be right.
    fn nearest_to(text: &str) -> Self {
        let hyphenated: String =
            text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let short: String = hyphenated.trim_matches('-').chars().take(63).collect();
        let label = short.trim_matches('-');
        if label.is_empty() { Self::default() } else { Self(label.to_owned()) }
    }
}

impl Default for HostName {
    fn default() -> Self {
        Self("byway".to_owned())
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nearest = Self::nearest_to(text);
        if nearest.0 == text {
            return Ok(nearest);
        }
        Err(format!(
            "a host name is 1 to 63 of a-z, 0-9 and '-', with no '-' at its ends: write {:?}",
            nearest.as_str()
        ))
    }
}

/// A network interface's name as the kernel takes it (`dev_valid_name`), and as it stays itself inside a rule set:
/// letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceName(String);

impl InterfaceName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl InterfaceName {
    /// Linux's name of the first radio.
    pub(super) fn wlan0() -> Self {
        Self("wlan0".to_owned())
    }
}

impl Default for InterfaceName {
    fn default() -> Self {
        Self("eth0".to_owned())
    }
}

impl FromStr for InterfaceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=15).contains(&text.len());
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        if !fits || !plain || text.chars().all(|c| c == '.') {
            return Err(
                "an interface's name is 1 to 15 letters, digits, '.', '-' or '_': write \"eth0\", or one \
                        that `ip link` lists"
                    .to_owned(),
            );
        }
        if ["lo", "wg0", "tailscale0"].contains(&text) {
            return Err(format!(
                "{text} does not lead to the house's router: write \"eth0\", or one that `ip link` lists"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A domain, in lower case and without dots at its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Domain(String);

impl From<Domain> for String {
    fn from(Domain(name): Domain) -> Self {
        name
    }
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim_matches('.').to_ascii_lowercase();
        if url::is_domain_name(&name) {
            return Ok(Self(name));
        }
        Err(format!("{text:?} is no domain: write it as \"lan\" or \"home.example.com\", without a star"))
    }
}

/// Something that must never be shown: its `Debug` is `(secret)` and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// For what is asked of other secrets than keys.
    pub(super) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret itself, for the one place that must hand it on.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(
                "a key is one word without spaces: paste it as the control server printed it".to_owned()
            );
        }
        Ok(Self(text.to_owned()))
    }
}

/// The number of an account with Mullvad, without the spaces that the website puts between its groups.
pub(super) struct AccountNumber(Secret);

impl From<AccountNumber> for Secret {
    fn from(AccountNumber(number): AccountNumber) -> Self {
        number
    }
}

impl FromStr for AccountNumber {
    type Err = String;

    /// Says nothing of what is in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const DIGITS: usize = 16;
        let number = text.replace(' ', "");
        let wrong = if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            "something else".to_owned()
        } else if number.len() == DIGITS {
            return Ok(Self(Secret(number)));
        } else {
            number.len().to_string()
        };
        Err(format!(
            "an account's number is {DIGITS} digits, and this one has {wrong}: write it as mullvad.net shows it"
        ))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_host_names_and_offers_the_nearest_to_a_wrong_one() {
        assert!("byway-2".parse::<HostName>().is_ok());
        for (wrong, nearest) in
            [("My Box", "my-box"), ("-a-", "a"), ("", "byway"), ("b\u{e4}r.lan", "b-r-lan"), ("...", "byway")]
        {
            let message = wrong.parse::<HostName>().unwrap_err();
            assert!(message.ends_with(&format!("write {nearest:?}")), "{wrong}: {message}");
        }
        assert!("a".repeat(63).parse::<HostName>().is_ok());
        assert!("a".repeat(64).parse::<HostName>().is_err());
    }

    #[test]
    fn takes_interface_names_that_kernel_and_rule_set_take() {
        for right in ["eth0", "end0", "enx00e04c680001", "br-lan", "eth0.10"] {
            assert_eq!(right.parse::<InterfaceName>().unwrap().as_str(), right);
        }
        for wrong in
            ["", "..", "a/b", "e th0", "sixteen-letters-", "eth*", "e\"th", "wg0", "tailscale0", "lo"]
        {
            assert!(wrong.parse::<InterfaceName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn takes_domains_with_dots_at_their_ends() {
        for (text, domain) in [("lan", "lan"), (".Home.Example.com.", "home.example.com")] {
            assert_eq!(String::from(text.parse::<Domain>().unwrap()), domain);
        }
        for wrong in ["", ".", "*.lan", "a..b", "192.168.1", "my home"] {
            assert!(wrong.parse::<Domain>().unwrap_err().contains("write it as"), "{wrong}");
        }
    }

    #[test]
    fn takes_an_account_s_number_with_spaces_or_without_and_never_tells_it() {
        for right in ["1234567890123456", "1234 5678 9012 3456", " 12345678 90123456 "] {
            let number = Secret::from(right.parse::<AccountNumber>().map_err(|_| right).unwrap());
            assert_eq!(number.reveal(), "1234567890123456");
        }
        for (wrong, has) in [
            ("", "has 0:"),
            ("123456789012345", "has 15:"),
            ("12345678901234567", "has 17:"),
            ("1234-5678-9012-3456", "has something else:"),
            ("kept", "has something else:"),
            ("\u{661}234567890123456", "has something else:"),
        ] {
            let Err(message) = wrong.parse::<AccountNumber>() else { panic!("{wrong}") };
            assert!(message.contains(has), "{wrong}: {message}");
            assert!(wrong.is_empty() || !message.contains(wrong), "{message}");
        }
    }

    #[test]
    fn never_shows_a_secret() {
        let secret: Secret = "hskey-auth-1234".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "(secret)");
        assert_eq!(secret.reveal(), "hskey-auth-1234");
        assert!(!"hskey 1234".parse::<Secret>().unwrap_err().contains("1234"));
    }
}
