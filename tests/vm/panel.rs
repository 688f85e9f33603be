//! What a person at the box sees and does, with the agent at work: seen and done from outside.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use byway_core::panel::Lamps;
use byway_lab::wait_for;

use crate::agent::{CARD, SHOW};
use crate::pi::{Bench, Pi, WITHOUT_WATCHDOG};

const PATIENCE: Duration = Duration::from_mins(1);
/// Seconds from a press to the light's answer, the button's debouncing (20 ms) included.
const ANSWERED: f64 = 0.05;
/// Of a core, while there is nothing new to show.
const IDLE_SHARE: f64 = 0.005;
const IDLE_SECONDS: f64 = 21.0;
/// Two rounds of the light's winks, with room.
const TWO_ROUNDS: f64 = 9.0;

pub(crate) fn tells_the_truth(bench: &Bench) -> Result<()> {
    let mut pi = bench.boot(&CARD, WITHOUT_WATCHDOG)?;
    pi.wait_light("residential")?;
    winks(&pi)?;
    pi.wait_frame()?;
    costs_hardly_anything(&mut pi)?;
    a_press_is_answered_at_once_and_carried_out(&mut pi)?;
    a_screen_may_come_and_go(&mut pi)?;
    freezes_with_its_agent(&mut pi)
}

/// Amber, for a moment dark, amber.
fn winks(pi: &Pi) -> Result<()> {
    let mut seen = Vec::new();
    wait_for("two winks", PATIENCE, || {
        seen.extend(pi.lines.take_changes());
        let steady: Vec<&Lamps> =
            seen.iter().filter(|lamps| [Lamps::DARK, Lamps::AMBER].contains(lamps)).collect();
        let winks =
            steady.windows(3).filter(|three| **three == [&Lamps::AMBER, &Lamps::DARK, &Lamps::AMBER]).count();
        ensure!(winks >= 2, "{seen:?}");
        Ok(())
    })
}

/// Both of its threads, winks included, and nothing is written to a card.
fn costs_hardly_anything(pi: &mut Pi) -> Result<()> {
    pi.machine.run("touch /run/idle-since")?;
    let (began, before) = (pi.uptime()?, spent(pi)?);
    wait_uptime(pi, began + IDLE_SECONDS)?;
    let (ended, after) = (pi.uptime()?, spent(pi)?);
    let share = (after - before) / (ended - began);
    ensure!(share > 0.0, "threads that do nothing at all are not the panel's");
    ensure!(share <= IDLE_SHARE, "the panel takes {share:.4} of a core when idle");
    let written = pi.machine.run("find /data -type f -newer /run/idle-since")?;
    ensure!(written.is_empty(), "written while idle: {written}");
    Ok(())
}

/// Seconds of a core.
fn spent(pi: &mut Pi) -> Result<f64> {
    let told = pi.machine.run(
        "for task in /proc/$(pidof byway)/task/*; do \
         case $(cat $task/comm) in panel|screen) cut -d' ' -f1 $task/schedstat;; esac; done",
    )?;
    let times: Vec<f64> = told.lines().map(str::parse).collect::<Result<_, _>>().context("no times")?;
    ensure!(times.len() == 2, "not two threads: {told}");
    Ok(times.iter().sum::<f64>() / 1e9)
}

/// By the kernel's own trace of its lines: from the edge of the button to that of a lamp.
fn a_press_is_answered_at_once_and_carried_out(pi: &mut Pi) -> Result<()> {
    const TRACING: &str = "/sys/kernel/tracing";
    let mut times = Vec::new();
    // Nobody answers at the privacy door.
    for light in ["working", "residential", "working", "residential"] {
        pi.machine.run(&format!(
            "cd {TRACING}; echo >trace; echo 1 >events/gpio/gpio_value/enable; \
             echo 1 >events/irq/irq_handler_entry/enable"
        ))?;
        pi.lines.take_changes();
        pi.lines.press()?;
        let trace = "cat /sys/kernel/tracing/trace";
        let answered = |trace: &str| answer(trace).is_ok();
        let trace = pi.machine.wait_for("an answer of the light", trace, answered)?;
        pi.lines.release()?;
        pi.machine.run(&format!("echo 0 >{TRACING}/events/enable"))?;
        times.push(answer(&trace)?);
        ensure!(!pi.lines.take_changes().is_empty(), "nothing of it is seen outside");
        pi.wait_light(light)?;
        pi.wait_frame()?;
    }
    // The host may have been elsewhere at one of them.
    let late = times.iter().filter(|took| **took > ANSWERED).count();
    ensure!(late <= 1 && times.iter().all(|took| *took <= 1.0), "presses are answered after {times:.3?} s");
    Ok(())
}

/// Seconds from the button's interrupt to the first change of a lamp afterwards.
fn answer(trace: &str) -> Result<f64> {
    let mut pressed = None;
    for line in trace.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace().skip_while(|word| !word.ends_with(':'));
        let at = words.next().and_then(|word| word.trim_end_matches(':').parse::<f64>().ok());
        let Some(at) = at else { continue };
        if pressed.is_none() && line.contains("name=byway button") {
            pressed = Some(at);
        }
        let is_lamp = line.contains("gpio_value:") && line.contains(" set ");
        if let Some(pressed) = pressed.filter(|_| is_lamp) {
            return Ok(at - pressed);
        }
    }
    bail!("no press, or no answer:\n{trace}")
}

fn a_screen_may_come_and_go(pi: &mut Pi) -> Result<()> {
    pi.bus.pull_out()?;
    pi.machine
        .wait_for("the loss of the screen", SHOW, |told| told.contains(r#""screen":{"found":false"#))?;
    pi.bus.plug_in()?;
    pi.wait_frame()
}

/// A dead agent's light says nothing new, and does not wink.
fn freezes_with_its_agent(pi: &mut Pi) -> Result<()> {
    winks(pi)?;
    pi.machine.run("kill -STOP $(cat /run/keep-agent.pid) && kill -9 $(pidof byway)")?;
    // Its parent stands still too, and does not see that it has ended.
    let state = "sed -n 's/^State:[[:space:]]*//p' /proc/$(pidof byway)/status";
    pi.machine.wait_for("its end", state, |state| state.starts_with('Z'))?;
    pi.lines.take_changes();
    let died = pi.uptime()?;
    wait_uptime(pi, died + TWO_ROUNDS)?;
    let changes = pi.lines.take_changes();
    ensure!(changes.is_empty(), "a dead agent's light says {changes:?}");
    Ok(())
}

/// Until its own clock says so.
fn wait_uptime(pi: &mut Pi, until: f64) -> Result<()> {
    let is_later = |told: &str| told.parse::<f64>().is_ok_and(|now| now >= until);
    pi.machine.wait_for("time to pass", "cut -d' ' -f1 /proc/uptime", is_later).map(drop)
}
