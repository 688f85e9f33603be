//! A virtual Pi in the lab's house: its cable ends there, everything beyond it is real.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use byway_lab::World;
use byway_lab::byway_box::Said;
use byway_lab::card::Card;
use byway_lab::judge::Door;
use byway_lab::machine::Machine;
use byway_lab::namespace::Namespace;
use byway_lab::relay::Relay;
use byway_lab::stage::{Watch, is_approved, is_as_wished};
use byway_lab::traffic::Rates;
use serde_json::Value;

use crate::card::CardImage;
use crate::pi::Bench;

/// For what has no bound of its own: an emulated machine is slow, and the other core may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// More would only queue up before an emulated processor.
const GENTLE: Rates = Rates { long_udp: 10, new_udp: 2, new_tcp: 1, long_tcp: 2, ..Rates::NONE };
const STATUS: &str = "byway status --json --run-dir /run/byway";

/// One world, one Pi, one card.
#[derive(Debug)]
pub(crate) struct Household {
    // Before the world: the Pi's power goes first.
    pi: Option<Machine>,
    pub(crate) card: CardImage,
    pub(crate) world: World,
    room: Namespace,
    bench: Arc<Bench>,
}

impl Household {
    /// The Pi is in the house, switched off, with a card that was flashed just now for a good owner.
    pub(crate) fn raise(bench: &Arc<Bench>) -> Result<Self> {
        let world = World::raise()?;
        let room = world.topology().make_room_for_machine()?;
        let card = flash(&world)?;
        let house = Self { pi: None, card, world, room, bench: Arc::clone(bench) };
        house.configure()?;
        Ok(house)
    }

    /// Another card as the first one was, in a Pi that is off; nobody in the world knows of the one before.
    pub(crate) fn flash_anew(&mut self) -> Result<()> {
        self.flash_without_owner()?;
        self.configure()
    }

    /// The same, and nobody has put any file on it.
    pub(crate) fn flash_without_owner(&mut self) -> Result<()> {
        self.pi = None;
        // There may be none yet.
        _ = self.world.control.forget("byway");
        let names: Vec<&str> = self.world.relays().map(Relay::name).into();
        for name in names {
            self.world.relay_called(name)?.forget()?;
        }
        self.card = flash(&self.world)?;
        Ok(())
    }

    fn configure(&self) -> Result<()> {
        let card = Card::for_world(&self.world)?;
        self.card.write("byway.toml", &card.byway_toml("/usr/sbin/tailscaled"))?;
        card.mullvad_confs.iter().try_for_each(|(name, text)| self.card.write(name, text))
    }

    /// Nothing is waited for.
    pub(crate) fn switch_on(&mut self) -> Result<()> {
        ensure!(self.pi.is_none(), "it is on already");
        self.pi = Some(self.bench.switch_on(&self.card, &self.room, self.world.authority())?);
        Ok(())
    }

    /// Until it can be talked to.
    pub(crate) fn boot(&mut self) -> Result<()> {
        self.switch_on()?;
        self.pi()?.wait_booted()
    }

    /// Pulls the plug and leaves it out.
    pub(crate) fn cut_power(&mut self) -> Result<()> {
        self.pi.take().context("it is off")?.cut_power()
    }

    /// Whatever was before: the card's files are read at the next boot.
    pub(crate) fn be_off(&mut self) -> Result<()> {
        if self.pi.is_some() { self.cut_power() } else { Ok(()) }
    }

    /// Until it has switched itself off, or would start anew.
    pub(crate) fn wait_off(&mut self) -> Result<Vec<Value>> {
        let told = self.pi()?.wait_ended();
        self.pi = None;
        told
    }

    /// The machine that is on.
    pub(crate) fn pi(&mut self) -> Result<&mut Machine> {
        self.pi.as_mut().context("it is off")
    }

    /// `byway WORDS` on it.
    pub(crate) fn cli(&mut self, words: &[&str]) -> Result<Said> {
        let (code, stdout) =
            self.pi()?.try_run(&format!("byway {} --run-dir /run/byway", words.join(" ")))?;
        Ok(Said { code: Some(code), stdout, stderr: String::new() })
    }

    pub(crate) fn wait_status(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let is = |told: &str| serde_json::from_str(told).is_ok_and(|status| wanted(&status));
        let told = self.pi()?.wait_for(what, STATUS, is)?;
        Ok(serde_json::from_str(&told)?)
    }

    /// The phone gets through by the door that is wished, whatever was before: booted if it is off.
    pub(crate) fn carry(&mut self) -> Result<()> {
        if self.pi.is_none() {
            self.boot()?;
        }
        self.wait_carrying()
    }

    pub(crate) fn wait_carrying(&mut self) -> Result<()> {
        self.wait_status("the wished door", is_as_wished)?;
        self.wait_status("the exit node's approval", is_approved)?;
        self.world.phone.use_exit("byway")?;
        self.world.phone.wait_carried()
    }

    /// By the privacy door, and everything is listened to: from before it was opened, since a connection of before would be
    /// one whose beginning nobody saw.
    pub(crate) fn watch(&mut self) -> Result<Watch> {
        self.carry()?;
        self.wish_for("sealed")?;
        let mut watch = Watch::begin(&self.world, None, GENTLE)?;
        self.flip(&mut watch, Door::Privacy)?;
        Ok(watch)
    }

    /// Until it has reached that: `byway egress` itself has a real machine's patience.
    pub(crate) fn wish_for(&mut self, wish: &str) -> Result<()> {
        let said = self.cli(&["egress", wish, "--no-wait"])?;
        let is_reached = |status: &Value| status["wish"] == wish && is_as_wished(status);
        self.wait_status(wish, is_reached).with_context(|| format!("{said:?}")).map(drop)
    }

    /// Until a packet of the phone's has come back by the other door.
    pub(crate) fn flip(&mut self, watch: &mut Watch, door: Door) -> Result<()> {
        let requested = SystemTime::now();
        self.wish_for(&door.to_string())?;
        watch.decide(requested, Some(door));
        watch.wait_answered(PATIENCE).map(drop)
    }

    /// Seconds since its kernel began, by its own clock, which goes as everybody's; and when that was.
    pub(crate) fn uptime(&mut self) -> Result<(f64, SystemTime)> {
        let asked = SystemTime::now();
        let told = self.pi()?.run("cut -d' ' -f1 /proc/uptime")?;
        let uptime: f64 = told.parse().with_context(|| format!("no uptime: {told}"))?;
        Ok((uptime, asked - Duration::from_secs_f64(uptime)))
    }

    /// When init's scripts have said this, in seconds since the kernel began.
    pub(crate) fn said_by_init(&mut self, words: &str) -> Result<f64> {
        let log = self.pi()?.run("dmesg")?;
        let line = log.lines().find(|line| line.contains(&format!("byway: {words}")));
        let line = line.with_context(|| format!("init does not say {words:?}: {log}"))?;
        let at = line.trim_start_matches('[').split(']').next().unwrap_or_default().trim();
        at.parse().with_context(|| format!("no time: {line}"))
    }

    /// When the agent has logged this first, in the same seconds.
    pub(crate) fn logged(&mut self, words: &str) -> Result<f64> {
        let log = self.pi()?.run("cat /run/byway/byway.log")?;
        let line = log.lines().find(|line| line.contains(words));
        let line = line.with_context(|| format!("the agent does not say {words:?}: {log}"))?;
        let at = line.split(' ').find_map(|word| word.strip_prefix('+')).unwrap_or_default();
        at.parse().with_context(|| format!("no time: {line}"))
    }

    /// For whoever must find out what went wrong.
    pub(crate) fn words(&mut self) -> String {
        let Some(pi) = &mut self.pi else { return "it is off".to_owned() };
        let logs = pi.try_run("tail -n 40 /run/byway/*.log /run/*.log");
        let logs = logs.map_or_else(|error| format!("{error:#}"), |(_, logs)| logs);
        format!("{}\n{logs}", pi.console())
    }
}

fn flash(world: &World) -> Result<CardImage> {
    let folder = world.folder().join("card");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    CardImage::flash(&folder)
}
