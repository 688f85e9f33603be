//! The TUN device: opened, made to outlive the process, read and written one packet a call. It is not
//! given addresses and not brought up here.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use super::TunnelError;

/// `IFNAMSIZ`: the kernel's room for a device name, its closing zero included.
const NAME_ROOM: usize = 16;

/// `IFF_TUN | IFF_NO_PI`, in the 16 bits that they have in `struct ifreq`.
const FLAGS: libc::c_short = 0x1001;

/// A TUN device without packet headers (`IFF_NO_PI`), non-blocking.
#[derive(Debug)]
pub(super) struct Tun {
    file: File,
}

impl Tun {
    /// Creates `device` in this thread's network namespace, or attaches to the one that is there, and makes
    /// it persistent.
    pub(super) fn open(device: &str) -> Result<Tun, TunnelError> {
        let mut request = Request::named(device)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .map_err(TunnelError::NoTun)?;
        attach(&file, &mut request)
            .map_err(|errno| TunnelError::Device { device: device.to_owned(), source: errno.into() })?;
        Ok(Tun { file })
    }

    /// One packet into `buffer`, or `None` when none is waiting. An error means that the device is gone.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.file).read(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Hands one packet to the kernel. It refuses while the device is down.
    pub(super) fn write(&self, packet: &[u8]) -> io::Result<()> {
        (&self.file).write_all(packet)
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

/// The two calls of `linux/if_tun.h`; both are declared to take an int there, whatever they really take.
mod ioctl {
    nix::ioctl_readwrite_bad!(
        tunsetiff,
        nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()),
        super::Request
    );
    nix::ioctl_write_int_bad!(tunsetpersist, nix::request_code_write!(b'T', 203, size_of::<libc::c_int>()));
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
        assert_eq!(i32::from(request.flags), libc::IFF_TUN | libc::IFF_NO_PI);
        assert!(size_of::<Request>() >= size_of::<libc::ifreq>());
    }
}
