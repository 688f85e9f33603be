//! ip rules of our priorities, both families: made as planned, whatever else stands there is removed.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel's enums are open, and only a few of their variants are ours"
)]

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use byway_core::posture::routing::{Action, Family, MAIN_TABLE, OUR_PRIORITIES, Rule};
use ipnet::IpNet;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use rtnetlink::Handle;

use super::netlink;
use super::reconcile::{Gap, Standing, gap};

/// Adds before it removes: at no moment is there less than planned.
pub(super) async fn make(handle: &Handle, wanted: &[Rule]) -> Result<()> {
    let Gap { missing, foreign } = compare(handle, wanted).await?;
    for rule in missing {
        let mut request = handle.rule().add();
        *request.message_mut() = message(&rule);
        request.execute().await.with_context(|| format!("{rule} was not taken"))?;
    }
    for stands in foreign {
        let description = describe(&stands.message);
        handle
            .rule()
            .del(stands.message)
            .execute()
            .await
            .with_context(|| format!("{description} cannot be removed"))?;
    }
    Ok(())
}

/// Readable lines, none if the rules stand as planned.
pub(super) async fn differences(handle: &Handle, wanted: &[Rule]) -> Result<Vec<String>> {
    Ok(compare(handle, wanted).await?.lines(describe))
}

async fn compare(handle: &Handle, wanted: &[Rule]) -> Result<Gap<Rule, RuleMessage>> {
    let mut standing = Vec::new();
    for family in Family::BOTH {
        let messages = netlink::rules(handle, family).await?;
        let ours = messages.into_iter().filter(is_ours);
        standing.extend(ours.map(|message| Standing { known: rule(family, &message), message }));
    }
    Ok(gap(wanted, standing))
}

pub(super) fn is_ours(message: &RuleMessage) -> bool {
    OUR_PRIORITIES.contains(&priority(message))
}

/// The kernel leaves it out where it is 0.
fn priority(message: &RuleMessage) -> u32 {
    let found = message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    found.unwrap_or(0)
}

fn message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = netlink::address_family(rule.family);
    message.header.action = match rule.action {
        Action::Lookup(_) | Action::OnLink => RuleAction::ToTable,
        Action::Unreachable => RuleAction::Unreachable,
        Action::Blackhole => RuleAction::Blackhole,
    };
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority));
    match rule.action {
        Action::Lookup(table) => attributes.push(RuleAttribute::Table(table)),
        Action::OnLink => {
            attributes.extend([RuleAttribute::Table(MAIN_TABLE), RuleAttribute::SuppressPrefixLen(0)]);
        }
        Action::Unreachable | Action::Blackhole => {}
    }
    if let Some((mark, bits)) = rule.fwmark {
        attributes.extend([RuleAttribute::FwMark(mark), RuleAttribute::FwMask(bits)]);
    }
    attributes.extend(rule.iif.clone().map(RuleAttribute::Iifname));
    attributes.extend(rule.oif.clone().map(RuleAttribute::Oifname));
    if let Some(from) = rule.from {
        message.header.src_len = from.prefix_len();
        attributes.push(RuleAttribute::Source(from.addr()));
    }
    if let Some(to) = rule.to {
        message.header.dst_len = to.prefix_len();
        attributes.push(RuleAttribute::Destination(to.addr()));
    }
    message
}

/// `None`: it says something that a rule of ours never says.
fn rule(family: Family, message: &RuleMessage) -> Option<Rule> {
    let header = &message.header;
    if header.tos != 0 || header.flags.contains(RuleFlags::Invert) {
        return None;
    }
    let mut rule = Rule {
        family,
        priority: priority(message),
        fwmark: None,
        iif: None,
        oif: None,
        from: None,
        to: None,
        action: Action::Unreachable,
    };
    let (mut table, mut mark, mut bits) = (u32::from(header.table), None, None);
    let mut without_default = false;
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::FwMark(value) => mark = Some(*value),
            RuleAttribute::FwMask(value) => bits = Some(*value),
            RuleAttribute::Iifname(name) => rule.iif = Some(name.clone()),
            RuleAttribute::Oifname(name) => rule.oif = Some(name.clone()),
            RuleAttribute::SuppressPrefixLen(0) => without_default = true,
            RuleAttribute::Source(address) => rule.from = Some(net(*address, header.src_len)?),
            RuleAttribute::Destination(address) => rule.to = Some(net(*address, header.dst_len)?),
            // Told of every rule: its priority, who made it, and that it suppresses nothing.
            RuleAttribute::Priority(_)
            | RuleAttribute::Protocol(_)
            | RuleAttribute::SuppressPrefixLen(u32::MAX)
            | RuleAttribute::SuppressIfGroup(u32::MAX) => {}
            _ => return None,
        }
    }
    rule.fwmark = mark.or(bits.map(|_| 0)).map(|mark| (mark, bits.unwrap_or(u32::MAX)));
    rule.action = match (header.action, without_default) {
        (RuleAction::ToTable, true) if table == MAIN_TABLE => Action::OnLink,
        (RuleAction::ToTable, false) => Action::Lookup(table),
        (RuleAction::Unreachable, false) => Action::Unreachable,
        (RuleAction::Blackhole, false) => Action::Blackhole,
        _ => return None,
    };
    Some(rule)
}

fn net(address: IpAddr, length: u8) -> Option<IpNet> {
    IpNet::new(address, length).ok()
}

fn describe(message: &RuleMessage) -> String {
    let family = match message.header.family {
        netlink_packet_route::AddressFamily::Inet6 => Family::V6,
        _ => Family::V4,
    };
    match rule(family, message) {
        Some(rule) => rule.to_string(),
        None => format!("{family} rule pref {} of a kind that is not ours", priority(message)),
    }
}
