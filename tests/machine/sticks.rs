//! A USB stick with a new configuration, from plugging in to the answer on it.

use anyhow::{Result, ensure};
use byway_lab::machine::Machine;

use crate::Bench;
use crate::image::Image;
use crate::machine::{plug_in, pull_out};

pub(crate) const CONF: &str = include_str!("../vm/nobody.conf");
pub(crate) const ANSWER: &str = "BYWAY-STATUS.txt";
pub(crate) const RUN: &str = "byway run --config /boot/byway.toml --state-dir /data --run-dir /run/byway";

pub(crate) fn toml(name: &str, relay: &str) -> String {
    format!(
        "[box]\r\nname = \"{name}\"\r\n[uplink]\r\nmethod = \"none\"\r\n[mullvad]\r\nconfig = [\"{relay}\"]\r\n"
    )
}

pub(crate) fn are_taken_over_or_answered(bench: &Bench) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = |name: &str, files: &[(&str, &str)]| Image::make(folder.path(), name, files);
    let good = image("good", &[("byway.toml", &toml("second", "b.conf")), ("b.conf", CONF)])?;
    let broken = image("broken", &[("byway.toml", &toml("My Box", "gone.conf"))])?;
    let locked = image("locked", &[("byway.toml", &toml("third", "b.conf"))])?;
    let empty = image("empty", &[("holiday.jpg", "x")])?;
    let mut machine = bench.boot()?;
    machine.write("/boot/byway.toml", &toml("first", "a.conf"))?;
    machine.write("/boot/a.conf", CONF)?;
    machine.start("agent", RUN)?;
    named(&mut machine, "first")?;
    let agent = machine.run("cat /run/agent.pid")?;

    plug_in(&mut machine, "empty", empty.path(), false)?;
    logged(&mut machine, "holds no byway.toml")?;
    plug_in(&mut machine, "broken", broken.path(), false)?;
    logged(&mut machine, "Nothing was changed: there are 2 mistakes")?;
    pull_out(&mut machine, "empty")?;
    pull_out(&mut machine, "broken")?;
    ensure!(empty.read(ANSWER).is_err(), "a stick without byway.toml is written to");
    let answer = broken.read(ANSWER)?;
    for words in
        ["byway.toml, line 2, column 8: a host name is", "line 6, column 11: \"gone.conf\" is not there"]
    {
        ensure!(answer.contains(words), "no {words:?} in {answer}");
    }
    named(&mut machine, "first")?;

    plug_in(&mut machine, "good", good.path(), false)?;
    named(&mut machine, "second")?;
    logged(&mut machine, "The box has this configuration")?;
    pull_out(&mut machine, "good")?;
    let answer = good.read(ANSWER)?;
    ensure!(answer.contains("The box has this configuration.") && answer.contains("\r\n"), "{answer}");
    ensure!(machine.run("cat /boot/byway.toml.old")?.contains("first"), "the old one is not kept");
    ensure!(machine.run("cat /boot/b.conf")?.contains("PrivateKey"), "its relay is not on the card");
    let taken = machine.run("grep -c 'was taken over' /run/agent.log")?;
    ensure!(taken == "1", "taken over {taken} times: {}", machine.logs());
    let program = machine.run(&format!("tr '\\0' ' ' </proc/{agent}/cmdline"))?;
    ensure!(program.trim_end() == RUN, "another process is the agent now: {program}");

    plug_in(&mut machine, "locked", locked.path(), true)?;
    named(&mut machine, "third")?;
    logged(&mut machine, "BYWAY-STATUS.txt cannot be written")?;
    pull_out(&mut machine, "locked")?;
    ensure!(machine.run("grep stick /proc/mounts || true")?.is_empty(), "a stick is still mounted");
    Ok(())
}

pub(crate) fn rescue_a_box_whose_own_configuration_is_broken(bench: &Bench) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good =
        Image::make(folder.path(), "good", &[("byway.toml", &toml("rescued", "b.conf")), ("b.conf", CONF)])?;
    let mut machine = bench.boot()?;
    machine.write("/boot/byway.toml", "[box")?;
    let (code, words) = machine.try_run(RUN)?;
    ensure!(code == 2 && words.contains("unclosed table"), "{code}: {words}");

    plug_in(&mut machine, "good", good.path(), false)?;
    machine.wait_for("the stick", "ls /sys/block", |disks| disks.contains("sda"))?;
    machine.start("agent", RUN)?;
    named(&mut machine, "rescued")?;
    logged(&mut machine, "The box has this configuration")?;
    pull_out(&mut machine, "good")?;
    ensure!(good.read(ANSWER)?.contains("The box has this configuration."), "no answer on the stick");
    ensure!(machine.run("cat /boot/byway.toml.old")? == "[box", "the old one is not kept");
    Ok(())
}

pub(crate) fn named(machine: &mut Machine, name: &str) -> Result<()> {
    let wanted = format!("{name}: wish");
    let told = machine.wait_for(&wanted, "byway status --run-dir /run/byway", |told| told.contains(&wanted));
    told.map(drop)
}

pub(crate) fn logged(machine: &mut Machine, words: &str) -> Result<()> {
    machine.wait_for(words, "cat /run/agent.log", |log| log.contains(words)).map(drop)
}
