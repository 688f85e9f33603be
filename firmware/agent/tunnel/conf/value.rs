//! What the values of a `.conf` mean. An error says what to write instead and never holds the value.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;

use crate::tunnel::{PublicKey, StaticSecret};

/// A key of 32 bytes in base64, its padding included.
const KEY_CHARACTERS: usize = 44;

pub(super) fn secret(text: &str) -> Result<StaticSecret, String> {
    key_bytes(text).map(StaticSecret::from)
}

pub(super) fn public_key(text: &str) -> Result<PublicKey, String> {
    key_bytes(text).map(PublicKey::from)
}

pub(super) fn key_bytes(text: &str) -> Result<[u8; 32], String> {
    let characters = text.chars().count();
    if characters != KEY_CHARACTERS {
        return Err(format!(
            "a key has {KEY_CHARACTERS} characters, this one {characters}: copy it again, with the = at its end"
        ));
    }
    let not_base64 = || "not a key in base64: copy it again, character by character".to_owned();
    let bytes = STANDARD.decode(text).map_err(|_| not_base64())?;
    bytes.try_into().map_err(|_| not_base64())
}

/// An address of the tunnel's device; without a length it is a host's.
pub(super) fn address(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    text.parse().map_err(|_| "write addresses such as `10.64.0.2/32`, with commas between them".to_owned())
}

pub(super) fn route(text: &str) -> Result<IpNet, String> {
    text.parse().map_err(|_| "write prefixes such as `0.0.0.0/0, ::/0`, with commas between them".to_owned())
}

pub(super) fn resolver(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| {
        "write addresses such as `10.64.0.1`, with commas between them; names are not taken".to_owned()
    })
}

/// An address and a port; never a name, which could not be looked up before the tunnel is up.
pub(super) fn endpoint(text: &str) -> Result<SocketAddr, String> {
    if let Ok(endpoint) = text.parse::<SocketAddr>() {
        return sensible(endpoint);
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err("add the port, such as `192.0.2.130:51820` or `[2001:db8::130]:51820`".to_owned());
    }
    let is_name =
        text.rsplit_once(':').is_some_and(|(host, port)| !host.contains(':') && port.parse::<u16>().is_ok());
    if is_name {
        return Err("write the relay's address instead of its name, such as `192.0.2.130:51820`: \
                    names cannot be looked up before the tunnel is up (`getent hosts NAME` shows the address)"
            .to_owned());
    }
    Err("write the relay's address and port, such as `192.0.2.130:51820` or `[2001:db8::130]:51820`"
        .to_owned())
}

fn sensible(endpoint: SocketAddr) -> Result<SocketAddr, String> {
    if endpoint.port() == 0 {
        return Err("no relay listens on port 0: Mullvad's is 51820".to_owned());
    }
    if endpoint.ip().is_unspecified() || endpoint.ip().is_multicast() {
        return Err("this is not the address of one relay: copy it again from Mullvad's file".to_owned());
    }
    Ok(endpoint)
}

/// Seconds; 0 for none.
pub(super) fn keepalive(text: &str) -> Result<u16, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(0);
    }
    text.parse().map_err(|_| "write a number of seconds, such as 25".to_owned())
}
