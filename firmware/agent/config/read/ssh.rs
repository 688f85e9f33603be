//! Reads `[ssh]`: whose keys open a shell, and from where.

use super::super::reader::{At, Reader, Section};
use super::super::{Ssh, SshKey};

pub(super) fn read<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Ssh {
    let listed = reader.texts(section, "keys").map_or(Vec::new(), |list| list.value);
    let lan = reader.flag(section, "lan");
    if let Some(At { at, value: true }) = lan
        && !section.has("keys")
    {
        let message =
            "nobody has a key: write keys = [\"ssh-ed25519 AAAA.. owner\"] beside it, or lan = false";
        reader.mistake(at, message);
    }
    let keys = listed.into_iter().filter_map(|text| key(reader, text)).collect();
    Ssh { keys, lan: lan.is_some_and(|flag| flag.value) }
}

fn key(reader: &mut Reader<'_>, text: At<&str>) -> Option<SshKey> {
    text.value.parse().map_err(|message: String| reader.mistake(text.at, message)).ok()
}
