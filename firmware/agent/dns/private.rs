//! Leaves addresses of private networks out of the internet's answers (DNS rebinding), unless the owner allows them for
//! that name.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "DNS's registries are open, and only a few of their values are ours"
)]

use std::net::IpAddr;

use byway_core::names::{is_private, lies_in};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::svcb::{IpHint, SVCB, SvcParamValue};
use hickory_proto::rr::{RData, Record};

/// Whether anything was left out.
pub(super) fn leave_out(message: &mut Message, name: &str, allowed: &[String]) -> bool {
    if allowed.iter().any(|zone| lies_in(name, zone)) {
        return false;
    }
    let mut less = false;
    for section in [&mut message.answers, &mut message.authorities, &mut message.additionals] {
        let before = section.len();
        section.retain(|record| !leads_home(record));
        less |= section.len() < before;
    }
    less
}

/// An address, or a service's record that hints at one.
fn leads_home(record: &Record) -> bool {
    match &record.data {
        RData::A(address) => is_private(IpAddr::V4(address.0)),
        RData::AAAA(address) => is_private(IpAddr::V6(address.0)),
        RData::SVCB(service) => hints_home(service),
        RData::HTTPS(service) => hints_home(&service.0),
        _ => false,
    }
}

fn hints_home(service: &SVCB) -> bool {
    service.svc_params.iter().any(|(_, value)| match value {
        SvcParamValue::Ipv4Hint(IpHint(hints)) => hints.iter().any(|hint| is_private(IpAddr::V4(hint.0))),
        SvcParamValue::Ipv6Hint(IpHint(hints)) => hints.iter().any(|hint| is_private(IpAddr::V6(hint.0))),
        _ => false,
    })
}
