//! What the rule set has counted, as `nft` lists it, and how many flows are tracked.

use anyhow::{Context as _, Result};

use crate::namespace::run;

/// Packets of a counter, packets of an address in a set that counts, or flows that have this address at one end (of TCP, those
/// that are established).
pub(crate) fn read(what: &[&str]) -> Result<usize> {
    match what {
        ["tracked" | "established", address] => {
            let family = if address.contains(':') { "ipv6" } else { "ipv4" };
            let flows = run(&format!("exec conntrack -L -f {family} 2>/dev/null"));
            let end = format!("={address}");
            let has_end = |flow: &&str| flow.split_whitespace().any(|word| word.ends_with(&end));
            let counts = |flow: &&str| what[0] == "tracked" || flow.contains("ESTABLISHED");
            Ok(flows.lines().filter(has_end).filter(counts).count())
        }
        [set, address] => {
            let listing = run(&format!("exec nft list set inet byway {set}"));
            listing.split_once(&format!("{address} counter packets ")).map_or(Ok(0), |(_, rest)| number(rest))
        }
        _ => {
            let name = what.join(" ");
            let listing = run(&format!("exec nft list counter inet byway {name}"));
            number(listing.split_once("packets ").with_context(|| format!("nft lists no {name}"))?.1)
        }
    }
}

fn number(text: &str) -> Result<usize> {
    let digits = text.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().with_context(|| format!("not a number: {digits}"))
}
