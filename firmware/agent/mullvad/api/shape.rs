//! What is said to the API and heard from it, in JSON. What cannot be read is told by its place alone: its text may be a
//! token.

use std::net::IpAddr;
use std::time::Duration;

use byway_core::account::{Device, Refusal};
use hyper::header::HeaderValue;
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::wire::{date, is_name, printable, public_key};
use super::server::Reply;

/// A token is not used in its last moments, and the clocks may differ.
const MARGIN: Duration = Duration::from_mins(1);

#[derive(Serialize)]
pub(super) struct Login<'a> {
    pub(super) account_number: &'a str,
}

#[derive(Serialize)]
pub(super) struct NewDevice<'a> {
    pub(super) pubkey: &'a str,
    /// Whether port 53 is Mullvad's resolver whomever somebody asks: byway's stub asks whom its owner wants.
    pub(super) hijack_dns: bool,
}

#[derive(Serialize)]
pub(super) struct NewKey<'a> {
    pub(super) pubkey: &'a str,
}

/// Opens the account for a while.
pub(super) struct Token {
    /// Never printed (`HeaderValue::set_sensitive`).
    pub(super) bearer: HeaderValue,
    /// By the wall clock, as time since 1970; `None`: for one call.
    until: Option<Duration>,
}

impl Token {
    pub(super) fn is_good_at(&self, wall: Duration) -> bool {
        self.until.is_some_and(|until| wall + MARGIN < until)
    }
}

#[derive(Deserialize)]
struct ToldToken {
    access_token: String,
    #[serde(default)]
    expiry: serde_json::Value,
}

#[derive(Deserialize)]
struct ToldAccount {
    expiry: String,
}

#[derive(Deserialize)]
struct ToldDevice {
    id: String,
    name: String,
    pubkey: String,
    ipv4_address: Option<String>,
    ipv6_address: Option<String>,
}

pub(super) fn token(reply: &Reply) -> Result<Token, Refusal> {
    let ToldToken { access_token, expiry } = json(reply, "login")?;
    let bearer = HeaderValue::try_from(format!("Bearer {access_token}"));
    let mut bearer = bearer.map_err(|_| reply.odd(format_args!("token is none")))?;
    bearer.set_sensitive(true);
    Ok(Token { bearer, until: expiry.as_str().and_then(date) })
}

/// As time since 1970.
pub(super) fn expiry(reply: &Reply) -> Result<Duration, Refusal> {
    let ToldAccount { expiry } = json(reply, "account")?;
    date(&expiry).ok_or_else(|| reply.odd(format_args!("account has no date until when it is paid")))
}

pub(super) fn devices(reply: &Reply) -> Result<Vec<Device>, Refusal> {
    let devices: Vec<ToldDevice> = json(reply, "list of devices")?;
    devices.into_iter().map(|told| understood(reply, told)).collect()
}

pub(super) fn device(reply: &Reply) -> Result<Device, Refusal> {
    understood(reply, json(reply, "device")?)
}

/// One that cannot be understood must not look like one that was removed.
fn understood(reply: &Reply, told: ToldDevice) -> Result<Device, Refusal> {
    let odd = |what| reply.odd(format_args!("device has {what}"));
    if !is_name(&told.id) {
        return Err(odd("an id that is none"));
    }
    let key = public_key(&told.pubkey).ok_or_else(|| odd("a key that is none"))?;
    let addresses = [told.ipv4_address, told.ipv6_address].into_iter().flatten();
    let addresses: Option<Vec<IpAddr>> = addresses.map(|text| address(&text)).collect();
    let addresses = addresses.filter(|addresses| !addresses.is_empty());
    let addresses = addresses.ok_or_else(|| odd("no address, or one that is none"))?;
    Ok(Device { id: told.id, name: printable(&told.name), key, addresses })
}

/// With the length of its prefix or without.
fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpNet>().map(|net| net.addr()).or_else(|_| text.parse()).ok()
}

fn json<T: DeserializeOwned>(reply: &Reply, what: &str) -> Result<T, Refusal> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        reply.odd(format_args!("answer is no {what} (line {line}, column {column})"))
    })
}
