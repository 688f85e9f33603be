//! One UDP flow or TCP connection of the load: a non-blocking socket, and the count of what went and came.

use std::io::{self, ErrorKind, Read};
use std::time::SystemTime;

use nix::libc::EINPROGRESS;
use socket2::{Domain, Socket, Type};

use super::{Answer, FlowReport, Kind, Line};
use crate::packet::Tag;

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) number: u32,
    pub(super) report: FlowReport,
    socket: Socket,
    /// The beginning of an answer whose rest has not come yet: TCP knows no records.
    rest: Vec<u8>,
}

impl Flow {
    /// Opens the flow without waiting for anybody's answer.
    pub(super) fn open(line: Line, now: SystemTime) -> io::Result<Self> {
        let kind = match line.kind {
            Kind::LongUdp | Kind::NewUdp => Type::DGRAM,
            Kind::LongTcp | Kind::NewTcp => Type::STREAM,
        };
        let socket = Socket::new(Domain::for_address(line.target), kind, None)?;
        socket.set_nonblocking(true)?;
        if kind == Type::STREAM {
            socket.set_tcp_nodelay(true)?;
        }
        match socket.connect(&line.target.into()) {
            Err(error) if error.raw_os_error() != Some(EINPROGRESS) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let report = FlowReport { line, opened: now, sent: 0, answered: 0, last_answered: None };
        Ok(Self { number: Tag::new_flow(), report, socket, rest: Vec::new() })
    }

    /// Sends the next packet, unless the connection is not ready for one. An error means the network has refused
    /// the flow.
    pub(super) fn send(&mut self, now: SystemTime) -> io::Result<()> {
        let sequence = u32::try_from(self.report.sent).map_err(io::Error::other)?;
        match self.socket.send(&Tag { flow: self.number, sequence }.payload(now)) {
            Ok(Tag::LENGTH) => {
                self.report.sent += 1;
                Ok(())
            }
            Ok(_) => Err(ErrorKind::WriteZero.into()),
            Err(error) if is_not_yet(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes the answers that have come. An error means the network has refused the flow or the server has hung up.
    pub(super) fn collect(&mut self, answers: &mut Vec<Answer>) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match (&self.socket).read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.take(&buffer[..length], answers),
                Err(error) if is_not_yet(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], answers: &mut Vec<Answer>) {
        let received = SystemTime::now();
        self.rest.extend_from_slice(bytes);
        while let Some((record, after)) = self.rest.split_first_chunk::<{ Tag::LENGTH }>() {
            if let Some((_, sent)) = Tag::read(record).filter(|(tag, _)| tag.flow == self.number) {
                self.report.answered += 1;
                self.report.last_answered = Some(received);
                answers.push(Answer { flow: self.number, sent, received });
            }
            self.rest = after.to_vec();
        }
    }
}

/// A full buffer, nothing to read, or a connection still being made.
fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}
