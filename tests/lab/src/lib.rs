//! A small internet in network namespaces, with real peers, that the agent is tried in from the outside.
//! The world raises, moves and tears down; what a packet may do is the judge's word.
//! README.md beside this package has the map.

pub mod bench;
pub mod box_clock;
pub mod byway_box;
pub mod capture;
pub mod card;
pub mod control;
pub mod crowd;
pub mod demo;
pub mod disk;
pub mod dns;
pub mod ears;
pub mod events;
pub mod filter_box;
pub mod firmware;
pub mod flow_table;
pub mod frames;
pub mod guest;
pub mod house;
pub mod inlet;
pub mod inquirer;
pub mod inside;
pub mod internet;
pub mod judge;
pub mod machine;
pub mod mullvad_api;
pub mod naive;
pub mod namespace;
pub mod neighbour;
pub mod oled;
pub mod packet;
pub mod peers;
pub mod phone;
pub mod probe;
pub mod process;
pub mod question;
pub mod relay;
pub mod sample;
pub mod stage;
pub mod time_server;
pub mod topology;
pub mod traffic;
pub mod upstream;
pub mod wait;
pub mod way_in;
pub mod wire;
pub mod world;

mod certs;
mod liar;
mod run;
mod serving;
mod tailscale;
mod tools;

pub use byway_box::BywayBox;
pub use wait::wait_for;
pub use world::World;
