//! What is answered: a status, what stands in the head, a body. Errors name a code in theirs, by which clients go.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

/// An answer that nobody has sent yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// One more line of the head.
    pub(super) header: Option<(&'static str, String)>,
    pub(super) body: String,
}

/// Why something is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NoSuchAccount,
    BadToken,
    TooManyDevices,
    KeyInUse,
    NoSuchDevice,
    /// No key, no JSON, or something else of the kind.
    BadRequest,
    NoSuchPath,
}

impl Answer {
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        // Strings, numbers and lists of them have no other form.
        let body = serde_json::to_string(body).unwrap_or_default();
        Self { status, header: None, body }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, header: None, body: String::new() }
    }

    pub(super) fn with(self, name: &'static str, value: String) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    pub(super) fn later(pause: Duration) -> Self {
        let seconds = pause.as_secs().to_string();
        Self::json(429, &json!({"code": "THROTTLED", "error": "too many requests"}))
            .with("retry-after", seconds)
    }

    /// As a web server's that knows nothing of an API.
    pub(super) fn garbage() -> Self {
        Self { status: 200, header: None, body: "<html><body>It works!</body></html>".to_owned() }
    }
}

impl From<Refusal> for Answer {
    /// The first five codes are Mullvad's own; the others, and which status goes with each, are guesses.
    fn from(refusal: Refusal) -> Self {
        let (status, code, error) = match refusal {
            Refusal::NoSuchAccount => (400, "INVALID_ACCOUNT", "no such account"),
            Refusal::BadToken => (401, "INVALID_ACCESS_TOKEN", "the access token is not good"),
            Refusal::TooManyDevices => (400, "MAX_DEVICES_REACHED", "the account has five devices"),
            Refusal::KeyInUse => (400, "PUBKEY_IN_USE", "another device has this key"),
            Refusal::NoSuchDevice => (404, "DEVICE_NOT_FOUND", "no such device"),
            Refusal::BadRequest => (400, "BAD_REQUEST", "this cannot be read"),
            Refusal::NoSuchPath => (404, "NOT_FOUND", "no such path"),
        };
        Self::json(status, &json!({"code": code, "error": error}))
    }
}
