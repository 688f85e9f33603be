//! What the owner's configuration tells the core.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use crate::clients::PausedClient;
use crate::relays::Keys;
use crate::uplink::Interfaces;
use crate::{Egress, HouseAccess, TunnelEnd, Used};

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

/// Which machines of the house leave by the door, as the tailnet's clients do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Serve {
    #[default]
    Nobody,
    /// Whoever in the house's own network takes the box for a gateway.
    House,
    /// Whoever is behind an interface of their own, where the box is the only router.
    Apart {
        interface: String,
        /// The box's own there, with the length of the prefix.
        addresses: Vec<IpNet>,
    },
}

/// From which addresses of a network its machines get theirs: the middle, so that there is room at both ends for those
/// that the owner gives out by hand. Of a network of at least 16.
pub fn lent_out(net: Ipv4Net) -> (Ipv4Addr, Ipv4Addr) {
    let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
    let edge = (last - first) / 5;
    (Ipv4Addr::from_bits(first + edge), Ipv4Addr::from_bits(last - edge))
}

/// One relay that may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelaySettings {
    /// As its file, or its host, is called.
    pub name: String,
    pub keys: Keys,
    pub end: TunnelEnd,
    /// Where the provider's relays listen too, to be tried in this order.
    pub ports: Vec<u16>,
}

/// Fixed for the life of the agent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The box's name on the tailnet.
    pub name: String,
    /// Those of the owner's files, in their order; the account's follow ([`crate::Input::Relays`]).
    pub relays: Vec<RelaySettings>,
    /// Whom the owner has chosen last, by its name.
    pub preferred: Option<String>,
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
    /// Whether clients may not send mail to other people's servers (TCP 25) by the house's line.
    pub refuse_smtp: bool,
    /// What each client may take in each direction; `None`: whatever the line gives.
    pub limit_mbit: Option<u16>,
    /// What clients may move by the house's line in a day, in GB; `None`: whatever they like.
    pub daily_gb: Option<u16>,
    /// What they have moved, as it was kept.
    pub used: Used,
    pub house_access: HouseAccess,
    pub serve: Serve,
    /// Whether tailnet peers may reach the house's own network.
    pub reach: bool,
    /// For whom nothing is carried, as it was remembered.
    pub paused: Vec<PausedClient>,
    /// How the machine stopped last, and how often the agent crashed since.
    pub last_stop: Option<String>,
    /// Different for each box and start: whatever is not to happen everywhere at once.
    pub seed: u64,
}
