//! What the kernel finds there, without the agent: the overlay's devices do what they are named for.

use std::time::Duration;

use anyhow::{Result, ensure};
use byway_core::panel::Lamps;
use byway_lab::wait_for;

use crate::pi::{Bench, Pi, WITHOUT_WATCHDOG};

const PATIENCE: Duration = Duration::from_secs(30);
/// The number of the bus that the screen hangs on.
const BUS: &str = "$(i2cdetect -l | sed -n 's/^i2c-\\([0-9]*\\).*i2c-tiny-usb.*/\\1/p')";

pub(crate) fn is_where_the_overlay_says(bench: &Bench) -> Result<()> {
    let mut pi = bench.boot(&[], WITHOUT_WATCHDOG)?;
    blinks_before_anybody_has_touched_it(&pi)?;
    pi.machine.run("kill -STOP $(cat /run/keep-agent.pid) $(pidof byway || true)")?;
    lights_the_lamp_of_that_name(&mut pi)?;
    hears_the_button(&mut pi)?;
    shows_what_is_written(&mut pi)
}

fn blinks_before_anybody_has_touched_it(pi: &Pi) -> Result<()> {
    wait_for("a blink of both lamps", PATIENCE, || {
        let seen = pi.lines.take_changes();
        ensure!(seen.iter().any(|lamps| lamps.red && lamps.green), "{seen:?}");
        Ok(())
    })
}

fn lights_the_lamp_of_that_name(pi: &mut Pi) -> Result<()> {
    for (name, lamps) in [("red", Lamps::RED), ("green", Lamps::GREEN)] {
        pi.machine.run(
            "for lamp in /sys/class/leds/byway:*; do echo none >$lamp/trigger; echo 0 >$lamp/brightness; done",
        )?;
        ensure!(pi.lines.lamps()? == Lamps::DARK, "lit by nobody");
        pi.machine.run(&format!("echo 1 >/sys/class/leds/byway:{name}:status/brightness"))?;
        let seen = pi.lines.lamps()?;
        ensure!(seen == lamps, "{name} is lit, and seen are {seen:?}");
    }
    Ok(())
}

fn hears_the_button(pi: &mut Pi) -> Result<()> {
    let names = pi.machine.run("cat /sys/class/input/event*/device/name")?;
    ensure!(names.lines().any(|name| name == "byway-button"), "{names}");
    let event =
        pi.machine.run("cd /sys/class/input; grep -l byway-button event*/device/name | cut -d/ -f1")?;
    pi.machine.start("button", &format!("cat /dev/input/{event}"))?;
    let fds = "ls -l /proc/$(cat /run/button.pid)/fd";
    pi.machine.wait_for("somebody who listens", fds, |fds| fds.contains("/dev/input"))?;
    // One event a line, at its end kind, code and value: a key, BTN_1, down; then up.
    let events = r#"hexdump -v -e '24/1 "%02x" "\n"' /run/button.log"#;
    ensure!(pi.machine.run(events)?.is_empty(), "pressed by nobody");
    pi.lines.press()?;
    pi.machine.wait_for("the press", events, |told| told.contains("0100010101000000"))?;
    pi.lines.release()?;
    pi.machine.wait_for("the release", events, |told| told.contains("0100010100000000"))?;
    Ok(())
}

fn shows_what_is_written(pi: &mut Pi) -> Result<()> {
    let addresses = format!("i2cdetect -y -r {BUS} 0x3b 0x3d");
    pi.machine.wait_for("a screen", &addresses, |told| told.contains("-- 3c --"))?;
    let write = |bytes: &str| {
        let count = bytes.split(' ').count();
        format!("i2ctransfer -y {BUS} w{count}@0x3c {bytes}")
    };
    for message in ["0x00 0xa1 0xc8 0x8d 0x14 0xaf 0xb2 0x05 0x10", "0x40 0x81"] {
        pi.machine.run(&write(message))?;
    }
    let lit = |pi: &Pi, row: std::ops::Range<usize>| -> Vec<usize> {
        row.filter(|y| pi.bus.screen().oled.pixel(5, *y)).collect()
    };
    ensure!(lit(pi, 16..24) == [16, 23], "{}", pi.bus.screen().oled);
    ensure!(pi.bus.screen().refused.is_empty(), "{:?}", pi.bus.screen().refused);
    pi.machine.run(&write("0x00 0x81"))?;
    ensure!(pi.bus.screen().refused.len() == 1, "half a command was taken");

    pi.bus.pull_out()?;
    pi.machine.wait_for("no screen", "i2cdetect -l", |told| !told.contains("i2c-tiny-usb"))?;
    pi.bus.plug_in()?;
    pi.machine.wait_for("the screen again", &addresses, |told| told.contains("-- 3c --"))?;
    ensure!(!pi.bus.screen().oled.is_on(), "the screen remembers what it was told");
    Ok(())
}
