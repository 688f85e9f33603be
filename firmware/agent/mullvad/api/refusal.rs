//! What stands between a call and its answer. The sentences are for the owner, and hold no number, no token and no key.

use std::time::{Duration, SystemTime};

use byway_core::account::Refusal;
use hyper::StatusCode;
use hyper::header::{self, HeaderName};
use serde::Deserialize;

use super::server::Reply;
use crate::clock::wall;
use crate::config::Host;

/// Where it does not say for how long it wants to be left alone.
const A_WHILE: Duration = Duration::from_mins(1);
/// Nobody means more, or less.
const PAUSES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
const LONGEST_CODE: usize = 40;

/// What a call is about: the same status means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Login,
    Account,
    /// One of the account's, by its id.
    Device,
}

/// The body of an error: an older shape with `code`, and RFC 9457's with `type`.
#[derive(Deserialize)]
struct Problem {
    code: Option<String>,
    r#type: Option<String>,
}

pub(super) fn late(host: &Host, limit: Duration) -> Refusal {
    Refusal::Unreachable(format!("{host} gives no answer within {} s", limit.as_secs()))
}

/// Of an answer that is no success.
pub(super) fn refusal(reply: &Reply, asked: Asked) -> Refusal {
    let Reply { host, status, .. } = reply;
    let pause = pause(reply);
    if *status == StatusCode::TOO_MANY_REQUESTS {
        return Refusal::Later(pause.unwrap_or(A_WHILE));
    }
    if *status == StatusCode::SERVICE_UNAVAILABLE
        && let Some(pause) = pause
    {
        return Refusal::Later(pause);
    }
    if status.is_server_error() {
        return Refusal::Unreachable(format!("{host} is in trouble (status {})", status.as_u16()));
    }
    let code = code(&reply.body);
    match (code.as_deref(), asked) {
        (Some("INVALID_ACCOUNT"), _) => Refusal::NoSuchAccount,
        (Some("MAX_DEVICES_REACHED"), _) => Refusal::TooManyDevices,
        (Some("PUBKEY_IN_USE"), _) => Refusal::KeyInUse,
        (Some("DEVICE_NOT_FOUND"), _) => Refusal::NoSuchDevice,
        (_, Asked::Login) if *status == StatusCode::UNAUTHORIZED => Refusal::NoSuchAccount,
        (_, Asked::Device) if *status == StatusCode::NOT_FOUND => Refusal::NoSuchDevice,
        (Some(code), _) => Refusal::Odd(format!("{host} says {code} (status {})", status.as_u16())),
        (None, _) => Refusal::Odd(format!("{host} answers with status {}", status.as_u16())),
    }
}

/// For how long it wants to be left alone: in seconds, or until a date, by its own clock if it tells it (RFC 9110 10.2.3).
fn pause(reply: &Reply) -> Option<Duration> {
    let header = |name: HeaderName| reply.headers.get(name)?.to_str().ok();
    let date = |text: &str| httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok();
    let after = header(header::RETRY_AFTER)?;
    let pause = after.parse().map(Duration::from_secs).ok().or_else(|| {
        let now = header(header::DATE).and_then(date).unwrap_or_else(wall);
        Some(date(after)?.saturating_sub(now))
    })?;
    Some(pause.clamp(*PAUSES.start(), *PAUSES.end()))
}

/// Only what looks like one is told further.
fn code(body: &[u8]) -> Option<String> {
    let Problem { code, r#type } = serde_json::from_slice(body).ok()?;
    let is_code = |text: &String| {
        (1..=LONGEST_CODE).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    code.or(r#type).filter(is_code)
}
