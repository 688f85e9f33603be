//! A door's name server that goes wrong, and a tunnel that does: the client is told in time, nobody else is asked, and
//! the box's own names and its owner's way in depend on neither.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use byway_lab::card::bootstrap;
use byway_lab::judge::Door;
use byway_lab::question::{RecordType, ResponseCode, Transport};
use byway_lab::stage::{Stage, is_as_wished};
use byway_lab::upstream::Upstream;
use byway_lab::wait_for;
use serde_json::Value;

use crate::answers::ask_for;
use crate::evidence::Tailnet;
use crate::names::{LIMIT, count, dig, dig_for, fresh, fresh_below, heard_by, is_by, is_refused, upstream};
use crate::ordeal::{PATIENCE, says};

/// How long until an upstream that is well again is asked with success.
const RECOVERY: Duration = Duration::from_mins(1);
/// The stub gives an upstream four seconds, so that tailscaled hears of it within its five.
const TOLD: Duration = Duration::from_secs(6);
/// RFC 8914: "network error".
const NETWORK_ERROR: u16 = 23;

/// What is done to an upstream, and what the box must say of it.
struct Fault {
    hurt: fn(&mut Upstream) -> Result<()>,
    mend: fn(&mut Upstream) -> Result<()>,
    words: &'static str,
}

const STRANGER: Fault =
    Fault { hurt: Upstream::wear_a_strangers_certificate, mend: Upstream::come_back, words: "certificate" };
const DEAD: Fault = Fault {
    hurt: |upstream| {
        upstream.die();
        Ok(())
    },
    mend: Upstream::come_back,
    words: "no connection",
};
const SILENT: Fault = Fault {
    hurt: |upstream| upstream.silence(),
    mend: |upstream| upstream.resume(),
    words: "does not answer",
};
const LYING: Fault = Fault { hurt: Upstream::lie, mend: Upstream::come_back, words: "another question" };

/// By both doors, and so by HTTPS and by TLS.
pub(super) fn go_wrong(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    for (door, faults) in [
        (Door::Privacy, [STRANGER, DEAD, SILENT].as_slice()),
        (Door::Residential, &[STRANGER, DEAD, SILENT, LYING]),
    ] {
        ask_for(stage, &door.to_string())?;
        for fault in faults {
            goes_wrong(stage, door, fault).with_context(|| format!("{door}: {}", fault.words))?;
        }
    }
    // A server that is well, and takes its time for one name.
    let name = fresh_below("slow.example.net", "x");
    fails(stage, Door::Residential, &name, "does not answer").context("slow")?;
    recovers(stage, Door::Residential)?;
    ask_for(stage, "privacy")
}

/// Plain port 53, as somebody wishes who asks the resolver of their own house.
pub(super) fn are_asked_in_the_clear_if_told_so(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    stage.byway.write_dns("privacy = \"udp://192.0.2.53\"\nresidential = \"udp://192.0.2.54\"\n")?;
    restart(stage)?;
    for door in Door::ALL {
        ask_for(stage, &door.to_string())?;
        let name = fresh("plain");
        let reply = dig(stage, &name, RecordType::A)?;
        ensure!(is_by(stage, door, &reply), "{reply:?}");
        // More than a datagram takes: the box asks by TCP then.
        let whole = stage.world.phone.dig(
            "192.0.2.80:53".parse()?,
            Transport::Tcp,
            ("big.example.net", RecordType::TXT),
            LIMIT,
        )?;
        ensure!(!whole.is_truncated && whole.data.len() == 40, "{} strings by TCP", whole.data.len());
    }
    // Nobody hears a datagram's refusal.
    goes_wrong(stage, Door::Residential, &Fault { words: "does not answer", ..DEAD })?;
    stage.byway.write_dns(&format!(
        "privacy = \"https://dns-privacy.example.net/dns-query\"\nresidential = \"tls://dns-residential.example.net\"\n{}\n",
        bootstrap()
    ))?;
    restart(stage)?;
    ask_for(stage, "privacy")
}

/// A dead relay, and a power cut in the middle of it: tailscaled comes up by the box's own names, which the ISP answers,
/// and no client is ever answered from what the box keeps of them.
pub(super) fn a_dead_tunnel_leaves_the_tailnet_up(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    stage.world.relay.die();
    stage.byway.wait_status("the seal", PATIENCE, |status| status["door"].is_null())?;
    is_reached_and_answers_nobody(stage)?;

    stage.byway.reboot()?;
    stage.byway.wait_status("the tailnet", PATIENCE, |status| status["tailnet"]["state"] == "Running")?;
    is_reached_and_answers_nobody(stage)?;
    let own = stage.byway.namespace().run(&["cat", "/etc/hosts"])?;
    ensure!(own.contains("203.0.113.130") && own.contains("hs.example.net"), "the box's own names: {own}");

    stage.world.relay.come_back()?;
    stage.byway.wait_status("the privacy door again", PATIENCE, is_as_wished)?;
    stage.wait_seen_by(Door::Privacy)?;
    let before = count(&upstream(stage, Door::Privacy).heard(), "hs.example.net");
    let reply = dig(stage, "hs.example.net", RecordType::A)?;
    ensure!(reply.data == ["203.0.113.130"], "{reply:?}");
    ensure!(count(&upstream(stage, Door::Privacy).heard(), "hs.example.net") > before, "not by the door");
    Ok(())
}

/// The owner speaks to the box by the tailnet, and it says that it is sealed, also of names that it knows itself.
fn is_reached_and_answers_nobody(stage: &Stage) -> Result<()> {
    for address in Tailnet::of(stage)?.byway {
        for name in [fresh("dead").as_str(), "hs.example.net", "check.example.net"] {
            let ask =
                || stage.world.phone.dig((address, 53).into(), Transport::Tcp, (name, RecordType::A), LIMIT);
            let reply = wait_for("the owner to reach the box", PATIENCE, ask)?;
            ensure!(is_refused(&reply), "{name}: {reply:?}");
        }
    }
    Ok(())
}

fn goes_wrong(stage: &mut Stage, door: Door, fault: &Fault) -> Result<()> {
    recovers(stage, door)?;
    (fault.hurt)(upstream_mut(stage, door))?;
    let name = fresh("wrong");
    fails(stage, door, &name, fault.words)?;
    (fault.mend)(upstream_mut(stage, door))?;
    recovers(stage, door)
}

/// In time, with the reason, in the status too; and nobody else is asked.
fn fails(stage: &Stage, door: Door, name: &str, words: &str) -> Result<()> {
    let reply = dig_for(stage, name, RecordType::A, TOLD)?;
    ensure!(reply.code == ResponseCode::ServFail, "{reply:?}");
    let told = |(code, text): &(u16, String)| *code == NETWORK_ERROR && text.contains(words);
    ensure!(reply.extended_error.as_ref().is_some_and(told), "no {words:?} in {reply:?}");
    let says_so = |status: &Value| {
        let error = status["dns"][door.to_string()]["error"].as_str();
        error.is_some_and(|error| error.contains(words)) && says(status, words)
    };
    let status = stage.byway.wait_status(&format!("{words:?} to be told"), PATIENCE, says_so)?;
    ensure!(status["door"] == door.to_string(), "names that fail shut no door: {status}");
    let mut heard = heard_by(stage, name);
    // The upstream itself may have heard it.
    heard[usize::from(door == Door::Residential)] = 0;
    ensure!(heard == [0; 4], "somebody else was asked: {heard:?}");
    Ok(())
}

fn recovers(stage: &Stage, door: Door) -> Result<()> {
    wait_for("names to be answered again", RECOVERY, || {
        let reply = dig(stage, &fresh("well"), RecordType::A)?;
        ensure!(is_by(stage, door, &reply), "{reply:?}");
        Ok(())
    })?;
    let is_well = |status: &Value| status["dns"][door.to_string()]["error"].is_null();
    stage.byway.wait_status("no error any more", PATIENCE, is_well).map(drop)
}

fn restart(stage: &mut Stage) -> Result<()> {
    stage.byway.sigterm()?;
    stage.byway.start()?;
    stage.byway.wait_status("the wished door again", PATIENCE, is_as_wished)?;
    stage.wait_carried()
}

fn upstream_mut(stage: &mut Stage, door: Door) -> &mut Upstream {
    match door {
        Door::Privacy => &mut stage.world.upstreams.privacy,
        Door::Residential => &mut stage.world.upstreams.residential,
    }
}
