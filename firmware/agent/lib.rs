#![doc = include_str!("../README.md")]

pub mod board;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod control;
pub mod dns;
pub mod handover;
mod http;
pub mod inspect;
pub mod journal;
pub mod lan;
pub mod last_words;
pub mod lasting;
pub mod memory;
pub mod mistake;
pub mod mullvad;
pub mod net;
pub mod panel;
pub mod proof;
pub mod reset;
pub mod run;
#[cfg(test)]
mod sample;
pub mod spare;
pub mod ssh;
pub mod stick;
pub mod store;
pub mod tailnet;
pub mod tls;
pub mod tunnel;
pub mod uplink;
pub mod watchdog;
pub mod way;
