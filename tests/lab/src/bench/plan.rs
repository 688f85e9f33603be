//! How often everything is measured.

use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) quick: bool,
    pub(super) flips: usize,
    pub(super) crowded_flips: usize,
    /// Flows that are open during the crowded flips.
    pub(super) crowd: usize,
    pub(super) rival_flips: usize,
    pub(super) starts: usize,
    pub(super) kills: usize,
    pub(super) silences: usize,
    pub(super) idle_silences: usize,
    pub(super) tailscaled_kills: usize,
    pub(super) idle: Duration,
    /// Of the bulk transfers; each has every door and direction once.
    pub(super) rounds: usize,
    pub(super) transfer: Duration,
    /// Of the downloads by datagrams; each has both ways once.
    pub(super) datagram_rounds: usize,
    /// Of the tunnels; each has every implementation and load once.
    pub(super) tunnel_rounds: usize,
    /// Of one tunnel's bulk, without the time that it takes to speed up.
    pub(super) stream: Duration,
    pub(super) small_packets: Duration,
    pub(super) pings: Duration,
    /// Of the names; each has every server and load once.
    pub(super) names_rounds: usize,
    /// In which everybody is asked one question at a time.
    pub(super) names_turns: u32,
    /// Questions of one turn about the same few names.
    pub(super) known_names: usize,
    pub(super) known_names_at_once: usize,
    /// Of one turn.
    pub(super) new_names: u32,
    pub(super) new_names_at_once: u32,
}

impl Plan {
    /// Under 25 minutes on two cores.
    pub(super) const FULL: Self = Self {
        quick: false,
        flips: 1000,
        crowded_flips: 200,
        crowd: 10_000,
        rival_flips: 100,
        starts: 10,
        kills: 20,
        silences: 10,
        idle_silences: 3,
        tailscaled_kills: 5,
        idle: Duration::from_mins(1),
        rounds: 3,
        transfer: Duration::from_secs(5),
        datagram_rounds: 7,
        tunnel_rounds: 5,
        stream: Duration::from_millis(1200),
        small_packets: Duration::from_millis(1500),
        pings: Duration::from_secs(2),
        names_rounds: 5,
        names_turns: 20,
        known_names: 250,
        known_names_at_once: 100_000,
        new_names: 50,
        new_names_at_once: 50_000,
    };

    /// Minutes. An idle silence alone takes half of one: left out.
    pub(super) const QUICK: Self = Self {
        quick: true,
        flips: 50,
        crowded_flips: 10,
        crowd: 2000,
        rival_flips: 10,
        starts: 2,
        kills: 2,
        silences: 1,
        idle_silences: 0,
        tailscaled_kills: 1,
        idle: Duration::from_secs(5),
        rounds: 1,
        transfer: Duration::from_secs(2),
        datagram_rounds: 1,
        tunnel_rounds: 1,
        stream: Duration::from_millis(500),
        small_packets: Duration::from_millis(600),
        pings: Duration::from_secs(1),
        names_rounds: 1,
        names_turns: 5,
        known_names: 100,
        known_names_at_once: 10_000,
        new_names: 50,
        new_names_at_once: 5000,
    };
}
