//! An agent that lives and does nothing any more: the watchdog starts the box anew.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::household::Household;

pub(crate) fn is_bitten(house: &mut Household) -> Result<()> {
    house.carry()?;
    // A reset within the machine, so that its watchdog remembers.
    house.pi()?.order(r#"{"execute": "set-action", "arguments": {"reboot": "reset"}}"#)?;
    let boot = house.pi()?.run("cat /proc/sys/kernel/random/boot_id")?;
    house.pi()?.run("kill -STOP $(pidof byway)")?;
    house.pi()?.wait_booted()?;
    ensure!(house.pi()?.run("cat /proc/sys/kernel/random/boot_id")? != boot, "it has not started anew");
    house.wait_carrying()?;
    let says = |status: &Value| status["last_stop"].as_str().is_some_and(|why| why.contains("watchdog"));
    house.wait_status("the reason for the restart", says)?;
    // The next ones are cut off as before.
    house.pi()?.order(r#"{"execute": "set-action", "arguments": {"reboot": "shutdown"}}"#).map(drop)
}
