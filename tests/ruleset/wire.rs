//! An interface of the box whose other end the test holds: what is written here arrives at the box, what the box
//! sends there is read here. It does not know what a packet is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// Larger than any packet here.
const ROOM: usize = 4096;
/// Before each packet: `struct virtio_net_hdr`, by which one stands for many.
pub(crate) const OFFLOAD: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// IP packets.
    Tun,
    /// Ethernet frames.
    Tap,
}

#[derive(Debug)]
pub(crate) struct Wire {
    file: File,
}

impl Wire {
    /// Makes the interface, in the calling thread's network namespace; it ends with this.
    pub(crate) fn new(name: &str, kind: Kind) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
        let flag = match kind {
            Kind::Tun => libc::IFF_TUN,
            Kind::Tap => libc::IFF_TAP,
        };
        let mut request = Request {
            name: [0; libc::IFNAMSIZ],
            flags: flag | libc::IFF_NO_PI | libc::IFF_VNET_HDR,
            rest: [0; 20],
        };
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        attach(&file, &mut request)?;
        Ok(Self { file })
    }

    /// The packet arrives at the box, which has dealt with it when this returns.
    pub(crate) fn put(&self, bytes: &[u8]) -> io::Result<()> {
        self.put_many([0; OFFLOAD], bytes)
    }

    /// Many packets in one.
    pub(crate) fn put_many(&self, offload: [u8; OFFLOAD], bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(&[offload.as_slice(), bytes].concat())
    }

    /// What the box has sent there and nobody has read yet; the kernel was not told that many may come in one.
    pub(crate) fn take(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut taken = Vec::new();
        loop {
            let mut bytes = vec![0; ROOM];
            match (&self.file).read(&mut bytes) {
                Ok(length) => {
                    taken.push(bytes[OFFLOAD..length].to_vec());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(taken),
                Err(error) => return Err(error),
            }
        }
    }
}

/// `struct ifreq` as TUNSETIFF uses it. The flags have 16 bits there; none of ours is higher, and the machine is
/// little-endian.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_int,
    rest: [u8; 20],
}

// It is declared to take an int (linux/if_tun.h), whatever it really takes.
nix::ioctl_readwrite_bad!(tunsetiff, nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()), Request);

#[expect(unsafe_code, reason = "no safe wrapper for the TUN driver's ioctl exists")]
fn attach(file: &File, request: &mut Request) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as `file` is borrowed; TUNSETIFF reads and writes a `struct ifreq`,
    // which `Request` is as large as, and keeps no pointer.
    unsafe { tunsetiff(file.as_raw_fd(), request) }?;
    Ok(())
}
