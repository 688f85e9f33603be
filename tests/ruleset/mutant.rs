//! Every way in which the rule set, the ip rules and the routes can lack one thing: a rule, an alternative within a
//! rule, a condition of a rule that lets something pass, a policy, an ip rule, a route.

use std::fmt;

use byway_core::posture::routing;
use byway_core::{Facts, Posture};

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mutant {
    RuleSet(Change),
    /// As `ip` writes it.
    Routing(String),
}

/// A rule, and what stands in its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    chain: String,
    rule: String,
    instead: Option<String>,
    label: String,
}

/// Of the texts that are loaded.
pub(crate) fn of_rule_sets(texts: &[String]) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for text in texts {
        walk(text, |chain, rule| {
            mutants.extend(changes(chain, &timeless(rule)).into_iter().map(Mutant::RuleSet));
            Some(String::from(rule))
        });
    }
    mutants
}

pub(crate) fn of_routing(facts: &Facts) -> Vec<Mutant> {
    let plan = routing::plan(&Posture::sealed(facts.clone()));
    let rules = plan.rules.iter().map(ToString::to_string);
    rules.chain(plan.routes.iter().map(ToString::to_string)).map(Mutant::Routing).collect()
}

/// The text without what is missing.
pub(crate) fn changed(text: &str, change: &Change) -> String {
    walk(text, |chain, rule| {
        let hit = chain == change.chain && timeless(rule) == change.rule;
        if hit {
            change.instead.as_ref().map(|instead| of_this_house(instead, rule))
        } else {
            Some(String::from(rule))
        }
    })
}

/// Rewrites every rule; a hook with its policy counts as one.
fn walk(text: &str, mut rewrite: impl FnMut(&str, &str) -> Option<String>) -> String {
    let mut chain = "";
    let mut lines = Vec::new();
    for line in text.lines() {
        let bare = line.split(" #").next().unwrap_or_default().trim();
        if let Some(flipped) = bare.strip_prefix("add rule inet byway ") {
            let (name, rule) = flipped.split_once(' ').unwrap_or((flipped, ""));
            lines.extend(rewrite(name, rule).map(|rule| format!("add rule inet byway {name} {rule}")));
        } else if let Some((name, body)) = bare.strip_prefix("chain ").and_then(|rest| rest.split_once('{')) {
            chain = name.trim();
            let Some(body) = body.strip_suffix('}') else {
                lines.push(String::from(bare));
                continue;
            };
            let rules = body.split(';').map(str::trim).filter(|rule| !rule.is_empty());
            let rules = rules.filter_map(|rule| rewrite(chain, rule)).map(|rule| rule + "; ");
            lines.push(format!("chain {chain} {{ {}}}", rules.collect::<String>()));
            chain = "";
        } else if bare == "}" {
            chain = "";
            lines.push(String::from(bare));
        } else if chain.is_empty() || bare.is_empty() || bare.starts_with('#') {
            lines.push(String::from(line));
        } else {
            lines.extend(rewrite(chain, bare));
        }
    }
    lines.join("\n") + "\n"
}

fn changes(chain: &str, rule: &str) -> Vec<Change> {
    let change = |instead: Option<String>, label: String| Change {
        chain: String::from(chain),
        rule: String::from(rule),
        instead,
        label,
    };
    if rule.starts_with("type ") {
        let open = rule.replace("policy drop", "policy accept");
        let closed = (open != rule).then(|| change(Some(open), format!("{chain}: policy drop")));
        return closed.into_iter().collect();
    }
    let mut changes = vec![change(None, format!("{chain}: {rule}"))];
    for (list, separator) in lists(rule) {
        let items: Vec<&str> = list.split(separator).map(str::trim).collect();
        for item in &items {
            let others: Vec<&str> = items.iter().filter(|other| *other != item).copied().collect();
            let instead = rule.replace(list, &others.join(separator));
            changes.push(change(Some(instead), format!("{chain}: {} ⟶ {item}", rule.replace(list, "…"))));
        }
    }
    let passes = ["accept", "notrack"].iter().any(|verdict| rule.ends_with(verdict));
    let opens = passes || [" snat ", " redirect "].iter().any(|change| rule.contains(change));
    for condition in conditions(rule).into_iter().filter(|_| opens) {
        let instead = rule.replacen(&condition, "", 1);
        changes.push(change(Some(instead), format!("{chain}: {rule} ⟶ whatever {condition}")));
    }
    changes
}

/// What a rule asks for, each by itself.
fn conditions(rule: &str) -> Vec<String> {
    // A list is one word.
    let mut words: Vec<String> = Vec::new();
    for word in rule.split_whitespace() {
        match words.last_mut().filter(|last| last.starts_with('{') && !last.ends_with('}')) {
            Some(list) => *list = format!("{list} {word}"),
            None => words.push(String::from(word)),
        }
    }
    let mut found = Vec::new();
    let mut rest: Vec<&str> = words.iter().map(String::as_str).collect();
    while !rest.is_empty() {
        let length = match rest.as_slice() {
            ["iifname" | "oifname", "!=", ..] => 3,
            ["iifname" | "oifname", ..] => 2,
            ["meta", "mark", "&", _, "==", ..] | ["ip" | "ip6", _, ".", ..] => 6,
            ["ip" | "ip6" | "th" | "udp" | "tcp" | "icmp" | "icmpv6" | "ct" | "limit", ..]
            | ["meta", "l4proto", ..] => 3,
            ["fib", ..] => 4,
            _ => break,
        };
        let later = rest.split_off(length.min(rest.len()));
        found.push(rest.join(" "));
        rest = later;
    }
    found
}

/// The alternatives that a rule names: `{ tcp, udp }`, `established,related`.
fn lists(rule: &str) -> Vec<(&str, &'static str)> {
    let braces = rule.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let states = rule.split_whitespace().filter(|word| *word == "established,related");
    braces
        .map(str::trim)
        .map(|list| (list, ", "))
        .chain(states.map(|list| (list, ",")))
        .filter(|(list, separator)| list.contains(separator))
        .collect()
}

/// An address that the rule gives to a packet.
const OURS: &str = "OURS";

/// With the address of the rule that it stands for.
fn of_this_house(timeless: &str, rule: &str) -> String {
    let ours = rule.split_whitespace().skip_while(|word| *word != "to").nth(1);
    timeless.replace(OURS, ours.unwrap_or(OURS))
}

/// Without what differs from one opening of a door to the next, and from house to house.
fn timeless(rule: &str) -> String {
    let mut before = "";
    let words = rule.split_whitespace().map(|word| {
        let known = if word.starts_with("4242") { "EPOCH" } else { word };
        let known = if before == "over" { "MOST" } else { known };
        let known = if before == "to" { OURS } else { known };
        before = word;
        known
    });
    words.collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RuleSet(change) => f.write_str(&change.label),
            Self::Routing(line) => write!(f, "routing: {line}"),
        }
    }
}

/// `ip -4 rule pref ..` to the command that adds or removes it.
pub(crate) fn command(line: &str, verb: &str) -> String {
    line.replacen(" rule ", &format!(" rule {verb} "), 1).replacen(" route ", &format!(" route {verb} "), 1)
}
