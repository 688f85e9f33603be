//! What byway decides, without I/O and without a clock: the compiler refuses both (`no_std`).
//!
//! # Words
//! - [`Egress`]: a way out: `Privacy` (Mullvad) or `Residential` (the house's ISP).
//! - [`Wish`]: what the people want: an egress, or sealed.
//! - *door*: the egress that client packets can leave by at this moment; none while *sealed*.
//! - [`Posture`]: everything the kernel must look like, as one value: rule set, ip rules, routes, sysctls.
//! - [`Epoch`]: the stamp of the flows that one opening of a door let through; later openings refuse it.
//! - [`View`]: what may be told about all that; panel, web page and command line show nothing else.
//!
//! # Shape
//! [`Core::step`] takes the time and one [`Input`] and returns [`Effect`]s; [`Core::deadline`] says when it
//! wants to be called again, and why; [`Core::view`] tells what is proven. The agent (package `byway`) carries
//! effects out and reports what came of them. Nothing is believed because it was ordered, only because it was
//! read back.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod account;
mod agenda;
mod allowance;
pub mod board;
pub mod clients;
pub mod clock;
mod egress;
mod epoch;
mod evidence;
pub mod last_stop;
mod machine;
pub mod names;
pub mod panel;
pub mod posture;
pub mod redact;
pub mod relays;
pub mod resources;
mod settings;
pub mod stamps;
pub mod tailnet;
mod time;
pub mod uplink;
mod view;
pub mod watchdog;

pub use agenda::Why;
pub use allowance::{DayBy, Spent, Used};
pub use clock::ClockReport;
pub use egress::{Egress, Wish};
pub use epoch::Epoch;
pub use evidence::{Exit, ExitReport, Lack, Offload, PingReport, TunnelReport};
pub use machine::{Core, Effect, Generation, Input, State, Unapplied};
pub use posture::{Door, Facts, HouseAccess, Household, Mac, Posture, Refused, TunnelEnd, Uplink};
pub use settings::{Expect, RelaySettings, Serve, Settings, Upstreams, lent_out};
pub use time::Uptime;
pub use view::{
    DnsView, Drift, LanView, Phase, ResidentialView, SeenAs, TunnelView, UplinkView, UpstreamView, View,
};
