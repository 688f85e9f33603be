//! Reads what somebody else has put there, and writes so that the power may go at any moment. Decides nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// No configuration is longer, and none of the files that it names.
const LONGEST: u64 = 256 << 10;

/// What went wrong, and with which file.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub path: PathBuf,
    pub cause: String,
}

/// Text of a plain file: no link's target, no pipe's, and not more than a configuration is.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = open.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => io::Error::other("it is a link: put the file itself in its place"),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file: put one in its place"));
    }
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 256 KiB: it is another kind of file"));
    }
    Ok(text)
}

/// The old content or the new, whenever the power goes.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fresh = with_end(path, ".new");
    let put = write_synced(&fresh, bytes).and_then(|()| rename(&fresh, path));
    if put.is_err() {
        remove(&fresh);
    }
    put
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    power::step().and_then(|()| fs::rename(from, to)).map_err(at(to))
}

/// Half of a file is of no use, and takes the room that the next try needs.
pub(super) fn remove(path: &Path) {
    _ = power::step().and_then(|()| fs::remove_file(path));
}

/// For root alone.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut open = OpenOptions::new();
    let file =
        power::step().and_then(|()| open.write(true).create(true).truncate(true).mode(0o600).open(path));
    let written = file.and_then(|mut file| write(&mut file, bytes).and_then(|()| file.sync_all()));
    written.map_err(at(path))
}

/// Into a plain file alone, where it stands, so that nothing of what was there before is left beside it. A power cut
/// leaves the old text, the new one, or one with zeros in it, which is no configuration: never a mixture of the two.
pub(super) fn overwrite(path: &Path, text: &str) -> Result<(), Failure> {
    let overwrite = || {
        power::step()?;
        let mut open = OpenOptions::new();
        let open = open.write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut file = open.open(path)?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        write(&mut file, &vec![0; length])?;
        file.sync_all()?;
        file.rewind()?;
        write(&mut file, text.as_bytes())?;
        power::step()?;
        file.set_len(text.len() as u64)?;
        file.sync_all()
    };
    overwrite().map_err(at(path))
}

/// Into a plain file alone, whatever was there before.
pub(super) fn answer(path: &Path, text: &str) -> io::Result<()> {
    power::step()?;
    let mut open = OpenOptions::new();
    let open = open.write(true).create(true).truncate(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut file = open.open(path)?;
    write(&mut file, text.as_bytes())?;
    file.sync_all()
}

/// Everything that was written to the disk of this folder is there when it returns.
pub(super) fn flush(folder: &Path) -> Result<(), Failure> {
    let flush = || nix::unistd::syncfs(File::open(folder)?).map_err(io::Error::from);
    flush().map_err(at(folder))
}

pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> Failure {
    let path = path.to_owned();
    move |cause| Failure { path: path.clone(), cause: cause.to_string() }
}

/// In two parts, between which the power may go.
fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    power::step()?;
    file.write_all(second)
}

#[cfg(not(test))]
mod power {
    /// Between two steps the power may go.
    #[expect(clippy::unnecessary_wraps, reason = "in tests it goes")]
    pub(super) const fn step() -> std::io::Result<()> {
        Ok(())
    }
}

/// Lets the power go between two steps, on this thread.
#[cfg(test)]
pub(super) mod power {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        /// Steps that are left; `None`: the power stays.
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Does as much of it as comes before the cut, and tells whether that was all.
    pub(in super::super) fn cut_after(steps: u32, work: impl FnOnce()) -> bool {
        LEFT.set(Some(steps));
        work();
        LEFT.take() != Some(0)
    }

    pub(in super::super) fn is_on() -> bool {
        LEFT.get() != Some(0)
    }

    pub(super) fn step() -> io::Result<()> {
        match LEFT.get() {
            Some(0) => Err(io::Error::other("the power is gone")),
            left => {
                LEFT.set(left.map(|left| left - 1));
                Ok(())
            }
        }
    }
}
