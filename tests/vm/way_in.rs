//! The owner's shell on a card: by the tailnet, with a key of `byway.toml`, and when there is no agent any more.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use byway_lab::topology::Place;
use byway_lab::wait_for;
use byway_lab::way_in::Visitor;

use crate::household::{Household, PATIENCE};

/// A file in the program's place that is none.
const WITHOUT_AN_AGENT: &str =
    "touch /run/nothing && mount -o bind /run/nothing /usr/bin/byway && kill -9 $(pidof byway)";

pub(crate) fn is_open(house: &mut Household) -> Result<()> {
    let owner = Visitor::with_new_key(&house.world.folder().join("owner"))?;
    house.be_off()?;
    let before = house.card.read("byway.toml")?;
    let key = owner.public_key()?;
    house.card.write("byway.toml", &format!("{before}\n[ssh]\nkeys = [{key:?}]\n"))?;
    house.carry()?;
    let phone = house.world.namespace(Place::Phone);
    let status = house
        .wait_status("an address in the tailnet", |status| status["tailnet"]["addresses"][0].is_string())?;
    let to: IpAddr = status["tailnet"]["addresses"][0].as_str().unwrap_or_default().parse()?;
    let log_in = |what: &str, command: &str, wanted: &str| {
        wait_for(what, PATIENCE, || {
            let told = owner.run(&phone, to, command)?;
            ensure!(told.contains(wanted), "{told}");
            Ok(())
        })
    };
    log_in("a login", "byway status", "mullvad")?;
    wait_for("a login at a terminal", PATIENCE, || {
        let told = owner.type_in(&phone, to, "echo at $SSH_TTY; ls $HOME/.ssh; exit")?;
        ensure!(told.contains("at /dev/pts/") && told.contains("authorized_keys"), "{told}");
        Ok(())
    })?;
    let stranger = Visitor::with_new_key(&house.world.folder().join("stranger"))?;
    wait_for("a stranger to be sent away", PATIENCE, || {
        let refused = stranger.run(&phone, to, "true").expect_err("a stranger is in").to_string();
        ensure!(refused.contains("Permission denied (publickey)"), "{refused}");
        Ok(())
    })?;

    house.pi()?.run(WITHOUT_AN_AGENT)?;
    log_in("a login without an agent", "byway status || echo nobody", "nobody")?;
    house.pi()?.run("umount /usr/bin/byway")?;
    house.wait_carrying().context("the agent's return")?;

    // The same key of the box's after the power was gone; and nobody listens without a key.
    house.cut_power()?;
    house.carry()?;
    log_in("a login after a power cut", "byway status", "mullvad")?;
    house.cut_power()?;
    house.card.write("byway.toml", &before)?;
    house.carry()?;
    wait_for("a refusal", PATIENCE, || {
        let refused = owner.run(&phone, to, "true").expect_err("he is in again").to_string();
        ensure!(refused.contains("Connection refused"), "{refused}");
        Ok(())
    })
}
