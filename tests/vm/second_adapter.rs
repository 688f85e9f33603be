//! The card's dnsmasq: a machine behind the Pi's second adapter.

use anyhow::{Result, ensure};
use byway_lab::guest::Guest;
use byway_lab::judge::Door;
use byway_lab::question::RecordType;
use byway_lab::wait_for;

use crate::household::{Household, PATIENCE};

pub(crate) fn serves(house: &mut Household) -> Result<()> {
    house.be_off()?;
    let before = house.card.read("byway.toml")?;
    house.card.write("byway.toml", &format!("{before}\n[lan]\ninterface = \"eth1\"\n"))?;
    house.carry()?;
    let guest = Guest::plug_into_machine(&house.world, "eth1")?;
    let resolver = guest.take_lease()?;
    wait_for("an address of IPv6", PATIENCE, || {
        let addresses = guest.addresses()?;
        ensure!(addresses.iter().any(std::net::IpAddr::is_ipv6), "{addresses:?}");
        Ok(())
    })?;
    guest.wait_seen_by(Door::Privacy)?;
    wait_for("a name", PATIENCE, || {
        let reply = guest.dig(resolver, ("web.example.net", RecordType::A))?;
        ensure!(!reply.data.is_empty(), "{reply:?}");
        Ok(())
    })?;
    drop(guest);
    house.cut_power()?;
    house.card.write("byway.toml", &before)
}
