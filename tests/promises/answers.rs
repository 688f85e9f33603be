//! What a client's question brings: answers as they were given, remembered for as long as the door stays open, without
//! what leads home; and who answers for the names that are nobody's on the internet.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use byway_lab::judge::Door;
use byway_lab::question::{RecordType, ResponseCode, Transport};
use byway_lab::stage::Stage;
use byway_lab::wait_for;

use crate::evidence::Tailnet;
use crate::names::{LIMIT, dig, fresh, fresh_below, heard_by, is_by, use_tailscaled};
use crate::ordeal::PATIENCE;

/// RFC 8914: "blocked".
const BLOCKED: u16 = 15;
/// DESIGN 4: what somebody changes is put right.
const PUT_RIGHT: Duration = Duration::from_secs(5);

/// A name that exists and one that does not, asked for again and again; across a change of door and back they are forgotten.
pub(super) fn are_remembered(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let names = [
        (fresh("kept"), ResponseCode::NoError),
        (fresh_below("example.net", "kept"), ResponseCode::NXDomain),
    ];
    for wishes in [["privacy"].as_slice(), &["residential", "privacy"], &["sealed", "privacy"]] {
        for wish in wishes {
            ask_for(stage, wish)?;
        }
        for (name, code) in &names {
            let asked = || {
                let reply = dig(stage, name, RecordType::A)?;
                ensure!(reply.code == *code, "{name}: {reply:?}");
                Ok(heard_by(stage, name))
            };
            // Of a slow answer both addresses of the upstream are asked, and the second one hears it later.
            let (before, _, once, twice) = (heard_by(stage, name), asked()?, asked()?, asked()?);
            ensure!(
                once[0] > before[0] && once[1..] == [0; 3],
                "{name}, heard {once:?} times after {wishes:?}"
            );
            ensure!(twice == once, "{name}, remembered, is heard again after {wishes:?}: {twice:?}");
        }
    }
    Ok(())
}

/// What an upstream says comes to the client whole, by TCP if need be, but for addresses at home.
pub(super) fn come_as_given(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    for door in Door::ALL {
        ask_for(stage, &door.to_string())?;
        let nothing = dig(stage, &fresh_below("example.net", "nothing"), RecordType::A)?;
        ensure!(nothing.code == ResponseCode::NXDomain && nothing.has_soa, "{nothing:?}");
        let broken = dig(stage, &fresh_below("broken.example.org", "x"), RecordType::A)?;
        ensure!(broken.code == ResponseCode::ServFail, "{broken:?}");

        let cut = dig(stage, "big.example.net", RecordType::TXT)?;
        ensure!(cut.is_truncated, "{} strings in a datagram", cut.data.len());
        let question = ("big.example.net", RecordType::TXT);
        let whole = stage.world.phone.dig("192.0.2.80:53".parse()?, Transport::Tcp, question, LIMIT)?;
        ensure!(!whole.is_truncated && whole.data.len() == 40, "{} strings by TCP", whole.data.len());

        for kind in [RecordType::A, RecordType::AAAA] {
            let rebinding = dig(stage, &fresh_below("rebind.example.net", "page"), kind)?;
            ensure!(rebinding.data.is_empty(), "leads home: {rebinding:?}");
            let told = rebinding.extended_error.as_ref().is_some_and(|(code, _)| *code == BLOCKED);
            ensure!(told, "left out without a word: {rebinding:?}");
        }
        let half = dig(stage, &fresh_below("half.example.net", "page"), RecordType::A)?;
        ensure!(half.data == ["192.0.2.80"], "{half:?}");
    }
    Ok(())
}

/// tailscaled knows its peers whatever the doors do, and nobody on the internet hears of them.
pub(super) fn of_the_tailnet(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    let [v4, v6] = Tailnet::of(stage)?.phone;
    for wish in ["privacy", "residential", "sealed", "privacy"] {
        ask_for(stage, wish)?;
        let forward = dig(stage, "phone.tail.example.net", RecordType::A)?;
        ensure!(forward.data == [v4.to_string()], "{wish}: {forward:?}");
        for address in [v4, v6] {
            let reverse = dig(stage, &reverse(address), RecordType::PTR)?;
            ensure!(reverse.data == ["phone.tail.example.net."], "{wish}: {reverse:?}");
        }
        // There is such a peer: of a name that is said not to exist, resolvers forget the addresses too.
        let service = dig(stage, "phone.tail.example.net", RecordType::HTTPS)?;
        ensure!(service.code == ResponseCode::NoError && service.data.is_empty(), "{wish}: {service:?}");
        let stranger = dig(stage, "nobody.tail.example.net", RecordType::A)?;
        ensure!(stranger.code == ResponseCode::NXDomain, "{wish}: {stranger:?}");
    }
    for name in ["phone.tail.example.net", "nobody.tail.example.net", &reverse(v4), &reverse(v6)] {
        ensure!(heard_by(stage, name) == [0; 4], "the internet has heard {name}");
    }
    Ok(())
}

/// Somebody who runs DHCP on the box, say. Until it is put right, nobody in the house hears a client's name.
pub(super) fn of_another_resolv_conf(stage: &mut Stage) -> Result<()> {
    stage.carry()?;
    use_tailscaled(stage)?;
    let healed = stage.byway.status()?["drift"]["healed"].as_u64().context("no count of drift")?;
    let namespace = stage.byway.namespace();
    namespace.run(&["sh", "-c", "echo nameserver 192.168.77.1 >/etc/resolv.conf"])?;
    let mut names = Vec::new();
    wait_for("resolv.conf to be put right", PUT_RIGHT, || {
        names.push(fresh("astray"));
        // Answered or not: who has heard it counts.
        let _ = stage.world.phone.resolve((names.last().context("a name")?, RecordType::A), LIMIT);
        let now = namespace.run(&["cat", "/etc/resolv.conf"])?;
        let servers: Vec<&str> = now.lines().filter(|line| line.starts_with("nameserver")).collect();
        ensure!(servers == ["nameserver 127.0.0.1"], "{now}");
        Ok(())
    })?;
    for name in &names {
        let [_, residential, isp, relay] = heard_by(stage, name);
        ensure!(residential + isp + relay == 0, "{name} was heard by somebody else than the privacy door's");
    }
    let status = stage.byway.wait_status("the drift to be told", PATIENCE, |status| {
        status["drift"]["healed"].as_u64() > Some(healed)
    })?;
    ensure!(status["drift"]["last"] == "/etc/resolv.conf named 192.168.77.1", "{status}");
    ensure!(status["door"] == "privacy", "no packet was decided wrongly: {status}");
    wait_for("the phone's tailscaled to answer again", PATIENCE, || {
        let reply = stage.world.phone.resolve((&fresh("again"), RecordType::A), LIMIT)?;
        ensure!(is_by(stage, Door::Privacy, &reply), "{reply:?}");
        Ok(())
    })?;
    stage.world.phone.accept_dns(false)
}

pub(super) fn ask_for(stage: &Stage, wish: &str) -> Result<()> {
    let said = stage.byway.cli(&["egress", wish])?;
    ensure!(said.code == Some(0), "byway egress {wish}: {said:?}");
    Ok(())
}

/// The name under which the internet knows an address.
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles =
                address.octets().into_iter().rev().map(|byte| format!("{:x}.{:x}.", byte & 15, byte >> 4));
            format!("{}ip6.arpa", nibbles.collect::<Vec<_>>().concat())
        }
    }
}
