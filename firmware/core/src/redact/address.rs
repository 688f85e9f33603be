//! Finds addresses, however they stand in a text, and knows whose they are.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;

use super::Redactor;
use crate::posture::ruleset::{TAILNET4, TAILNET6};

/// The tunnel's own; the gateway is every box's.
const TUNNEL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 64, 0, 0), 10);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
/// Tailscale's own resolver, of every tailnet.
const MAGIC_DNS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 100)),
    IpAddr::V6(Ipv6Addr::new(0xfd7a, 0x115c, 0xa1e0, 0, 0, 0, 0, 0x53)),
];

/// Of a hardware address.
const MAC_PAIRS: usize = 6;

/// Letters are part of it: what is within a word is no address.
pub(super) fn is_part(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == ':' || letter == '.'
}

/// With the hardware's, which are written the same way.
pub(super) fn redact_v6(run: &str, redactor: &mut Redactor) -> Option<String> {
    if run.matches(':').count() < 2 {
        return None;
    }
    let (mut told, mut rest, mut found) = (String::new(), run, false);
    while !rest.is_empty() {
        let is_v6 = |letter: char| letter.is_ascii_hexdigit() || letter == ':' || letter == '.';
        let begin = rest.find(is_v6).unwrap_or(rest.len());
        told.push_str(&rest[..begin]);
        let after = &rest[begin..];
        let end = after.find(|letter| !is_v6(letter)).unwrap_or(after.len());
        let (candidate, after) = after.split_at(end);
        match within_words(&told, candidate, after).and_then(|candidate| replaced(candidate, redactor)) {
            Some((address, stand_in)) => {
                told.push_str(&candidate.replacen(address, &stand_in, 1));
                found = true;
            }
            None => told.push_str(candidate),
        }
        rest = after;
    }
    found.then_some(told)
}

/// Without what belongs to the words before and after it, from which a colon parts it; `d::f` of `std::fs` is all theirs.
fn within_words<'a>(before: &str, candidate: &'a str, after: &str) -> Option<&'a str> {
    let mut candidate = candidate;
    if before.ends_with(|letter: char| letter.is_ascii_alphanumeric()) {
        candidate =
            candidate[candidate.find(':')?..].strip_prefix(':').filter(|rest| !rest.starts_with(':'))?;
    }
    if after.starts_with(|letter: char| letter.is_ascii_alphanumeric()) {
        candidate =
            candidate[..=candidate.rfind(':')?].strip_suffix(':').filter(|rest| !rest.ends_with(':'))?;
    }
    Some(candidate)
}

/// The first and longest address in it, and its stand-in. What is not part of it is a name before it, or a port; of more than
/// eight groups nobody knows where the address begins, and all of them go.
fn replaced<'a>(candidate: &'a str, redactor: &mut Redactor) -> Option<(&'a str, String)> {
    let starts = || core::iter::once(0).chain(candidate.match_indices(':').map(|(at, _)| at + 1));
    for start in starts() {
        let ends = candidate.match_indices([':', '.']).map(|(at, _)| at).chain([candidate.len()]);
        let mut ends: Vec<usize> = ends.filter(|end| *end > start).collect();
        ends.reverse();
        for end in ends {
            let text = &candidate[start..end];
            if let (true, Ok(address)) = (text.matches(':').count() >= 2, text.parse::<Ipv6Addr>()) {
                let more = candidate[end..].strip_prefix(':');
                if more.is_some_and(|more| more.starts_with(|it: char| it.is_ascii_hexdigit())) {
                    let whole = candidate[start..].trim_end_matches([':', '.']);
                    return Some((whole, redactor.stand_in("public", whole)));
                }
                let stand_in = told(IpAddr::V6(address), redactor).unwrap_or_else(|| text.to_string());
                return Some((text, stand_in));
            }
        }
    }
    starts().find_map(|start| {
        let pairs = candidate[start..].split([':', '.']).take_while(|part| is_pair(part)).count();
        let text = (pairs >= MAC_PAIRS).then(|| &candidate[start..start + 3 * pairs - 1])?;
        Some((text, redactor.stand_in("mac", &text.to_lowercase())))
    })
}

/// Six or more times two hex digits.
pub(super) fn is_mac(parts: &[&str]) -> bool {
    parts.len() >= MAC_PAIRS && parts.iter().all(|part| is_pair(part))
}

fn is_pair(part: &str) -> bool {
    part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Four numbers with dots between, wherever they stand.
pub(super) fn redact_v4(text: &str, redactor: &mut Redactor) -> String {
    super::text::runs(
        text,
        |letter| letter.is_ascii_digit() || letter == '.',
        |run| {
            let address = run.trim_matches('.');
            let numbers: Vec<&str> = address.split('.').collect();
            let told = match (&numbers[..], address.parse::<Ipv4Addr>()) {
                (_, Ok(address)) => told(IpAddr::V4(address), redactor)?,
                // Five and more numbers are no address, but may hold one.
                ([_, _, _, _, ..], Err(_)) => redactor.stand_in("public", address),
                _ => return None,
            };
            Some(run.replace(address, &told))
        },
    )
}

/// None: everybody has it.
fn told(address: IpAddr, redactor: &mut Redactor) -> Option<String> {
    let address = address.to_canonical();
    if MAGIC_DNS.contains(&address)
        || address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
    {
        return None;
    }
    let kind = match address {
        IpAddr::V4(v4) if TAILNET4.contains(&v4) => "client",
        IpAddr::V4(v4) if v4 == GATEWAY || v4.is_broadcast() || v4.is_link_local() => return None,
        IpAddr::V4(v4) if TUNNEL.contains(&v4) => "tunnel",
        IpAddr::V4(v4) if v4.is_private() => return None,
        IpAddr::V6(v6) if TAILNET6.contains(&v6) => "client",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => "link",
        IpAddr::V6(v6) if v6.is_unique_local() => "house",
        IpAddr::V4(_) | IpAddr::V6(_) => "public",
    };
    Some(redactor.stand_in(kind, &address.to_string()))
}
