//! What the owner changes on the box's card, between two agents.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::BywayBox;
use crate::card::{config_line, write_confs};
use crate::tools::write_secret;

impl BywayBox {
    /// Moves what is on its card to where the owner puts files, from which its next agent takes it over. Returns that folder.
    pub fn hand_over(&self) -> Result<PathBuf> {
        let (card, owners) = (self.folder.join("card"), self.owners_dir());
        fs::rename(&card, &owners)
            .and_then(|()| fs::create_dir(&card))
            .context("cannot hand over the card")?;
        Ok(owners)
    }

    pub(super) fn owners_dir(&self) -> PathBuf {
        self.folder.join("owner")
    }

    /// Writes a new auth key onto the card, from which the last one was wiped.
    pub fn write_auth_key(&self, key: &str) -> Result<()> {
        let path = self.config_path();
        let text = fs::read_to_string(&path).context("cannot read the card")?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("auth_key")).collect();
        let with_key = format!("[tailnet]\nauth_key = \"{key}\"");
        write_secret(&path, &lines.join("\n").replace("[tailnet]", &with_key))
    }

    /// Replaces the list of relays, each a file's name and its text; an agent reads it when it starts.
    pub fn write_relays(&self, confs: &[(String, String)]) -> Result<()> {
        let path = self.config_path();
        write_confs(&self.folder.join("card"), confs)?;
        let text = fs::read_to_string(&path).context("cannot read the card")?;
        let is_list = |line: &&str| line.starts_with("config = ");
        let list = text.lines().find(is_list).context("the card names no relay")?;
        write_secret(&path, &text.replace(list, &config_line(confs)))
    }

    /// Replaces `[dns]` until the next box; an agent reads it when it starts.
    pub fn write_dns(&self, lines: &str) -> Result<()> {
        self.write_section("[dns]", lines)
    }

    /// The same for `[uplink]`, which says how it is attached to the house.
    pub fn write_uplink(&self, lines: &str) -> Result<()> {
        self.write_section("[uplink]", lines)
    }

    /// The same for `[ssh]`, which no card of the lab's has at first.
    pub fn write_ssh(&self, lines: &str) -> Result<()> {
        let path = self.config_path();
        let text = fs::read_to_string(&path).context("cannot read the card")?;
        if !text.contains("[ssh]") {
            write_secret(&path, &format!("{text}\n[ssh]\n"))?;
        }
        self.write_section("[ssh]", lines)
    }

    fn write_section(&self, head: &str, lines: &str) -> Result<()> {
        let path = self.config_path();
        let text = fs::read_to_string(&path).context("cannot read the card")?;
        let (before, section) = text.split_once(head).with_context(|| format!("the card has no {head}"))?;
        let after = section.split_once("\n[").map_or_else(String::new, |(_, after)| format!("\n[{after}"));
        write_secret(&path, &format!("{before}{head}\n{lines}{after}"))
    }
}
