//! What a person may ask the stub, and what is told of the answer. Asks nobody itself.

use std::net::IpAddr;
use std::str::FromStr as _;

use hickory_proto::rr::{Name, RecordType};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// A question on its way to the stub.
#[derive(Debug)]
pub enum Question {
    /// As a client would; an error says why it cannot be asked.
    Ask { asked: Asked, answer: oneshot::Sender<Result<Told, String>> },
    /// The last questions of everybody, the oldest first; `None`: they are not kept.
    Log { answer: oneshot::Sender<Option<Vec<Logged>>> },
}

/// A name and a type that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// In lower case, without the dot at its end; the root is the empty name.
    pub name: String,
    /// In capitals, as `AAAA`.
    pub kind: String,
}

/// An answer, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// `"NOERROR"`, `"NXDOMAIN"`, `"SERVFAIL"`, ...
    pub rcode: String,
    /// Records as zone files have them: `example.org. 300 A 192.0.2.1`.
    pub answers: Vec<String>,
    /// `"privacy"`, `"residential"`, `"tailnet"`, `"house"`, or `"box"`: nobody else was asked.
    pub by: String,
    /// As it may be told; null where none was asked.
    pub upstream: Option<String>,
    pub cached: bool,
    pub took_ms: u64,
    /// Why the answer is not what was hoped for.
    pub note: Option<String>,
}

/// One question of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// RFC 3339.
    pub at: String,
    pub client: IpAddr,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub rcode: String,
    pub by: String,
    pub took_ms: u64,
}

impl Asked {
    /// # Errors
    /// A phrase that says what to write instead.
    pub fn new(name: &str, kind: &str) -> Result<Self, String> {
        Ok(Self { name: parse_name(name)?, kind: parse_kind(kind)? })
    }
}

impl Told {
    /// A record of the type that was asked for is among the answers.
    pub fn has_data(&self) -> bool {
        self.rcode == "NOERROR"
            && self.answers.iter().any(|record| record.split(' ').nth(2) == Some(&self.kind))
    }
}

/// Names of other scripts are written as DNS does, in ASCII.
pub(crate) fn parse_name(text: &str) -> Result<String, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let reverse = Name::from(address).to_ascii();
        return Err(format!(
            "{text} is an address: write {} with the type PTR",
            reverse.trim_end_matches('.')
        ));
    }
    let name = Some(text).filter(|text| !text.is_empty()).map(Name::from_str_relaxed);
    let Some(Ok(name)) = name else {
        return Err(format!("{text:?} is no name: write one as example.org"));
    };
    Ok(name.to_lowercase().to_ascii().trim_end_matches('.').to_owned())
}

pub(crate) fn parse_kind(text: &str) -> Result<String, String> {
    match RecordType::from_str(&text.to_ascii_uppercase()) {
        // Everything at once, or a whole zone: resolvers refuse that.
        Ok(RecordType::ANY | RecordType::AXFR) | Err(_) => Err(format!(
            "{text:?} is no type to ask for: write A, AAAA, CNAME, HTTPS, MX, NS, PTR, SRV or TXT"
        )),
        Ok(kind) => Ok(kind.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_and_types_as_people_write_them() {
        for (name, kind, asked) in [
            ("Example.Org", "a", ("example.org", "A")),
            ("example.org.", "AAAA", ("example.org", "AAAA")),
            ("_dns.resolver.arpa", "svcb", ("_dns.resolver.arpa", "SVCB")),
            ("dis_allowed.example", "TXT", ("dis_allowed.example", "TXT")),
            ("b\u{fc}cher.example", "A", ("xn--bcher-kva.example", "A")),
            ("localhost", "A", ("localhost", "A")),
            (".", "NS", ("", "NS")),
        ] {
            let Asked { name, kind } = Asked::new(name, kind).unwrap();
            assert_eq!((name.as_str(), kind.as_str()), asked);
        }
    }

    #[test]
    fn says_what_to_write_instead() {
        let long = "a".repeat(64);
        for wrong in ["", "a..b", "a b", "a\nb", &long, &"a.".repeat(200)] {
            let message = Asked::new(wrong, "A").unwrap_err();
            assert!(message.ends_with("is no name: write one as example.org"), "{message}");
        }
        for wrong in ["", "B", "any", "AXFR", "A AAAA", "*"] {
            let message = Asked::new("example.org", wrong).unwrap_err();
            assert!(message.contains("is no type to ask for: write A, AAAA"), "{message}");
        }
        assert_eq!(
            Asked::new("192.0.2.1", "PTR").unwrap_err(),
            "192.0.2.1 is an address: write 1.2.0.192.in-addr.arpa with the type PTR"
        );
    }

    #[test]
    fn an_alias_that_leads_nowhere_is_no_data() {
        let told = |rcode: &str, answers: &[&str]| Told {
            name: "example.org".to_owned(),
            kind: "A".to_owned(),
            rcode: rcode.to_owned(),
            answers: answers.iter().map(|answer| (*answer).to_owned()).collect(),
            by: "privacy".to_owned(),
            upstream: None,
            cached: false,
            took_ms: 1,
            note: None,
        };
        let (alias, address) = ("example.org. 60 CNAME example.net.", "example.net. 60 A 192.0.2.1");
        assert!(told("NOERROR", &[alias, address]).has_data());
        assert!(!told("NOERROR", &[alias]).has_data());
        assert!(!told("NOERROR", &[]).has_data());
        assert!(!told("NXDOMAIN", &[alias]).has_data());
    }
}
