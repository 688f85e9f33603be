//! What happens to the tunnel's datagrams on the way to a relay and back, one thing at a time. The relay and its box have no
//! part in it.

use anyhow::Result;

use super::{PORT, Relay};
use crate::topology::{HOUSE_V4, Numbering};

/// Neighbours are still found: that a machine is gone is nothing that its router says.
const NOTHING: &str = "chain nothing {
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    drop
  }";

/// A way that does not do what it should. Pings and everything else pass, but where a machine is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// What the box says is lost, without an ICMP error or any other word.
    Deaf,
    /// What the relay says is lost.
    Mute,
    /// Both.
    Silent,
    /// Its machine has gone with everything that passed through it, and nobody says so.
    Gone,
    /// A firewall drops what is for this port of the relay's.
    PortBlocked(u16),
    /// So many of a hundred datagrams are lost, each way.
    Lossy(u8),
    /// A packet of more than so many bytes is lost, and nobody says so; in fragments it is no better.
    Narrow(u16),
    /// What the relay says comes from another address of its machine. A NAT lets nothing of it in.
    FromElsewhere,
}

impl Relay {
    /// From now on this is the way, and no more what it was.
    pub fn trouble(&self, trouble: Trouble) -> Result<()> {
        let Rules { before, inward, outward } = self.rules(trouble);
        if let Trouble::Lossy(_) | Trouble::Narrow(_) = trouble {
            self.send_one_by_one()?;
        }
        let home = Numbering::ALL.map(|house| format!("{}/64", house.prefix())).join(", ");
        let (device, table) = (self.site.cable, self.table());
        let anything = if trouble == Trouble::Gone { "jump nothing" } else { "continue" };
        self.namespace.nft(&format!(
            "table inet {table}\ndelete table inet {table}\ntable inet {table} {{
  {NOTHING}
  chain before {{ type filter hook prerouting priority raw; {before}\n }}
  chain in {{ type filter hook input priority raw; {inward}\n }}\n}}"
        ))?;
        // Here and not at the relay: a program is told what its own machine drops.
        self.core.nft(&format!(
            "table inet {table}\ndelete table inet {table}\ntable inet {table} {{
  {NOTHING}
  chain home {{ {outward}\n }}
  chain out {{
    type filter hook prerouting priority raw
    iifname {device} meta l4proto udp ip daddr {HOUSE_V4} jump home
    iifname {device} meta l4proto udp ip6 daddr {{ {home} }} jump home
    iifname {device} {anything}
  }}\n}}"
        ))
    }

    /// Falls silent at once, without an ICMP error or any other word.
    pub fn silence(&self) -> Result<()> {
        self.trouble(Trouble::Silent)
    }

    /// A good way again, to a relay with the same keys and sessions.
    pub fn resume(&self) -> Result<()> {
        let nothing = format!("table inet {0}\ndelete table inet {0}", self.table());
        self.namespace.nft(&nothing)?;
        self.core.nft(&nothing)
    }

    fn rules(&self, trouble: Trouble) -> Rules {
        let [elsewhere_v4, elsewhere_v6] = self.site.elsewhere();
        let inward = |what: &str| format!("udp dport {PORT} {what}");
        match trouble {
            Trouble::Deaf => Rules { inward: inward("drop"), ..Rules::default() },
            Trouble::Mute => Rules { outward: "drop".to_owned(), ..Rules::default() },
            Trouble::Silent => {
                Rules { inward: inward("drop"), outward: "drop".to_owned(), ..Rules::default() }
            }
            Trouble::Gone => Rules { before: "iifname eth0 jump nothing".to_owned(), ..Rules::default() },
            Trouble::PortBlocked(port) => {
                Rules { before: format!("iifname eth0 udp dport {port} drop"), ..Rules::default() }
            }
            Trouble::Lossy(percent) => {
                let lost = format!("numgen random mod 100 < {percent} drop");
                Rules { inward: inward(&lost), outward: lost, ..Rules::default() }
            }
            Trouble::Narrow(bytes) => {
                let lost = format!("meta length > {bytes} drop");
                // Fragments are whole again when they come in, and never when they pass the core.
                let fragments = "ip frag-off & 0x3fff != 0 drop\nexthdr frag exists drop";
                Rules { inward: inward(&lost), outward: format!("{lost}\n{fragments}"), ..Rules::default() }
            }
            Trouble::FromElsewhere => Rules {
                outward: format!("ip saddr set {elsewhere_v4}\nip6 saddr set {elsewhere_v6}"),
                ..Rules::default()
            },
        }
    }

    /// Each datagram is a packet by itself: what is sent in one call would pass the rules, and be lost, as one. It stays so.
    fn send_one_by_one(&self) -> Result<()> {
        let off = |device| ["ethtool", "-K", device, "tx-udp-segmentation", "off"];
        self.namespace.run(&off("eth0"))?;
        self.core.run(&off(self.site.cable)).map(drop)
    }

    fn table(&self) -> String {
        format!("trouble_{}", self.site.place.name())
    }
}

/// Of nft, for one way.
#[derive(Debug, Default)]
struct Rules {
    /// The relay's machine, before it knows whose a packet is.
    before: String,
    /// The same, for what is the relay's own.
    inward: String,
    /// The core, for what goes from the relay to the house: the tunnel's datagrams.
    outward: String,
}
