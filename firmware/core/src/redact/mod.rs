//! Decides what of a text may be mailed: keys, passwords, names and addresses of clients, public addresses, hardware
//! addresses and paths of URLs are taken out, and each is replaced by the same stand-in wherever it comes, so that the text
//! can still be read. In doubt it takes too much.
//!
//! | found | replaced by |
//! |---|---|
//! | a secret that is known, a key by its form, what follows `psk =` and the like | `[secret]` |
//! | the path of a URL | `[path]` |
//! | `somebody@somewhere` | `user-1` |
//! | a name or address of a peer, an address of the tailnet | `client-1` |
//! | another name of the tailnet, or one that is known as the owner's | `host-1` |
//! | a hardware address | `mac-1` |
//! | any other address that is not one of a house, of this machine, or of everybody | `public-1`, `link-1`, `house-1`, `tunnel-1` |

mod address;
mod key;
mod text;

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::IpAddr;

/// In place of everything that nobody needs to tell from another.
const SECRET: &str = "[secret]";
/// Shorter than this a secret is taken out as a whole word alone: within words it would be everywhere.
const SHORTEST_PART: usize = 4;

/// What is known to be somebody's.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Taken out wherever they stand: network names, passwords, profiles.
    pub secrets: Vec<String>,
    pub peers: Vec<Peer>,
    /// The owner's other names.
    pub hosts: Vec<String>,
    /// Whatever name ends with one of these.
    pub domains: Vec<String>,
}

/// A client, which has one stand-in for all of these.
#[derive(Clone, Debug)]
pub struct Peer {
    pub name: String,
    pub addresses: Vec<IpAddr>,
}

/// Remembers its stand-ins: a report's parts go through the same one.
#[derive(Debug)]
pub struct Redactor {
    secrets: Vec<String>,
    /// Secrets that are short.
    words: Vec<String>,
    hosts: Vec<String>,
    domains: Vec<String>,
    stand_ins: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, u32>,
}

impl Redactor {
    pub fn new(known: &Known) -> Self {
        let mut secrets: Vec<String> = known.secrets.iter().flat_map(|secret| forms(secret)).collect();
        secrets.retain(|secret| !secret.trim().is_empty());
        // A secret that contains another goes first.
        secrets.sort_by_key(|secret| core::cmp::Reverse(secret.len()));
        let (secrets, words) = secrets.into_iter().partition(|secret| secret.len() >= SHORTEST_PART);
        let lower = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
        let mut redactor = Self {
            secrets,
            words,
            hosts: lower(&known.hosts),
            domains: lower(&known.domains),
            stand_ins: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        for Peer { name, addresses } in &known.peers {
            let stand_in = redactor.stand_in("client", &name.to_lowercase());
            for address in addresses {
                redactor.stand_ins.insert(address.to_string(), stand_in.clone());
            }
        }
        redactor
    }

    pub fn redact(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), SECRET);
        }
        let text = text::runs(&text, char::is_alphanumeric, |word| {
            self.words.iter().any(|secret| secret == word).then(|| SECRET.to_owned())
        });
        let text = text::urls(&text);
        let text = text::labelled(&text);
        let text = text::runs(&text, key::is_of_groups, |run| Some(key::redact_groups(run)));
        let text = text::runs(&text, is_of_mail, |run| self.user(run));
        let text = text::runs(&text, is_of_name, |run| self.name(run));
        let text = text::runs(&text, key::is_part, |run| key::redact(run).map(|()| SECRET.to_owned()));
        let text = text::runs(&text, address::is_part, |run| address::redact_v6(run, self));
        address::redact_v4(&text, self)
    }

    /// The same for the same.
    fn stand_in(&mut self, kind: &'static str, of: &str) -> String {
        if let Some(known) = self.stand_ins.get(of) {
            return known.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let stand_in = format!("{kind}-{count}");
        self.stand_ins.insert(of.to_owned(), stand_in.clone());
        stand_in
    }

    fn user(&mut self, run: &str) -> Option<String> {
        let (name, host) = run.split_once('@')?;
        (!name.is_empty() && !host.is_empty()).then(|| self.stand_in("user", run))
    }

    /// Whole, or with what a domain adds.
    fn name(&mut self, run: &str) -> Option<String> {
        let dashes: Vec<&str> = run.split('-').collect();
        if address::is_mac(&dashes) {
            return Some(self.stand_in("mac", &dashes.join(":").to_lowercase()));
        }
        let (name, dots) = run.split_at(run.trim_end_matches('.').len());
        let name = name.to_lowercase();
        let first = name.split('.').next().unwrap_or_default().to_owned();
        let is_ours =
            |domain: &String| name.strip_suffix(domain.as_str()).is_some_and(|host| host.ends_with('.'));
        let told = if let Some(peer) = [&name, &first].into_iter().find_map(|it| self.stand_ins.get(it)) {
            peer.clone()
        } else if self.hosts.contains(&name)
            || self.domains.iter().any(is_ours)
            || name.ends_with(".ts.net")
            || self.domains.contains(&name)
        {
            self.stand_in("host", &name)
        } else {
            return None;
        };
        Some(told + dots)
    }
}

/// As it is, and as JSON, Rust and TOML quote it.
fn forms(secret: &str) -> [String; 3] {
    let json: String = secret
        .chars()
        .map(|letter| match letter {
            '"' => String::from("\\\""),
            '\\' => String::from("\\\\"),
            other => other.to_string(),
        })
        .collect();
    [secret.to_owned(), json, secret.escape_debug().to_string()]
}

fn is_of_mail(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "@._%+-".contains(letter)
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || "._-".contains(letter)
}

#[cfg(test)]
mod tests;
