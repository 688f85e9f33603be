//! Whether what is written into a folder outlasts the power, or is in memory alone: init puts a file system of that kind in
//! the place of a partition that is lost.

use std::io;
use std::path::Path;

use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};

/// `linux/magic.h`; nix does not have it.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

pub fn is_in_memory(folder: &Path) -> io::Result<bool> {
    let kind = statfs(folder)?.filesystem_type();
    Ok([TMPFS_MAGIC, RAMFS_MAGIC].contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_memory_from_everything_else() {
        assert!(is_in_memory(Path::new("/dev/shm")).unwrap());
        assert!(!is_in_memory(Path::new("/proc")).unwrap());
        assert!(is_in_memory(Path::new("/nowhere")).is_err());
    }
}
