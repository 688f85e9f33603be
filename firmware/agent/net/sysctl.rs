//! Writes sysctls and reads them back. What they should hold, and in which order, is said in the core.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use byway_core::posture::sysctl::{self, Sysctl};

/// Only what differs, so that an unchanged box gets no notification of a change.
pub(super) fn write(sysctls: &[Sysctl]) -> Result<()> {
    sysctls.iter().try_for_each(write_one)
}

/// Readable lines, none if all hold what they should.
pub(super) fn differences(sysctls: &[Sysctl]) -> Result<Vec<String>> {
    let difference = |sysctl| match read(sysctl)? {
        Some(found) if found != sysctl.value => {
            Ok(Some(format!("sysctl {} is {found}, should be {}", sysctl.path, sysctl.value)))
        }
        Some(_) | None => Ok(None),
    };
    sysctls.iter().filter_map(|sysctl| difference(sysctl).transpose()).collect()
}

/// The rule set cannot be trusted: nobody's packets are passed on until the next posture was applied.
pub(super) fn stop_forwarding() -> Result<()> {
    let stopped = sysctl::forwarding().into_iter().map(|sysctl| Sysctl { value: "0", ..sysctl });
    // The second is tried though the first failed.
    let outcomes: Vec<Result<()>> = stopped.map(|sysctl| write_one(&sysctl)).collect();
    outcomes.into_iter().collect()
}

fn write_one(sysctl: &Sysctl) -> Result<()> {
    match read(sysctl)? {
        Some(found) if found != sysctl.value => fs::write(path(sysctl), sysctl.value)
            .with_context(|| format!("sysctl {} = {} was not taken", sysctl.path, sysctl.value)),
        Some(_) | None => Ok(()),
    }
}

/// `None`: of an interface that is not there, which is born with the values of `default` and found by the next reading;
/// or of a protocol that the kernel does not track.
fn read(sysctl: &Sysctl) -> Result<Option<String>> {
    match fs::read_to_string(path(sysctl)) {
        Ok(value) => Ok(Some(String::from(value.trim()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_absent(&sysctl.path) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound && sysctl.path.contains("/nf_conntrack") => {
            Err(error).with_context(|| format!("no sysctl {}: load the module nf_conntrack", sysctl.path))
        }
        Err(error) => Err(error).with_context(|| format!("sysctl {} cannot be read", sysctl.path)),
    }
}

fn may_be_absent(path: &str) -> bool {
    is_of_one_interface(path) || path.contains("/nf_conntrack_sctp")
}

fn is_of_one_interface(path: &str) -> bool {
    let interface = path.split_once("/conf/").and_then(|(_, rest)| rest.split('/').next());
    interface.is_some_and(|name| !matches!(name, "all" | "default"))
}

fn path(sysctl: &Sysctl) -> PathBuf {
    Path::new("/proc/sys").join(&sysctl.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_interface_is_no_difference() {
        let absent = Sysctl { path: String::from("net/ipv4/conf/no-such-if/rp_filter"), value: "0" };
        assert_eq!(read(&absent).unwrap(), None);
        assert!(differences(&[absent]).unwrap().is_empty());
    }

    #[test]
    fn a_protocol_that_the_kernel_does_not_track_is_no_difference() {
        let absent = Sysctl { path: String::from("net/netfilter/nf_conntrack_sctp_no_such"), value: "120" };
        assert_eq!(read(&absent).unwrap(), None);
    }

    #[test]
    fn an_absent_module_is_named() {
        let absent = Sysctl { path: String::from("net/netfilter/nf_conntrack_no_such"), value: "0" };
        let error = format!("{:#}", read(&absent).unwrap_err());
        assert!(error.contains("load the module nf_conntrack"), "{error}");
    }

    #[test]
    fn all_and_default_must_be_there() {
        assert!(!is_of_one_interface("net/ipv4/conf/all/rp_filter"));
        assert!(!is_of_one_interface("net/ipv4/conf/default/rp_filter"));
        assert!(!is_of_one_interface("net/ipv4/ip_forward"));
        assert!(is_of_one_interface("net/ipv4/conf/wg0/rp_filter"));
    }
}
