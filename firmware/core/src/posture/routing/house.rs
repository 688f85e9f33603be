//! Rules for the house's own machines: as clients, and as tailnet peers may reach them.

use alloc::string::String;
use alloc::vec::Vec;

use ipnet::IpNet;

use super::{Action, Family, PRIVACY_TABLE, RESIDENTIAL_TABLE, Rule, TAILSCALE_TABLE, rule};
use crate::posture::{Facts, Household, Mark, TAILNET, TUNNEL};

/// From the tailnet, whatever door is open; and the box's own answers by its name in the house.
pub(super) fn reach_rules(facts: &Facts) -> Vec<Rule> {
    let reachable = facts.reachable();
    let into_the_house = reachable.iter().map(|net| Rule {
        iif: Some(String::from(TAILNET)),
        to: Some(*net),
        ..rule(Family::of(&net.addr()), 4994, Action::OnLink)
    });
    let ours = facts.uplink.iter().flat_map(|uplink| &uplink.addresses).map(IpNet::addr);
    let answers = ours.filter(|address| reachable.iter().any(|net| net.contains(address))).map(|address| {
        let family = Family::of(&address);
        Rule {
            iif: Some(String::from("lo")),
            from: Some(IpNet::from(address)),
            to: Some(super::tailnet(family)),
            ..rule(family, 4994, Action::Lookup(TAILSCALE_TABLE))
        }
    });
    into_the_house.chain(answers).collect()
}

/// As the tailnet's clients; answers to them stay in the house.
pub(super) fn household_rules(facts: &Facts) -> Vec<Rule> {
    let Some(household) = &facts.household else { return Vec::new() };
    let mut rules: Vec<Rule> =
        Family::BOTH.into_iter().flat_map(|family| outwards(household, family)).collect();
    let uplink = facts.uplink.as_ref().map(|uplink| uplink.interface.clone());
    for net in &household.addresses {
        let answer = |priority, iif: &str| Rule {
            fwmark: Some((Mark::ANSWER.0, Mark::ANSWER.0)),
            iif: Some(String::from(iif)),
            to: Some(net.trunc()),
            ..rule(Family::of(&net.addr()), priority, Action::OnLink)
        };
        rules.push(answer(5018, TUNNEL));
        rules.extend(uplink.as_ref().map(|uplink| answer(5019, uplink)));
    }
    // Whoever else is there has nothing forwarded; on the uplink 5023 says so.
    rules.extend(facts.household_apart().iter().flat_map(|household| {
        Family::BOTH.map(|family| Rule {
            iif: Some(household.interface.clone()),
            ..rule(family, 5024, Action::Blackhole)
        })
    }));
    rules
}

fn outwards(household: &Household, family: Family) -> Vec<Rule> {
    let iif = || Some(household.interface.clone());
    let member = |door: Mark| Some((Mark::MEMBER.0 | door.0, Mark::MASK));
    Vec::from([
        Rule {
            fwmark: member(Mark::PRIVACY),
            iif: iif(),
            ..rule(family, 5003, Action::Lookup(PRIVACY_TABLE))
        },
        Rule {
            fwmark: member(Mark::RESIDENTIAL),
            iif: iif(),
            ..rule(family, 5004, Action::Lookup(RESIDENTIAL_TABLE))
        },
        Rule {
            fwmark: Some((Mark::MEMBER.0, Mark::MEMBER.0)),
            iif: iif(),
            ..rule(family, 5011, Action::Unreachable)
        },
    ])
}
