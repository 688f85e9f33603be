//! Which disks are sticks: removable, on USB, in use by nobody. So the card that the box runs from is none, nor a disk that
//! somebody else has mounted.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// One disk, from its plugging in to its pulling out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Disk {
    /// Below `/sys/block`.
    folder: PathBuf,
    name: String,
    /// The kernel's number of what is in it: another stick in the same place has another.
    sequence: String,
}

/// What the kernel knows at this moment.
pub(super) fn sticks(sys: &Path) -> Vec<Disk> {
    let Ok(disks) = fs::read_dir(sys.join("block")) else { return Vec::new() };
    disks.flatten().filter_map(|disk| stick(&disk.path())).collect()
}

fn stick(folder: &Path) -> Option<Disk> {
    let attribute = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let is_removable = attribute("removable")?.trim() == "1";
    let has_medium = attribute("size")?.trim() != "0";
    let bus = fs::canonicalize(folder).ok()?;
    let is_usb = bus.iter().any(|part| part.to_str().is_some_and(|part| part.starts_with("usb")));
    let name = folder.file_name()?.to_str()?.to_owned();
    let sequence = attribute("diskseq").unwrap_or_default();
    (is_removable && has_medium && is_usb).then(|| Disk { folder: folder.to_owned(), name, sequence })
}

/// What may be mounted, and of which disk.
pub(super) type Volume = (Disk, PathBuf);

/// What of these was not seen before. A disk is there a moment before its partitions are: these are seen then.
pub(super) fn fresh(disks: Vec<Disk>, seen: &mut BTreeSet<Volume>) -> Vec<PathBuf> {
    seen.retain(|(disk, _)| disks.contains(disk));
    let volumes = |disk: Disk| disk.volumes().into_iter().map(move |volume| (disk.clone(), volume));
    let fresh = disks.into_iter().flat_map(volumes).filter(|volume| seen.insert(volume.clone()));
    fresh.map(|(_, volume)| volume).collect()
}

impl Disk {
    /// Its partitions, or the whole of it where it has none.
    fn volumes(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut partitions: Vec<PathBuf> = entries
            .filter(|entry| entry.path().join("partition").exists())
            .map(|entry| Path::new("/dev").join(entry.file_name()))
            .collect();
        partitions.sort();
        if partitions.is_empty() {
            partitions.push(Path::new("/dev").join(&self.name));
        }
        partitions.retain(|volume| is_free(volume));
        partitions
    }
}

/// The kernel refuses this to a disk that is mounted, in whichever namespace (open(2), `O_EXCL`).
fn is_free(volume: &Path) -> bool {
    OpenOptions::new().read(true).custom_flags(libc::O_EXCL).open(volume).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// As the kernel shows a disk: a link into the tree of buses.
    fn plug(sys: &Path, bus: &str, name: &str, removable: &str) {
        let device = sys.join("devices").join(bus).join(name);
        fs::create_dir_all(&device).unwrap();
        fs::create_dir_all(sys.join("block")).unwrap();
        for (attribute, value) in [("removable", removable), ("size", "65536\n"), ("diskseq", "9\n")] {
            fs::write(device.join(attribute), value).unwrap();
        }
        symlink(&device, sys.join("block").join(name)).unwrap();
    }

    #[test]
    fn removable_disks_on_usb_are_sticks() {
        let sys = tempfile::tempdir().unwrap();
        assert_eq!(sticks(sys.path()), [], "no disks at all");
        plug(sys.path(), "pci0000:00/usb1/1-1/1-1:1.0/host0/block", "sda", "1\n");
        plug(sys.path(), "pci0000:00/usb1/1-2/1-2:1.0/host1/block", "sdb", "0\n");
        plug(sys.path(), "platform/mmc_host/mmc0/block", "mmcblk0", "1\n");
        plug(sys.path(), "pci0000:00/usb1/1-3/1-3:1.0/host2/block", "sdc", "1\n");
        fs::write(sys.path().join("block/sdc/size"), "0\n").unwrap();
        let found = sticks(sys.path());
        assert_eq!(found.iter().map(|disk| disk.name.as_str()).collect::<Vec<_>>(), ["sda"]);

        fs::write(sys.path().join("block/sda/diskseq"), "10\n").unwrap();
        assert_ne!(sticks(sys.path()), found, "another stick in the same place");
    }

    #[test]
    fn partitions_that_are_there_a_moment_after_their_disk_are_seen_once() {
        let sys = tempfile::tempdir().unwrap();
        let disk = "pci0000:00/usb1/1-1/1-1:1.0/host0/block";
        plug(sys.path(), disk, "null", "1\n");
        let mut seen = BTreeSet::new();
        let mut fresh = || fresh(sticks(sys.path()), &mut seen);
        assert_eq!(fresh(), [Path::new("/dev/null")], "the whole of it");
        assert_eq!(fresh(), [] as [PathBuf; 0]);
        let partition = sys.path().join("devices").join(disk).join("null/zero");
        fs::create_dir(&partition).unwrap();
        fs::write(partition.join("partition"), "1\n").unwrap();
        assert_eq!(fresh(), [Path::new("/dev/zero")]);
        assert_eq!(fresh(), [] as [PathBuf; 0]);
        fs::remove_file(sys.path().join("block/null")).unwrap();
        assert_eq!(fresh(), [] as [PathBuf; 0]);
        plug(sys.path(), "pci0000:00/usb1/1-2/1-2:1.0/host0/block", "null", "1\n");
        assert_eq!(fresh(), [Path::new("/dev/null")], "another stick");
    }

    #[test]
    fn a_disk_that_cannot_be_had_alone_has_no_volumes() {
        let disk =
            |name: &str| Disk { folder: "/nowhere".into(), name: name.to_owned(), sequence: String::new() };
        assert_eq!(disk("no-such-disk").volumes(), [] as [PathBuf; 0]);
        assert_eq!(disk("null").volumes(), [Path::new("/dev/null")]);
    }
}
