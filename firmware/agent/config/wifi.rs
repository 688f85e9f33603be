//! `[uplink.wifi]`: the house's network without a cable. Values that cannot be wrong once they exist.

use std::str::FromStr;

use super::value::{InterfaceName, Secret};

/// ISO 3166-1: the radio keeps to this country's rules.
const COUNTRIES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO \
    FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE \
    JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW \
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM \
    TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wifi {
    pub interface: InterfaceName,
    pub ssid: Ssid,
    pub key: WifiKey,
    pub country: Country,
}

/// A network's name: 1 to 32 bytes, any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssid(String);

impl Ssid {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ssid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.len() {
            0 => Err("a network has a name: write it as a phone shows it".to_owned()),
            1..=32 => Ok(Self(text.to_owned())),
            bytes => Err(format!(
                "a network's name has at most 32 bytes, and this one has {bytes}: write it as a phone shows it"
            )),
        }
    }
}

/// What the network asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WifiKey {
    /// Nothing: everybody may join.
    Open,
    /// WPA2 or WPA3, 8 to 63 printable ASCII characters.
    Password(Secret),
    /// WPA2's own key, 64 hex digits; WPA3 cannot be joined with it.
    Psk(Secret),
}

impl FromStr for WifiKey {
    type Err = String;

    /// Says nothing of what is in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.is_empty() {
            return Err("an empty password is none: leave psk out for an open network".to_owned());
        }
        if !is_printable {
            return Err(
                "a wi-fi password is made of the letters, digits and signs of ASCII, and this one has \
                        others: write it as the router has it"
                    .to_owned(),
            );
        }
        match text.len() {
            8..=63 => Ok(Self::Password(Secret::of(text))),
            64 if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(Self::Psk(Secret::of(text))),
            length => Err(format!(
                "a wi-fi password has 8 to 63 characters (or is a key of 64 hex digits), and this one has {length}: \
                 write it as the router has it"
            )),
        }
    }
}

/// Two letters that ISO 3166-1 has given to a country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Country(String);

impl Country {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = text.to_ascii_uppercase();
        if COUNTRIES.split(' ').any(|country| country == code) {
            return Ok(Self(code));
        }
        let advice = match code.as_str() {
            "UK" => "\"GB\"",
            "EN" => "\"GB\" or \"US\"",
            _ => "the country of the house, as \"SE\"",
        };
        Err(format!("{text:?} is no country's two letters (ISO 3166): write {advice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_of_any_bytes_up_to_32() {
        for right in ["x", "Familjen Åström", "\"; psk=\n\u{1f4f6}", &"a".repeat(32)] {
            assert_eq!(right.parse::<Ssid>().unwrap().as_str(), right);
        }
        assert!("".parse::<Ssid>().is_err());
        assert!("å".repeat(17).parse::<Ssid>().unwrap_err().contains("this one has 34"));
    }

    #[test]
    fn tells_a_password_from_a_key() {
        let key = |text: &str| text.parse::<WifiKey>();
        for password in ["12345678", "\" # psk=\\ '", &"f".repeat(63)] {
            assert_eq!(key(password), Ok(WifiKey::Password(Secret::of(password))));
        }
        assert_eq!(key(&"aF09".repeat(16)), Ok(WifiKey::Psk(Secret::of(&"aF09".repeat(16)))));
        for wrong in ["", "1234567", &"g".repeat(64), &"f".repeat(65), "gr\u{fc}ne Insel", "line\nbreak"] {
            let message = key(wrong).unwrap_err();
            assert!(wrong.is_empty() || !message.contains(wrong), "{message}");
        }
    }

    #[test]
    fn takes_countries_alone() {
        assert_eq!("se".parse::<Country>().unwrap().as_str(), "SE");
        assert_eq!(COUNTRIES.split(' ').count(), 249);
        for (wrong, advice) in
            [("UK", "\"GB\""), ("Sweden", "as \"SE\""), ("XX", "as \"SE\""), ("", "as \"SE\"")]
        {
            assert!(wrong.parse::<Country>().unwrap_err().ends_with(advice), "{wrong}");
        }
    }
}
