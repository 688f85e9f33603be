//! Names follow the door: whoever asks, and whomever, is answered by the open door's name server, or told at once that
//! no door is open. Judged by what every name server of the world has heard.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, ensure};
use byway_lab::dns::Heard;
use byway_lab::inquirer::{Asked, Inquirer};
use byway_lab::judge::{Door, Timeline};
use byway_lab::phone::TAILSCALED;
use byway_lab::question::{RecordType, Reply, ResponseCode, Transport};
use byway_lab::stage::Stage;
use byway_lab::topology::Place;
use byway_lab::upstream::Upstream;
use byway_lab::wait_for;

use crate::evidence::Tailnet;
use crate::ordeal::{GENTLE, Hurt, Ordeal, PATIENCE};

/// tailscaled gives its clients' questions five seconds.
pub(super) const LIMIT: Duration = Duration::from_secs(5);
/// What needs nobody else is answered by then.
const AT_ONCE: Duration = Duration::from_secs(1);
/// RFC 8914: "prohibited".
const PROHIBITED: u16 = 18;
/// A server of the internet, which answers itself where nobody is in between; nobody at all; and the same in IPv6.
const ELSEWHERE: [&str; 4] =
    ["192.0.2.80:53", "198.51.100.200:53", "[2001:db8:40::80]:53", "[2001:db8:40::200]:53"];
/// Of these names at least so many are asked for, and so many while one door alone is open.
const NAMES: usize = 1000;
const NAMES_BY_ONE_DOOR: usize = 100;
/// How a tunnel is lost, and found again.
const LOSSES: [(Hurt, Hurt); 2] = [
    (
        |stage| {
            stage.world.relay.die();
            Ok(())
        },
        |stage| stage.world.relay.come_back(),
    ),
    (|stage| stage.world.relay.silence(), |stage| stage.world.relay.resume()),
];

/// Fifty flips under load, then the tunnel is lost and the agent killed, while the phone asks for a new name every 10 ms:
/// its own tailscaled, and others by themselves.
pub(super) fn follow_the_door(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let refused = refused(stage)?;
    use_tailscaled(stage)?;
    let inquirer = inquirer(stage, "follow")?;
    for flip in 0..50 {
        let door = if flip % 2 == 0 { Door::Residential } else { Door::Privacy };
        ordeal.watch.flip(&stage.byway, Some(door))?;
        inquirer.wait_answered(15, PATIENCE)?;
    }
    for door in Door::ALL {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        stage.byway.kill9()?;
        stage.byway.start()?;
        stage
            .byway
            .wait_status("the door of before", PATIENCE, |status| status["door"] == door.to_string())?;
        inquirer.wait_answered(15, PATIENCE)?;
    }
    ordeal.watch.flip(&stage.byway, Some(Door::Privacy))?;
    for (lose, mend) in LOSSES {
        ordeal.until_sealed(stage, lose)?;
        inquirer.wait_answered(15, PATIENCE)?;
        ordeal.until_carried(stage, mend)?;
        inquirer.wait_answered(15, PATIENCE)?;
    }
    let asked = inquirer.stop()?;
    stage.world.phone.accept_dns(false)?;
    let outcome = ordeal.end()?;
    ensure!(self::refused(stage)? == refused, "a name server was spoken to by the other door");
    judge(stage, &outcome.judge.timeline, &asked)
}

/// Whom it asks makes no difference, nor how, nor which of its families.
pub(super) fn whomever_is_asked(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    for door in [Door::Residential, Door::Privacy] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        for (server, transport) in ways(stage)? {
            let name = fresh("whomever");
            let reply = stage.world.phone.dig(server, transport, (&name, RecordType::A), LIMIT)?;
            ensure!(is_by(stage, door, &reply), "{server} by {transport:?} while {door} is open: {reply:?}");
            // Of a slow answer both of its addresses are asked.
            ensure!(count(&upstream(stage, door).heard(), &name) >= 1, "{door} has not heard {name}");
        }
    }
    ordeal.end().map(drop)
}

/// The same names, when no door is open: nobody hears them, and nobody waits.
pub(super) fn sealed(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    use_tailscaled(stage)?;
    ordeal.watch.flip(&stage.byway, None)?;
    let mut names = Vec::new();
    for (server, transport) in ways(stage)? {
        let name = fresh("sealed");
        let reply = stage.world.phone.dig(server, transport, (&name, RecordType::A), LIMIT)?;
        ensure!(is_sealed(&reply), "{server} by {transport:?} while sealed: {reply:?}");
        names.push(name);
    }
    let name = fresh("sealed");
    let reply = stage.world.phone.resolve((&name, RecordType::A), LIMIT)?;
    ensure!(reply.code == ResponseCode::ServFail && reply.took < AT_ONCE, "by tailscaled: {reply:?}");
    names.push(name);
    ordeal.watch.flip(&stage.byway, Some(Door::Privacy))?;
    // Nor later.
    for name in &names {
        ensure!(heard_by(stage, name) == [0; 4], "{name}, asked for while sealed, was heard");
    }
    stage.world.phone.accept_dns(false)?;
    ordeal.end().map(drop)
}

/// A question that the upstream is still thinking about when the door is changed: the client hears at once that it is
/// void, and the upstream hears nothing any more.
pub(super) fn under_way(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    for (door, next) in [(Door::Residential, Door::Privacy), (Door::Privacy, Door::Residential)] {
        ordeal.watch.flip(&stage.byway, Some(door))?;
        let name = fresh_below("slow.example.net", "underway");
        let (stage, watch) = (&*stage, &mut ordeal.watch);
        let reply = std::thread::scope(|scope| {
            let question = scope.spawn(|| dig(stage, &name, RecordType::A));
            wait_for("the question to be under way", LIMIT, || {
                ensure!(count(&upstream(stage, door).heard(), &name) >= 1, "not heard yet");
                Ok(())
            })?;
            watch.flip(&stage.byway, Some(next))?;
            question.join().map_err(|_| anyhow!("the phone panicked"))?
        })?;
        let void = |(code, _): &(u16, String)| *code == PROHIBITED;
        ensure!(reply.code == ResponseCode::ServFail, "{door}, then {next}: {reply:?}");
        ensure!(reply.extended_error.as_ref().is_some_and(void), "{door}, then {next}: {reply:?}");
        ensure!(count(&upstream(stage, next).heard(), &name) == 0, "{next} was asked in its stead");
    }
    ordeal.end().map(drop)
}

/// Every name of every answer, against every name server of the world.
fn judge(stage: &Stage, timeline: &Timeline, asked: &[Asked]) -> Result<()> {
    let names =
        |heard: Vec<Heard>| -> BTreeSet<String> { heard.into_iter().map(|heard| heard.name).collect() };
    let strangers = names([stage.world.house.heard(), stage.world.relay.heard()].concat());
    let heard = Door::ALL.map(|door| (door, names(upstream(stage, door).heard())));
    let mut by_one_door = [0, 0];
    for asked in asked {
        ensure!(!strangers.contains(&asked.name), "the ISP or the relay has heard {}", asked.name);
        let window = window(asked);
        let allowed = Door::ALL.map(|door| timeline.allows(door, window.0, window.1));
        for ((door, heard), allowed) in heard.iter().zip(allowed) {
            ensure!(
                allowed || !heard.contains(&asked.name),
                "{door} has heard {}, but was not open from {window:?}",
                asked.name
            );
        }
        let answer = asked.reply.as_ref().filter(|(_, reply)| reply.code == ResponseCode::NoError);
        let Some((_, reply)) = answer else { continue };
        let Some(only) = allowed.iter().position(|allowed| *allowed).filter(|_| allowed != [true; 2]) else {
            continue;
        };
        let (door, heard) = &heard[only];
        ensure!(heard.contains(&asked.name), "{door} has not heard {} and yet {reply:?}", asked.name);
        ensure!(is_by(stage, *door, reply), "{} by {door}: {reply:?}", asked.name);
        by_one_door[only] += 1;
    }
    ensure!(asked.len() >= NAMES, "only {} names were asked for", asked.len());
    ensure!(
        by_one_door.iter().all(|names| *names >= NAMES_BY_ONE_DOOR),
        "too few by one door: {by_one_door:?}"
    );
    Ok(())
}

/// When somebody may have been asked for it on its account: tailscaled may ask again for a while.
fn window(asked: &Asked) -> (SystemTime, SystemTime) {
    let given_up = asked.at + Duration::from_secs(15);
    (asked.at, asked.reply.as_ref().map_or(given_up, |(answered, _)| *answered))
}

fn inquirer(stage: &Stage, topic: &str) -> Result<Inquirer> {
    let servers = [TAILSCALED, ELSEWHERE[0].parse()?, ELSEWHERE[2].parse()?];
    Inquirer::start(&stage.world.namespace(Place::Phone).path(), topic, &servers)
}

/// From now on the phone's tailscaled answers by the exit node, as phones do.
pub(super) fn use_tailscaled(stage: &Stage) -> Result<()> {
    stage.world.phone.accept_dns(true)?;
    wait_for("the phone's tailscaled to answer", PATIENCE, || {
        let reply = stage.world.phone.resolve((&fresh("first"), RecordType::A), LIMIT)?;
        ensure!(reply.code == ResponseCode::NoError, "{reply:?}");
        Ok(())
    })
}

/// Servers that a client may ask by itself: somebody elsewhere, nobody, and the box.
fn ways(stage: &Stage) -> Result<Vec<(SocketAddr, Transport)>> {
    let elsewhere: Vec<SocketAddr> =
        ELSEWHERE.iter().map(|server| server.parse()).collect::<Result<_, _>>()?;
    let byway = Tailnet::of(stage)?.byway.map(|address| SocketAddr::new(address, 53));
    let servers = elsewhere.into_iter().chain(byway);
    Ok(servers.flat_map(|server| Transport::ALL.map(|transport| (server, transport))).collect())
}

/// One question of the phone, by itself, to somebody on the internet.
pub(super) fn dig(stage: &Stage, name: &str, kind: RecordType) -> Result<Reply> {
    dig_for(stage, name, kind, LIMIT)
}

pub(super) fn dig_for(stage: &Stage, name: &str, kind: RecordType, limit: Duration) -> Result<Reply> {
    let server = ELSEWHERE[0].parse()?;
    let reply = stage.world.phone.dig(server, Transport::Udp, (name, kind), limit);
    reply.with_context(|| {
        stage.byway.status().map_or_else(|error| error.to_string(), |status| status.to_string())
    })
}

/// A name that nobody has asked for before.
pub(super) fn fresh(topic: &str) -> String {
    fresh_below("q.example.net", topic)
}

pub(super) fn fresh_below(zone: &str, topic: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    format!("{topic}{}.{zone}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn upstream(stage: &Stage, door: Door) -> &Upstream {
    match door {
        Door::Privacy => &stage.world.upstreams.privacy,
        Door::Residential => &stage.world.upstreams.residential,
    }
}

/// How often each of the world's name servers was asked for it: those of both doors, the ISP's, the relay's.
pub(super) fn heard_by(stage: &Stage, name: &str) -> [usize; 4] {
    let world = &stage.world;
    let [privacy, residential] = Door::ALL.map(|door| upstream(stage, door).heard());
    [privacy, residential, world.house.heard(), world.relay.heard()].map(|heard| count(&heard, name))
}

pub(super) fn count(heard: &[Heard], name: &str) -> usize {
    heard.iter().filter(|heard| heard.name == name).count()
}

/// An answer below `q.example.net` says who has given it.
pub(super) fn is_by(stage: &Stage, door: Door, reply: &Reply) -> bool {
    let [v4, _]: [IpAddr; 2] = upstream(stage, door).addresses();
    reply.code == ResponseCode::NoError && reply.data == [v4.to_string()]
}

pub(super) fn is_sealed(reply: &Reply) -> bool {
    is_refused(reply) && reply.took < AT_ONCE
}

/// As in a sealed box, however long that took.
pub(super) fn is_refused(reply: &Reply) -> bool {
    let prohibited = reply.extended_error.as_ref().is_some_and(|(code, _)| *code == PROHIBITED);
    reply.code == ResponseCode::ServFail && prohibited
}

fn refused(stage: &Stage) -> Result<[u64; 2]> {
    Ok([stage.world.upstreams.privacy.refused()?, stage.world.upstreams.residential.refused()?])
}
