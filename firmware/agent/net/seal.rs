//! Shuts the door without waiting for anybody: for a panic, SIGTERM and `byway seal`.

use anyhow::{Context as _, Result, bail};
use byway_core::Posture;
use byway_core::posture::ruleset;

use super::nft;

/// No client packet passes when this returns `Ok`.
///
/// The facts stay in a rule set that is there already, so that the owner's way in stays open; where there is none,
/// or one that is not to be trusted, the boot's is loaded, which knows no uplink. Blocks for some 20 ms.
pub fn seal_now() -> Result<()> {
    let boot = Posture::default();
    if nft::commit_at_last(&ruleset::flip(&boot)).is_ok() && stands_sealed().is_ok_and(|sealed| sealed) {
        return Ok(());
    }
    nft::commit_at_last(&ruleset::whole(&boot)).context("not sealed")?;
    if !stands_sealed().context("nobody knows whether the sealed rule set stands")? {
        bail!("the sealed rule set was loaded, but something else stands in the kernel");
    }
    Ok(())
}

/// As [`seal_now`], and nothing that this process orders afterwards is loaded any more: an opening that was on its
/// way when the agent ended comes before the seal, or never.
pub fn seal_for_good() -> Result<()> {
    nft::close();
    seal_now()
}

fn stands_sealed() -> Result<bool, nft::Error> {
    nft::listing().map(|listing| listing.is_sealed())
}
