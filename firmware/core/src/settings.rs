//! What the owner's configuration tells the core.

use alloc::string::String;
use alloc::vec::Vec;

use crate::relays::RelayId;
use crate::uplink::Interfaces;
use crate::{Egress, TunnelEnd};

/// What counts as proof that the tunnel ends where it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The gateway answers pings and the exit check says "Mullvad".
    Mullvad,
    /// Another provider's relay: the exit check's host answers through the tunnel.
    Any,
}

/// Whom each door asks for names, as it may be told: without what is personal in its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstreams {
    pub privacy: String,
    pub residential: String,
}

/// One relay of the owner's list.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// As its file is called.
    pub name: String,
    pub end: TunnelEnd,
    /// Where the provider's relays listen too, to be tried in this order.
    pub ports: Vec<u16>,
}

/// Fixed for the life of the agent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The box's name on the tailnet.
    pub name: String,
    /// In the owner's order; never empty.
    pub relays: Vec<RelaySettings>,
    /// Whom the owner has chosen last.
    pub preferred: RelayId,
    pub interfaces: Interfaces,
    pub expect: Expect,
    /// The control server's URL; `None` is Tailscale's own.
    pub control: Option<String>,
    /// The last egress that was wished, for a toggle out of sealed.
    pub last_egress: Egress,
    /// How many flows the kernel can track at once.
    pub flow_table: u32,
    pub upstreams: Upstreams,
    /// Whether clients may not ask resolvers of their own over TLS or QUIC.
    pub refuse_dot: bool,
    /// How the machine stopped last, and how often the agent crashed since.
    pub last_stop: Option<String>,
    /// Different for each box and start: whatever is not to happen everywhere at once.
    pub seed: u64,
}
