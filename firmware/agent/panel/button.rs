//! The button: the kernel's `gpio-keys` by its event device, found by name. Tells edges by the kernel's own time, so that
//! no busy moment of ours makes a press longer; what they mean is decided in [`byway_core::panel`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use byway_core::Uptime;
use byway_core::panel::Edge;
use nix::fcntl::OFlag;
use nix::libc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};

use crate::clock;

/// As the overlay calls it (`overlays/devicetree/byway-panel.dts`).
const NAME: &str = "byway-button";
/// Between two looks for it.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// `struct input_event` of `linux/input.h`: two words of time, then type, code and value.
const RECORD: usize = size_of::<libc::input_event>();
/// Of `linux/input-event-codes.h`.
const EV_SYN: u64 = 0;
const SYN_DROPPED: u64 = 3;
const EV_KEY: u64 = 1;
/// A bit a key.
const KEYS: usize = libc::KEY_MAX as usize / 8 + 1;

pub(super) struct Button {
    places: Places,
    device: Option<Device>,
    /// When it is looked for again.
    look: Instant,
}

/// Where the kernel keeps event devices.
pub(super) struct Places {
    /// `/sys/class/input`
    pub(super) class: PathBuf,
    /// `/dev/input`
    pub(super) devices: PathBuf,
}

struct Device {
    file: AsyncFd<File>,
    /// Read, and not told yet.
    records: Vec<u8>,
}

impl Button {
    pub(super) fn at(places: Places) -> Self {
        Self { places, device: None, look: Instant::now() }
    }

    pub(super) const fn is_there(&self) -> bool {
        self.device.is_some()
    }

    /// The next edge and when it was; never an end. May be dropped and called anew at any time.
    pub(super) async fn next(&mut self) -> (Uptime, Edge) {
        let told = match &mut self.device {
            Some(device) => device.next().await,
            None => return self.found().await,
        };
        told.unwrap_or_else(|error| {
            tracing::warn!("the button is lost: {error}");
            self.device = None;
            (clock::uptime(), Edge::Lost)
        })
    }

    async fn found(&mut self) -> (Uptime, Edge) {
        loop {
            sleep_until(self.look).await;
            self.look = Instant::now() + LOOK_EVERY;
            match self.places.find() {
                Ok((device, down)) => {
                    tracing::info!("the button is {NAME}");
                    self.device = Some(device);
                    return (clock::uptime(), Edge::Found { down });
                }
                Err(error) => tracing::debug!("no button: {error}"),
            }
        }
    }
}

impl Places {
    fn find(&self) -> io::Result<(Device, bool)> {
        for entry in fs::read_dir(&self.class)?.flatten() {
            let name = fs::read_to_string(entry.path().join("device/name")).unwrap_or_default();
            let file = entry.file_name();
            if name.trim_end() == NAME && file.as_encoded_bytes().starts_with(b"event") {
                return Device::open(&self.devices.join(file));
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("no input device is called {NAME}")))
    }
}

impl Device {
    /// With whether a key is down.
    fn open(path: &Path) -> io::Result<(Self, bool)> {
        let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        tell_time_since_boot(&file)?;
        let down = is_down(&file)?;
        #[expect(unsafe_code, reason = "tokio cannot know that a file keeps its descriptor")]
        // SAFETY: a `File` has one descriptor, from its opening until it is dropped.
        let file = unsafe { AsyncFd::register_with_interest(file, Interest::READABLE)? };
        Ok((Self { file, records: Vec::new() }, down))
    }

    async fn next(&mut self) -> io::Result<(Uptime, Edge)> {
        loop {
            while self.records.len() >= RECORD {
                let record: Vec<u8> = self.records.drain(..RECORD).collect();
                match Told::read(&record) {
                    Told::Edge(at, edge) => return Ok((at, edge)),
                    Told::Dropped(at) => {
                        return Ok((at, Edge::Found { down: is_down(self.file.get_ref())? }));
                    }
                    Told::Nothing => {}
                }
            }
            let mut ready = self.file.readable().await?;
            let mut buffer = [0; 16 * RECORD];
            match ready.try_io(|file| file.get_ref().read(&mut buffer)) {
                Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.records.extend_from_slice(&buffer[..length?]),
                Err(_would_block) => {}
            }
        }
    }
}

/// What a record says.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Edge(Uptime, Edge),
    /// There were more than the kernel keeps; how the key is now has to be asked.
    Dropped(Uptime),
    /// A report's end, or a key that repeats itself.
    Nothing,
}

impl Told {
    fn read(record: &[u8]) -> Self {
        let (time, what) = record.split_at(RECORD - 8);
        let (seconds, micros) = time.split_at(time.len() / 2);
        let since_boot = Duration::from_secs(number(seconds)) + Duration::from_micros(number(micros));
        let at = Uptime::since_boot(since_boot);
        match (number(&what[..2]), number(&what[2..4]), number(&what[4..])) {
            (EV_SYN, SYN_DROPPED, _) => Self::Dropped(at),
            (EV_KEY, _, 0) => Self::Edge(at, Edge::Up),
            (EV_KEY, _, 1) => Self::Edge(at, Edge::Down),
            _ => Self::Nothing,
        }
    }
}

/// In the machine's own order.
fn number(bytes: &[u8]) -> u64 {
    let (mut wide, at) = ([0; 8], if cfg!(target_endian = "little") { 0 } else { 8 - bytes.len() });
    wide[at..at + bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(wide)
}

mod ioctl {
    use nix::libc::c_int;

    nix::ioctl_write_ptr!(eviocsclockid, b'E', 0xa0, c_int);
    nix::ioctl_read_buf!(eviocgkey, b'E', 0x18, u8);
}

/// Else a clock that is set while somebody presses makes the press last for years.
fn tell_time_since_boot(file: &File) -> io::Result<()> {
    #[expect(unsafe_code, reason = "no safe wrapper for the event device's ioctls exists")]
    // SAFETY: the descriptor is open as long as `file` is borrowed; EVIOCSCLOCKID reads a number and keeps no pointer.
    unsafe {
        ioctl::eviocsclockid(file.as_raw_fd(), &libc::CLOCK_BOOTTIME)?;
    }
    Ok(())
}

/// Whether any of its keys is, now.
fn is_down(file: &File) -> io::Result<bool> {
    let mut keys = [0; KEYS];
    #[expect(unsafe_code, reason = "no safe wrapper for the event device's ioctls exists")]
    // SAFETY: the descriptor is open as long as `file` is borrowed; EVIOCGKEY writes no more than the buffer's length,
    // which is part of the call.
    unsafe {
        ioctl::eviocgkey(file.as_raw_fd(), &mut keys)?;
    }
    Ok(keys.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(micros: u64, kind: u16, code: u16, value: i32) -> Vec<u8> {
        let time = [micros / 1_000_000, micros % 1_000_000].map(u64::to_ne_bytes).concat();
        [&time[..], &kind.to_ne_bytes(), &code.to_ne_bytes(), &value.to_ne_bytes()].concat()
    }

    #[test]
    fn a_record_is_an_edge_by_the_kernels_time() {
        let at = Uptime::since_boot(Duration::from_micros(7_000_250));
        let told = |kind, code, value| Told::read(&record(7_000_250, kind, code, value));
        assert_eq!(told(1, 0x101, 1), Told::Edge(at, Edge::Down));
        assert_eq!(told(1, 0x101, 0), Told::Edge(at, Edge::Up));
        assert_eq!(told(1, 0x101, 2), Told::Nothing, "a key that repeats itself");
        assert_eq!(told(0, 0, 0), Told::Nothing, "a report's end");
        assert_eq!(told(0, 3, 0), Told::Dropped(at));
    }

    #[test]
    fn the_button_is_found_by_its_name_among_other_devices() {
        let [class, devices] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for (node, name) in [("event0", "gpio-keyboard"), ("mouse1", NAME), ("event2", NAME)] {
            let folder = class.path().join(node).join("device");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("name"), format!("{name}\n")).unwrap();
        }
        let places = Places { class: class.path().to_owned(), devices: devices.path().to_owned() };
        let error = |places: &Places| places.find().err().expect("a file is no event device").to_string();
        assert!(error(&places).contains("No such file"), "{}", error(&places));
        fs::write(devices.path().join("event2"), "").unwrap();
        assert!(error(&places).contains("ioctl"), "{}", error(&places));
        fs::remove_dir_all(class.path().join("event2")).unwrap();
        assert!(error(&places).contains(NAME), "{}", error(&places));
    }
}
