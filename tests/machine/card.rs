//! A card's first partition, mounted read-only as init does it: an agent that finds no good configuration there waits, one
//! that finds one takes it over, and each writes its answer there and nothing else.

use anyhow::{Result, ensure};
use byway_lab::machine::Machine;

use crate::Bench;
use crate::image::Image;
use crate::machine::{plug_in, pull_out};
use crate::sticks::{ANSWER, CONF, logged, named, toml};

const RUN: &str =
    "byway run --from /card --config /data/config/byway.toml --state-dir /data --run-dir /run/byway";
const STATUS: &str = "byway status --run-dir /run/byway";

pub(crate) fn is_waited_with_and_taken_over(bench: &Bench) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = |name: &str, files: &[(&str, &str)]| Image::make(folder.path(), name, files);
    let card = image("card", &[("byway.toml", &toml("My Box", "a.conf")), ("a.conf", CONF)])?;
    let stick = image("stick", &[("byway.toml", &toml("by-stick", "b.conf")), ("b.conf", CONF)])?;
    let mut machine = bench.boot()?;
    plug_in(&mut machine, "card", card.path(), false)?;
    machine.wait_for("the card", "ls /sys/block/sda", |parts| parts.contains("sda1"))?;
    machine.run("mkdir -p /card && mount -t vfat -o ro,nosuid,nodev,noexec,umask=077 /dev/sda1 /card")?;

    machine.start("agent", RUN)?;
    let wrong = "byway.toml, line 2, column 8: a host name is";
    machine.wait_for("why it waits", STATUS, |told| told.contains(wrong))?;
    let (code, words) = machine.try_run("byway toggle --no-wait --run-dir /run/byway")?;
    ensure!(code == 1 && words.contains(wrong), "{code}: {words}");
    answered(&mut machine, &[wrong, "nothing goes out by the box"])?;

    plug_in(&mut machine, "stick", stick.path(), false)?;
    named(&mut machine, "by-stick")?;
    logged(&mut machine, "The box has this configuration")?;
    pull_out(&mut machine, "stick")?;
    answered(&mut machine, &[wrong, "goes on with the last good configuration"])?;

    machine.run("kill $(cat /run/agent.pid)")?;
    machine.wait_for("its end", STATUS, |told| told.contains("no agent answers"))?;
    machine.run("mount -o remount,rw /card && sed -i 's/My Box/by-card/' /card/byway.toml && mount -o remount,ro /card")?;
    machine.start("agent", RUN)?;
    named(&mut machine, "by-card")?;
    answered(&mut machine, &["The new configuration was taken over."])?;
    machine.run("umount /card")?;
    pull_out(&mut machine, "card")?;
    ensure!(card.read(ANSWER)?.contains("\r\n"), "not for Windows");
    Ok(())
}

/// And nobody can write there any more.
fn answered(machine: &mut Machine, words: &[&str]) -> Result<()> {
    let answer = machine.wait_for("the answer", &format!("cat /card/{ANSWER}"), |answer| {
        words.iter().all(|words| answer.contains(words))
    })?;
    let mount = machine.run("grep ' /card ' /proc/mounts")?;
    ensure!(mount.contains(" ro,nosuid,nodev,noexec,") && mount.contains("mask=0077"), "{mount}: {answer}");
    Ok(())
}
