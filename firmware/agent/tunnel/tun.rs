//! The TUN device: opened with all the offloads that the kernel knows, made to outlive the process, read and written
//! in super-packets with their virtio headers. It is not given addresses and not brought up here.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use super::TunnelError;
use super::packet::coalesce::{MOST_PARTS, Write};

/// `IFNAMSIZ`: the kernel's room for a device name, its closing zero included.
const NAME_ROOM: usize = 16;

/// `IFF_TUN | IFF_NO_PI | IFF_VNET_HDR`, in the 16 bits that they have in `struct ifreq`.
const FLAGS: libc::c_short = 0x5001;

/// A TUN device without packet information (`IFF_NO_PI`), with a virtio header before each packet, non-blocking.
#[derive(Debug)]
pub struct Tun {
    file: File,
    offloads: TunOffloads,
}

/// What the kernel leaves uncut for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunOffloads {
    pub tso: bool,
    /// Since Linux 6.2; without it the kernel takes no UDP super-packets either.
    pub uso: bool,
}

impl Tun {
    /// Creates `device` in this thread's network namespace, or attaches to the one that is there, and makes
    /// it persistent.
    pub fn open(device: &str) -> Result<Tun, TunnelError> {
        let mut request = Request::named(device)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .map_err(TunnelError::NoTun)?;
        attach(&file, &mut request)
            .map_err(|errno| TunnelError::Device { device: device.to_owned(), source: errno.into() })?;
        let offloads = offload(&file);
        Ok(Tun { file, offloads })
    }

    pub fn offloads(&self) -> TunOffloads {
        self.offloads
    }

    /// One packet or super-packet with its virtio header into `buffer`, or `None` when none is waiting. An error
    /// means that the device is gone.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.file).read(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Hands what lies in `arena` to the kernel. It refuses while the device is down.
    pub fn write(&self, write: &Write<'_>, arena: &[u8]) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); 1 + MOST_PARTS];
        slices[0] = IoSlice::new(&write.header);
        for (slice, part) in slices[1..].iter_mut().zip(write.parts) {
            *slice = IoSlice::new(&arena[part.clone()]);
        }
        (&self.file).write_vectored(&slices[..=write.parts.len()]).map(drop)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The part of `struct ifreq` that TUNSETIFF looks at, padded to the size of the whole.
#[repr(C)]
struct Request {
    name: [u8; NAME_ROOM],
    flags: libc::c_short,
    rest: [u8; 22],
}

impl Request {
    fn named(device: &str) -> Result<Request, TunnelError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = (1..NAME_ROOM).contains(&device.len()) && device != "." && device != "..";
        if !fits || !device.bytes().all(plain) {
            return Err(TunnelError::Name(device.to_owned()));
        }
        let mut name = [0; NAME_ROOM];
        name[..device.len()].copy_from_slice(device.as_bytes());
        Ok(Request { name, flags: FLAGS, rest: [0; 22] })
    }
}

/// The calls of `linux/if_tun.h`; all are declared to take an int there, whatever they really take.
mod ioctl {
    const INT: usize = size_of::<libc::c_int>();
    nix::ioctl_readwrite_bad!(tunsetiff, nix::request_code_write!(b'T', 202, INT), super::Request);
    nix::ioctl_write_int_bad!(tunsetpersist, nix::request_code_write!(b'T', 203, INT));
    nix::ioctl_write_int_bad!(tunsetoffload, nix::request_code_write!(b'T', 208, INT));
}

#[expect(unsafe_code, reason = "no safe wrapper for the TUN driver's ioctls exists")]
fn attach(file: &File, request: &mut Request) -> nix::Result<()> {
    // SAFETY: the descriptor is open as long as `file` is borrowed. TUNSETIFF reads a `struct ifreq` and
    // writes it back, and `Request`, borrowed for writing, is at least as large; TUNSETPERSIST takes a
    // number. Neither keeps a pointer.
    unsafe {
        ioctl::tunsetiff(file.as_raw_fd(), request)?;
        ioctl::tunsetpersist(file.as_raw_fd(), 1)?;
    }
    Ok(())
}

/// As much as the kernel takes; without any, it cuts and sums for us as ever.
fn offload(file: &File) -> TunOffloads {
    const CHECKSUM: libc::c_int = 0x01;
    const TSO: libc::c_int = 0x02 | 0x04;
    const USO: libc::c_int = 0x20 | 0x40;
    let all = TunOffloads { tso: true, uso: true };
    for (flags, offloads) in
        [(CHECKSUM | TSO | USO, all), (CHECKSUM | TSO, TunOffloads { uso: false, ..all })]
    {
        #[expect(unsafe_code, reason = "no safe wrapper for the TUN driver's ioctls exists")]
        // SAFETY: the descriptor is open as long as `file` is borrowed; TUNSETOFFLOAD takes a number.
        let result = unsafe { ioctl::tunsetoffload(file.as_raw_fd(), flags) };
        if result.is_ok() {
            return offloads;
        }
    }
    TunOffloads::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_name_that_the_kernel_would_cut_or_expand() {
        for name in ["", "sixteen-letters-", "wg%d", "a/b", "..", "wg 0"] {
            assert!(matches!(Request::named(name), Err(TunnelError::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn takes_a_name_of_fifteen_letters() {
        let request = Request::named("fifteen-letters").unwrap();
        assert_eq!(&request.name, b"fifteen-letters\0");
        assert_eq!(i32::from(request.flags), libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR);
        assert!(size_of::<Request>() >= size_of::<libc::ifreq>());
    }
}
