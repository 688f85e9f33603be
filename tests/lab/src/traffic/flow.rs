//! One flow of the load: a non-blocking socket, how its packets are shaped, and the count of what went and came.

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::SystemTime;

use nix::libc::EINPROGRESS;
use socket2::{Domain, Protocol, Socket, Type};

use super::shape;
use super::{Answer, FlowReport, Kind, Line};
use crate::packet::Tag;

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) number: u32,
    pub(super) report: FlowReport,
    socket: Socket,
    /// By which a client objects to what it gets by the other one.
    icmp: Option<Socket>,
    /// The beginning of an answer whose rest has not come yet: TCP knows no records.
    rest: Vec<u8>,
}

impl Flow {
    /// Opens the flow without waiting for anybody's answer.
    pub(super) fn open(line: Line, now: SystemTime) -> io::Result<Self> {
        let socket = connected(line, socket_type(line.kind), protocol(line))?;
        if line.kind == Kind::LastHop {
            match line.target {
                SocketAddr::V4(_) => socket.set_ttl_v4(1)?,
                SocketAddr::V6(_) => socket.set_unicast_hops_v6(1)?,
            }
        }
        let icmp = if line.kind == Kind::Objection {
            let protocol = shape::icmp_protocol(line.target.is_ipv4());
            Some(connected(line, Type::RAW, Some(i32::from(protocol).into()))?)
        } else {
            None
        };
        let report = FlowReport { line, opened: now, sent: 0, answered: 0, last_answered: None };
        Ok(Self { number: Tag::new_flow(), report, socket, icmp, rest: Vec::new() })
    }

    /// Sends the next packet, unless the connection is not ready for one. An error means the network has refused
    /// the flow.
    pub(super) fn send(&mut self, now: SystemTime) -> io::Result<()> {
        let sequence = u32::try_from(self.report.sent).map_err(io::Error::other)?;
        let payload = Tag { flow: self.number, sequence }.payload(now);
        let packet = self.shaped(sequence, &payload);
        match self.socket.send(&packet) {
            Ok(length) if length == packet.len() => {
                self.report.sent += 1;
                self.object(&payload)
            }
            Ok(_) => Err(ErrorKind::WriteZero.into()),
            Err(error) if is_not_yet(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low bits are enough for an identifier and a count"
    )]
    fn shaped(&self, sequence: u32, payload: &[u8; Tag::LENGTH]) -> Vec<u8> {
        let Line { kind, target } = self.report.line;
        match kind {
            Kind::Ping => shape::echo_request(target.ip(), self.number as u16, sequence as u16, payload),
            Kind::Esp => shape::esp(self.number, sequence, payload),
            Kind::Gre => shape::gre(payload),
            Kind::Sctp => shape::sctp_init(self.number as u16, self.number, payload),
            Kind::LongUdp
            | Kind::NewUdp
            | Kind::NewTcp
            | Kind::LongTcp
            | Kind::OnePort
            | Kind::PendingSyn
            | Kind::Objection
            | Kind::LastHop
            | Kind::BigAnswer
            | Kind::DyingAnswer => payload.to_vec(),
        }
    }

    fn object(&self, payload: &[u8; Tag::LENGTH]) -> io::Result<()> {
        let Some(icmp) = &self.icmp else { return Ok(()) };
        let client = self.socket.local_addr()?.as_socket().ok_or(ErrorKind::AddrNotAvailable)?;
        icmp.send(&shape::objection(self.report.line.target, client, payload)).map(drop)
    }

    /// Takes the answers that have come. An error means the network has refused the flow or the server has hung up.
    pub(super) fn collect(&mut self, answers: &mut Vec<Answer>) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match (&self.socket).read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) if is_stream(self.report.line.kind) => {
                    self.take_stream(&buffer[..length], answers);
                }
                Ok(length) => self.take(Tag::read_behind_headers(&buffer[..length]), answers),
                Err(error) if is_not_yet(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn take_stream(&mut self, bytes: &[u8], answers: &mut Vec<Answer>) {
        self.rest.extend_from_slice(bytes);
        while let Some((record, after)) = self.rest.split_first_chunk::<{ Tag::LENGTH }>() {
            let tag = Tag::read(record);
            self.rest = after.to_vec();
            self.take(tag, answers);
        }
    }

    fn take(&mut self, tag: Option<(Tag, SystemTime)>, answers: &mut Vec<Answer>) {
        let received = SystemTime::now();
        if let Some((_, sent)) = tag.filter(|(tag, _)| tag.flow == self.number) {
            self.report.answered += 1;
            self.report.last_answered = Some(received);
            answers.push(Answer { flow: self.number, line: self.report.line, sent, received });
        }
    }
}

pub(super) fn is_stream(kind: Kind) -> bool {
    socket_type(kind) == Type::STREAM
}

fn socket_type(kind: Kind) -> Type {
    match kind {
        Kind::LongTcp | Kind::NewTcp | Kind::PendingSyn => Type::STREAM,
        Kind::Ping | Kind::Esp | Kind::Gre | Kind::Sctp => Type::RAW,
        Kind::LongUdp
        | Kind::NewUdp
        | Kind::OnePort
        | Kind::Objection
        | Kind::LastHop
        | Kind::BigAnswer
        | Kind::DyingAnswer => Type::DGRAM,
    }
}

/// What a raw socket must be told; the others know.
fn protocol(line: Line) -> Option<Protocol> {
    let number = match line.kind {
        Kind::Ping => shape::icmp_protocol(line.target.is_ipv4()),
        Kind::Esp => shape::ESP,
        Kind::Gre => shape::GRE,
        Kind::Sctp => shape::SCTP,
        Kind::LongUdp
        | Kind::NewUdp
        | Kind::NewTcp
        | Kind::LongTcp
        | Kind::OnePort
        | Kind::PendingSyn
        | Kind::Objection
        | Kind::LastHop
        | Kind::BigAnswer
        | Kind::DyingAnswer => return None,
    };
    Some(i32::from(number).into())
}

fn connected(line: Line, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(line.target), kind, protocol)?;
    socket.set_nonblocking(true)?;
    if kind == Type::STREAM {
        socket.set_tcp_nodelay(true)?;
    }
    if line.kind == Kind::OnePort {
        socket.bind(&a_port_for_life(line.target).into())?;
    }
    match socket.connect(&line.target.into()) {
        Err(error) if error.raw_os_error() != Some(EINPROGRESS) => Err(error),
        Ok(()) | Err(_) => Ok(socket),
    }
}

/// Below those that the kernel gives away: of a port that it gave to a flow of a moment ago, the box knows that flow still, and
/// refuses this one for life by another door.
pub fn a_port_for_life(target: SocketAddr) -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    let any = match target {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(any, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A full buffer, nothing to read, or a connection still being made.
fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}
