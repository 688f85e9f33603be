//! What the card costs: memory at full load, and what is written to it while nothing happens.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use byway_lab::judge::Door;
use byway_lab::stage::Watch;
use byway_lab::traffic::Rates;

use crate::household::{Household, PATIENCE};

const MIB: u64 = 1 << 20;
/// DESIGN 9 and board/post-build.sh.
const AVAILABLE: u64 = 250 * MIB;
const TAILSCALED: u64 = 15_000_000;
/// board/virt/card.sh: the quick agent, and Debian's programs with all that they are linked with.
const AGENT: u64 = 9_000_000;
const ROOT: u64 = 52_000_000;
const RESIDENT: u64 = 25 * MIB;
/// As much as an emulated processor can carry, and a little more.
const FULL: Rates = Rates { long_udp: 100, new_udp: 20, new_tcp: 5, long_tcp: 20, ..Rates::NONE };
const LOADED: Duration = Duration::from_secs(8);
const DAY: f64 = 86_400.0;
/// In megabytes.
const WRITTEN_A_DAY: f64 = 1.0;
/// In bytes: a stretch too short to be scaled may contain one of the few writes.
const MOST_AT_ONCE: u64 = 16 << 10;

pub(crate) fn memory_at_full_load(house: &mut Household) -> Result<()> {
    house.carry()?;
    let watch = Watch::begin(&house.world, Some(Door::Privacy), FULL)?;
    watch.wait_answered(PATIENCE)?;
    let mut least = u64::MAX;
    let began = Instant::now();
    while began.elapsed() < LOADED {
        let told = house.pi()?.run("sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")?;
        least = least.min(told.parse::<u64>().with_context(|| format!("no memory: {told}"))? << 10);
    }
    drop(watch);
    let mut size = |command: &str| -> Result<u64> { Ok(house.pi()?.run(command)?.parse()?) };
    let root = size("echo $(($(du -sxk / | cut -f1) * 1024))")?;
    let (agent, tailscaled) = (size("stat -c %s /usr/bin/byway")?, size("stat -c %s /usr/sbin/tailscaled")?);
    let resident = size("sed -n 's/^VmHWM:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$(pidof byway)/status")? << 10;
    report(&format!(
        "{} MiB available at full load; the agent had {resident} bytes resident at most; root in memory {root}, agent \
         {agent}, tailscaled {tailscaled} bytes",
        least / MIB
    ));
    ensure!(resident <= RESIDENT, "the agent had {resident} bytes resident");
    ensure!(least >= AVAILABLE, "{least} bytes of memory are available at full load");
    ensure!(
        root <= ROOT && agent <= AGENT && tailscaled <= TAILSCALED,
        "{root}, {agent}, {tailscaled} bytes"
    );
    house.world.phone.wait_carried()
}

pub(crate) fn idle_writes(house: &mut Household) -> Result<()> {
    let stretch = Duration::from_secs(30);
    let written = idle(house, stretch)?;
    report(&format!("idle for {stretch:?}: {written:?}"));
    ensure!(written.agent <= MOST_AT_ONCE, "{written:?} in {stretch:?}");
    Ok(())
}

pub(crate) fn half_an_idle_hour(house: &mut Household) -> Result<()> {
    let stretch = Duration::from_mins(30);
    let written = idle(house, stretch)?;
    #[expect(clippy::cast_precision_loss, reason = "a byte of a gigabyte does not matter")]
    let in_a_day = |bytes: u64| bytes as f64 * (DAY / stretch.as_secs_f64()) / 1e6;
    let [card, agent, tailscaled] = [written.card, written.agent, written.tailscaled].map(in_a_day);
    report(&format!(
        "in an idle day {card:.2} MB are written to the card, {agent:.2} MB by the agent, {tailscaled:.2} MB by tailscaled"
    ));
    ensure!(agent <= WRITTEN_A_DAY, "{written:?} in {stretch:?}");
    Ok(())
}

fn idle(house: &mut Household, stretch: Duration) -> Result<Written> {
    house.carry()?;
    let before = Written::until_now(house)?;
    std::thread::sleep(stretch);
    let after = Written::until_now(house)?;
    Ok(Written {
        card: after.card - before.card,
        agent: after.agent - before.agent,
        tailscaled: after.tailscaled - before.tailscaled,
    })
}

/// In bytes.
#[derive(Debug)]
struct Written {
    /// As the card sees it, file system's journal included.
    card: u64,
    agent: u64,
    tailscaled: u64,
}

impl Written {
    fn until_now(house: &mut Household) -> Result<Self> {
        let disks = house.pi()?.order(r#"{"execute": "query-blockstats"}"#)?;
        let disk = disks.as_array().and_then(|disks| disks.iter().find(|disk| disk["device"] == "card"));
        let card = disk.and_then(|disk| disk["stats"]["wr_bytes"].as_u64()).context("no card in QEMU")?;
        let mut by = |program: &str| -> Result<u64> {
            let told =
                house.pi()?.run(&format!("sed -n 's/^write_bytes: //p' /proc/$(pidof {program})/io"))?;
            told.parse().with_context(|| format!("{program} tells no writes: {told}"))
        };
        Ok(Self { card, agent: by("byway")?, tailscaled: by("tailscaled")? })
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what the run is for")]
fn report(figures: &str) {
    println!("{figures}");
}
