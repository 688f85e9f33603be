//! The agent in the virtual Pi: its card, its start and end, what it says; and what it says on its panel.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use byway_lab::oled::Oled;
use byway_lab::wait_for;
use serde_json::{Value, json};

use crate::pi::Pi;

pub(crate) const SHOW: &str = "byway panel show --json --run-dir /run/byway";
/// Of a relay that nobody has: the privacy door stays shut.
const NOBODYS_RELAY: &str = include_str!("nobody.conf");
/// QEMU's gateway answers, but lends no way out by itself, and a tailnet that nobody can reach would be all that the light
/// speaks of. The screen's bus is the first one that a kernel without any other has.
const TOML: &str = "[box]
egress = \"residential\"
[uplink]
method = \"static\"
address = [\"10.0.2.15/24\"]
gateway = [\"10.0.2.2\"]
[tailnet]
tailscaled = \"/none\"
[mullvad]
config = [\"a.conf\"]
[panel]
bus = 0
";
/// What its owner has put on the card.
pub(crate) const CARD: [(&str, &str); 2] = [("byway.toml", TOML), ("a.conf", NOBODYS_RELAY)];
const PATIENCE: Duration = Duration::from_mins(1);
const WIDTH: usize = 128;
const HEIGHT: usize = 64;

impl Pi {
    /// What it says that the panel shows.
    pub(crate) fn panel(&mut self) -> Result<Value> {
        let told = self.machine.run(SHOW)?;
        serde_json::from_str(&told).with_context(|| format!("no JSON: {told}"))
    }

    /// Until the light says this, by the agent's own word.
    pub(crate) fn wait_light(&mut self, says: &str) -> Result<()> {
        let wanted = format!("\"says\":\"{says}\"");
        self.machine.wait_for(&wanted, SHOW, |told| told.contains(&wanted)).map(drop)
    }

    /// Until what a person sees on the screen is what the agent means to show, dot for dot.
    pub(crate) fn wait_frame(&mut self) -> Result<()> {
        wait_for("the frame on the screen", PATIENCE, || {
            let meant = self.panel()?;
            let screen = self.bus.screen();
            ensure!(screen.refused.is_empty(), "the chip does not take {:?}", screen.refused);
            ensure!(screen.oled.is_on(), "the screen is off");
            let seen: Vec<String> = (0..HEIGHT).map(|y| row(&screen.oled, y)).collect();
            ensure!(meant["screen"]["rows"] == json!(seen), "{meant} is meant, seen is\n{}", screen.oled);
            Ok(())
        })
    }

    /// Seconds since it was switched on, by its own clock.
    pub(crate) fn uptime(&mut self) -> Result<f64> {
        let told = self.machine.run("cut -d' ' -f1 /proc/uptime")?;
        told.parse().with_context(|| format!("no uptime: {told}"))
    }
}

/// As the agent tells it: hex digits for four dots each.
fn row(oled: &Oled, y: usize) -> String {
    let four = |x: usize| (x..x + 4).fold(0, |digit, x| digit << 1 | u32::from(oled.pixel(x, y)));
    (0..WIDTH).step_by(4).filter_map(|x| char::from_digit(four(x), 16)).collect()
}
