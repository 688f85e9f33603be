//! Keeps the box's own names in `/etc/hosts`, between two lines that mark them, and leaves every other line as it is.
//! tailscaled reads them there, so a box whose tunnel is dead still finds its control server.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const BEGIN: &str = "# byway: begin, what stands from here to the end is rewritten";
const END: &str = "# byway: end";
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Brings the file at `path` up to date; returns whether it had to be written. It is written in place, never replaced:
/// in a network namespace it is a bind mount, and tailscaled may hold it open.
pub fn update(path: &Path, names: &BTreeMap<String, Vec<IpAddr>>) -> io::Result<bool> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut existing = Vec::new();
    file.read_to_end(&mut existing)?;
    let wanted = render(&String::from_utf8_lossy(&existing), names);
    if wanted.as_bytes() == existing {
        return Ok(false);
    }
    write_over(&file, existing.len(), wanted.as_bytes())?;
    Ok(true)
}

/// What is longer than before comes first: on a full disk that fails, and everybody's lines stand as they stood.
fn write_over(file: &File, before: usize, wanted: &[u8]) -> io::Result<()> {
    if let Some(longer) = wanted.get(before..)
        && let Err(error) = file.write_all_at(longer, before as u64)
    {
        file.set_len(before as u64)?;
        return Err(error);
    }
    file.write_all_at(&wanted[..before.min(wanted.len())], 0)?;
    file.set_len(wanted.len() as u64)
}

/// The file as it should be: everybody else's lines in their order, localhost among them, and ours at the end. A
/// block without its end, which only a cut write leaves, reaches to the end of the file.
pub fn render(existing: &str, names: &BTreeMap<String, Vec<IpAddr>>) -> String {
    let others: Vec<&str> = lines_of_others(existing);
    let mut hosts = String::new();
    for loopback in LOOPBACK {
        if !others.iter().any(|line| maps(line, loopback, "localhost")) {
            push_line(&mut hosts, &format!("{loopback} localhost"));
        }
    }
    for line in others {
        push_line(&mut hosts, line);
    }
    let own: Vec<String> = own_lines(names).collect();
    if !own.is_empty() {
        push_line(&mut hosts, BEGIN);
        for line in &own {
            push_line(&mut hosts, line);
        }
        push_line(&mut hosts, END);
    }
    hosts
}

fn lines_of_others(existing: &str) -> Vec<&str> {
    let mut inside = false;
    let is_other = |line: &&str| {
        let was_inside = inside;
        inside = (inside || *line == BEGIN) && *line != END;
        !inside && !was_inside
    };
    existing.lines().filter(is_other).collect()
}

/// Names come from the control server too: one that would be anything but a name on this line is left out.
fn own_lines(names: &BTreeMap<String, Vec<IpAddr>>) -> impl Iterator<Item = String> {
    let is_plain = |name: &str| {
        !name.is_empty()
            && name != "localhost"
            && name.parse::<IpAddr>().is_err()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
    };
    names
        .iter()
        .filter(move |(name, _)| is_plain(name))
        .flat_map(|(name, addresses)| addresses.iter().map(move |address| format!("{address} {name}")))
}

fn maps(line: &str, address: IpAddr, name: &str) -> bool {
    let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
    words.next().and_then(|word| word.parse().ok()) == Some(address) && words.any(|word| word == name)
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Seek as _, Write as _};
    use std::os::unix::fs::MetadataExt;

    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    const OTHERS: &str =
        "127.0.0.1\tlocalhost cottage # home\n::1 localhost\n\n# a note\n192.0.2.9 printer\n";

    fn names(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<IpAddr>> {
        let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for (name, address) in entries {
            names.entry((*name).to_owned()).or_default().push(address.parse().unwrap());
        }
        names
    }

    #[test]
    fn puts_its_names_behind_everybody_elses_lines() {
        let names = names(&[
            ("hs.example", "192.0.2.1"),
            ("hs.example", "2001:db8::1"),
            ("derp.example", "192.0.2.2"),
        ]);
        let own =
            format!("{BEGIN}\n192.0.2.2 derp.example\n192.0.2.1 hs.example\n2001:db8::1 hs.example\n{END}\n");
        assert_eq!(render(OTHERS, &names), format!("{OTHERS}{own}"));
    }

    #[test]
    fn replaces_its_names_and_takes_them_out_again() {
        let once = render(OTHERS, &names(&[("hs.example", "192.0.2.1")]));
        let with_more = format!("{once}192.0.2.8 added-later\n");
        let twice = render(&with_more, &names(&[("hs.example", "192.0.2.3")]));
        assert!(twice.starts_with(&format!("{OTHERS}192.0.2.8 added-later\n{BEGIN}\n")), "{twice}");
        assert!(!twice.contains("192.0.2.1 "), "{twice}");
        assert_eq!(
            render(&twice, &names(&[("hs.example", "192.0.2.3")])),
            twice,
            "a second time changes nothing"
        );
        assert_eq!(render(&once, &names(&[])), OTHERS);
    }

    #[test]
    fn adds_the_lines_of_localhost_that_are_missing() {
        assert_eq!(render("", &names(&[])), "127.0.0.1 localhost\n::1 localhost\n");
        assert_eq!(render("::1 localhost", &names(&[])), "127.0.0.1 localhost\n::1 localhost\n");
        assert_eq!(
            render("127.0.0.1 localhost2\n# 127.0.0.1 localhost\n::1 localhost", &names(&[]))
                .matches("localhost\n")
                .count(),
            3
        );
    }

    #[test]
    fn ends_a_block_that_a_cut_write_left_open() {
        let cut = format!("{OTHERS}{BEGIN}\n192.0.2.1 hs.exa");
        assert_eq!(render(&cut, &names(&[])), OTHERS);
    }

    #[test]
    fn writes_nothing_that_is_no_name() {
        let hostile = names(&[
            ("a\n192.0.2.66 login.example", "192.0.2.66"),
            ("b login.example", "192.0.2.66"),
            ("localhost", "192.0.2.66"),
            ("192.0.2.66", "192.0.2.66"),
            ("", "192.0.2.66"),
        ]);
        assert_eq!(render(OTHERS, &hostile), OTHERS);
    }

    #[test]
    fn writes_in_place_and_only_when_something_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        fs::write(&path, OTHERS).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let names = names(&[("hs.example", "192.0.2.1")]);
        assert!(update(&path, &names).unwrap());
        assert!(!update(&path, &names).unwrap());
        assert!(update(&path, &BTreeMap::new()).unwrap());
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            OTHERS,
            "shorter than before, and nothing left behind"
        );
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    }

    #[test]
    fn a_file_that_cannot_grow_stays_as_it_was() {
        let mut file = File::from(memfd_create(c"hosts", MFdFlags::MFD_ALLOW_SEALING).unwrap());
        file.write_all(OTHERS.as_bytes()).unwrap();
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).unwrap();
        let longer = render(&OTHERS.replace("::1", ""), &names(&[("hs.example", "192.0.2.1")]));
        assert!(write_over(&file, OTHERS.len(), longer.as_bytes()).is_err());
        let mut stands = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut stands).unwrap();
        assert_eq!(stands, OTHERS);
    }
}
