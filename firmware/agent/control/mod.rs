//! The control socket: HTTP/JSON on `RUN_DIR/byway.sock`, for the command line now and the web page later. It
//! tells the view and hands wishes on; it decides nothing.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/events` | server-sent events, a [`Status`] a change |
//! | `PUT /v1/egress {"egress":"privacy","wait_s":10}` | the [`Status`] once the wish is reached or the time is over |
//! | `POST /v1/toggle {"wait_s":10}` | the same |
//! | `GET /v1/relays` | list of [`Relay`], in the order of the owner's |
//! | `PUT /v1/relays {"use":"se-got-wg-001","wait_s":10}` | the same, once that one is active, has failed, or the time is over; with an account also for a country, a city or another relay of Mullvad's; 404 for what is in no list |
//! | `POST /v1/relays/test {"wait_s":60}` | the same, once each was tested after the asking, or the time is over |
//! | `GET /v1/relays/catalogue` | list of [`Country`] in Mullvad's list; 404 without an account, 503 before the first list |
//! | `GET /v1/relays/catalogue?country=se` | list of [`Entry`], its relays; 404 for a country that has none |
//! | `GET /v1/panel` | [`Panel`]: what light and screen show, and on what; 503 when its thread does not answer |
//! | `POST /v1/panel/test {"show":"red"}` | the same, once it shows that (`"green"`, `"amber"`, `"dark"`, `"full"`, `"frame"`, `"button"`) in place of the truth; null, or two minutes: the truth again |
//! | `GET /v1/clients` | list of [`Client`], the busiest first; 503 before the first look |
//! | `PUT /v1/clients {"client":"phone","paused":true}` | the same, once the kernel holds that; 404 for whom nobody, or more than one, is known by |
//! | `GET /v1/doctor` | list of [`Finding`] |
//! | `GET /v1/dns?name=example.org&type=AAAA` | [`Told`]; the type is `A` if left out |
//! | `GET /v1/dns/log` | list of [`Logged`], the oldest first; 404 unless `[dns] log = true` |
//!
//! Errors: `{"error":".."}` with 4xx or 5xx; 503 when too many talk or follow at once.

mod account;
mod callers;
mod catalogue;
pub mod client;
mod clients;
pub(crate) mod dns;
pub mod panel;
mod relays;
pub mod server;
mod status;

use std::path::{Path, PathBuf};

use byway_core::Wish;
use serde::{Deserialize, Serialize};

pub use account::Account;
pub use catalogue::{City, Country, Entry};
pub use clients::Client;
pub(crate) use clients::find as find_client;
pub use dns::{Asked, Logged, Question, Told};
pub use panel::Panel;
pub use relays::Relay;
pub(crate) use relays::{is_in, unknown_relay};
pub use status::{Dns, Lan, Now, Residential, Seen, Status, Tailnet, Tunnel, Uplink, Upstream};

pub fn socket_path(run_dir: &Path) -> PathBuf {
    run_dir.join("byway.sock")
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressRequest {
    pub egress: Wish,
    /// Seconds to wait for the verdict.
    #[serde(default)]
    pub wait_s: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    /// Seconds to wait for the verdict.
    #[serde(default)]
    pub wait_s: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UseRequest {
    #[serde(rename = "use")]
    pub relay: String,
    /// Seconds to wait for the verdict.
    #[serde(default)]
    pub wait_s: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientRequest {
    /// A name, the beginning of one alone, or an address.
    pub client: String,
    pub paused: bool,
}

/// One promise, checked just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub promise: String,
    pub kept: bool,
    pub detail: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    pub error: String,
}
