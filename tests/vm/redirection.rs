//! The far end of QEMU's usb-redir: one device with nothing but its control pipe, spoken as usbredir 0.13 has it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use anyhow::{Result, bail};

/// Packets (usb-redir-protocol, "packet types").
const HELLO: u32 = 0;
const DEVICE_CONNECT: u32 = 1;
const INTERFACE_INFO: u32 = 4;
const EP_INFO: u32 = 5;
const SET_CONFIGURATION: u32 = 6;
const GET_CONFIGURATION: u32 = 7;
const CONFIGURATION_STATUS: u32 = 8;
const SET_ALT_SETTING: u32 = 9;
const GET_ALT_SETTING: u32 = 10;
const ALT_SETTING_STATUS: u32 = 11;
const CONTROL: u32 = 100;

/// What QEMU's xHCI insists on: the device's version, packet sizes, long identifiers, long lengths, and what goes with them.
const ABILITIES: u32 = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7;
const LONG_IDS: u32 = 1 << 5;
const HELLO_LENGTH: usize = 64;

const VENDOR: u16 = 0x0403;
const PRODUCT: u16 = 0xc631;
const VERSION: u16 = 0x0205;
/// The largest packet of its control pipe.
const PACKET: u16 = 8;
const STALL: u8 = 4;
const FULL_SPEED: u8 = 1;

/// A control transfer's setup packet (USB 2.0, 9.3).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    endpoint: u8,
    pub(crate) code: u8,
    kind: u8,
    pub(crate) value: u16,
    pub(crate) index: u16,
    pub(crate) length: u16,
}

/// What comes back, to a reader.
#[derive(Debug)]
pub(crate) enum Answer {
    Bytes(Vec<u8>),
    Stalled,
}

/// What makes it this device and no other.
pub(crate) trait Device {
    fn vendor(&mut self, request: &Request, data: &[u8]) -> Answer;
}

impl Request {
    fn parse(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let [endpoint, code, kind, _, v0, v1, i0, i1, l0, l1, data @ ..] = bytes else {
            bail!("a control packet of {} bytes", bytes.len());
        };
        let word = |low: &u8, high: &u8| u16::from_le_bytes([*low, *high]);
        let (value, index, length) = (word(v0, v1), word(i0, i1), word(l0, l1));
        Ok((Self { endpoint: *endpoint, code: *code, kind: *kind, value, index, length }, data))
    }

    pub(crate) fn reads(&self) -> bool {
        self.kind & 0x80 != 0
    }

    fn is_vendors(&self) -> bool {
        self.kind & 0x60 == 0x40
    }
}

/// Until the stream ends, which is the device pulled out.
pub(crate) fn serve(stream: UnixStream, device: &mut impl Device) -> Result<()> {
    let mut link = Link { stream, long_ids: false };
    let mut hello = [0; HELLO_LENGTH].to_vec();
    hello.extend(ABILITIES.to_le_bytes());
    link.send(HELLO, 0, &hello)?;
    while let Some((kind, id, body)) = link.receive()? {
        match kind {
            HELLO => link.introduce(&body)?,
            SET_CONFIGURATION => link.send(CONFIGURATION_STATUS, id, &[0, body[0]])?,
            GET_CONFIGURATION => link.send(CONFIGURATION_STATUS, id, &[0, 1])?,
            SET_ALT_SETTING => link.send(ALT_SETTING_STATUS, id, &[0, body[0], body[1]])?,
            GET_ALT_SETTING => link.send(ALT_SETTING_STATUS, id, &[0, body[0], 0])?,
            CONTROL => link.control(id, &body, device)?,
            // Resets, filters, cancelled transfers: nothing of it changes this device.
            _ => {}
        }
    }
    Ok(())
}

struct Link {
    stream: UnixStream,
    long_ids: bool,
}

impl Link {
    /// Says what the device is, in the order that QEMU wants it.
    fn introduce(&mut self, hello: &[u8]) -> Result<()> {
        let Some(abilities) = hello.get(HELLO_LENGTH..).and_then(<[u8]>::first_chunk) else {
            bail!("QEMU's usb-redir is older than its abilities");
        };
        self.long_ids = u32::from_le_bytes(*abilities) & LONG_IDS != 0;
        // By endpoint, those in after those out: kinds (control, or none), intervals, interfaces, largest packets.
        let mut endpoints = [0xff; 32].to_vec();
        (endpoints[0], endpoints[16]) = (0, 0);
        endpoints.extend([0; 64]);
        for endpoint in 0..32 {
            endpoints.extend(if endpoint % 16 == 0 { PACKET } else { 0 }.to_le_bytes());
        }
        self.send(EP_INFO, 0, &endpoints)?;
        // One interface, of its vendor's class.
        let mut interfaces = [0; 4 + 4 * 32];
        (interfaces[0], interfaces[4 + 32]) = (1, 0xff);
        self.send(INTERFACE_INFO, 0, &interfaces)?;
        let words = [VENDOR, PRODUCT, VERSION].map(u16::to_le_bytes).concat();
        self.send(DEVICE_CONNECT, 0, &[&[FULL_SPEED, 0xff, 0, 0], &words[..]].concat())
    }

    fn control(&mut self, id: u64, body: &[u8], device: &mut impl Device) -> Result<()> {
        let (request, data) = Request::parse(body)?;
        let answer = if request.is_vendors() { device.vendor(&request, data) } else { standard(&request) };
        let (status, mut bytes) = match answer {
            Answer::Bytes(bytes) => (0, bytes),
            Answer::Stalled => (STALL, Vec::new()),
        };
        bytes.truncate(usize::from(request.length));
        let length = if request.reads() { u16::try_from(bytes.len())? } else { request.length };
        let mut told = vec![request.endpoint, request.code, request.kind, status];
        told.extend([request.value, request.index, length].map(u16::to_le_bytes).concat());
        if request.reads() {
            told.extend(bytes);
        }
        self.send(CONTROL, id, &told)
    }

    fn send(&mut self, kind: u32, id: u64, body: &[u8]) -> Result<()> {
        let mut packet = kind.to_le_bytes().to_vec();
        packet.extend(u32::try_from(body.len())?.to_le_bytes());
        let id = id.to_le_bytes();
        packet.extend(if self.long_ids { &id[..] } else { &id[..4] });
        packet.extend(body);
        match self.stream.write_all(&packet) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// Kind, identifier and body of the next packet.
    fn receive(&mut self) -> Result<Option<(u32, u64, Vec<u8>)>> {
        let mut head = [0; 16];
        let length = if self.long_ids { 16 } else { 12 };
        match self.stream.read_exact(&mut head[..length]) {
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                return Ok(None);
            }
            read => read?,
        }
        let [kind, size, ..] = [&head[..4], &head[4..8]].map(|word| word.try_into().map(u32::from_le_bytes));
        let id = u64::from_le_bytes(head[8..].try_into()?);
        let mut body = vec![0; usize::try_from(size?)?];
        self.stream.read_exact(&mut body)?;
        Ok(Some((kind?, id, body)))
    }
}

/// USB 2.0, 9.4 to 9.6.
fn standard(request: &Request) -> Answer {
    const GET_STATUS: u8 = 0;
    const GET_DESCRIPTOR: u8 = 6;
    let [index, kind] = request.value.to_le_bytes();
    match (request.code, kind, index) {
        (GET_STATUS, _, _) => Answer::Bytes(vec![0, 0]),
        (GET_DESCRIPTOR, 1, _) => {
            let words = [VENDOR, PRODUCT, VERSION].map(u16::to_le_bytes).concat();
            let (before, after) = ([18, 1, 0x10, 0x01, 0xff, 0, 0, 8], [1, 2, 0, 1]);
            Answer::Bytes([&before[..], &words, &after].concat())
        }
        (GET_DESCRIPTOR, 2, _) => {
            let configuration = [9, 2, 18, 0, 1, 1, 0, 0x80, 50];
            let interface = [9, 4, 0, 0, 0, 0xff, 0, 0, 0];
            Answer::Bytes([configuration, interface].concat())
        }
        (GET_DESCRIPTOR, 3, 0) => Answer::Bytes(vec![4, 3, 0x09, 0x04]),
        (GET_DESCRIPTOR, 3, name) => {
            let name = if name == 1 { "byway" } else { "i2c-tiny-usb" };
            let letters: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let length = u8::try_from(letters.len() + 2).unwrap_or(u8::MAX);
            Answer::Bytes([&[length, 3][..], &letters].concat())
        }
        (GET_DESCRIPTOR, _, _) => Answer::Stalled,
        _ => Answer::Bytes(Vec::new()),
    }
}
