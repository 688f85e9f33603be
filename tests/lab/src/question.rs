//! One question of DNS as dig would ask it: from inside a namespace, to one address, once. Whether the answer is right
//! is the test's word.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
pub use hickory_proto::op::ResponseCode;
use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::Name;
pub use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsOption;

use crate::namespace::Namespace;

/// What a datagram may hold: as dig and most stub resolvers say (DNS flag day 2020).
const PAYLOAD: u16 = 1232;
/// The code of an extended error's option (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// How a question travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub const ALL: [Self; 2] = [Self::Udp, Self::Tcp];
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub code: ResponseCode,
    /// The answers' data as a zone file writes them: addresses, names with the dot at their end, texts.
    pub data: Vec<String>,
    /// The start of authority beside an answer that says no.
    pub has_soa: bool,
    /// Its number (RFC 8914) and its words.
    pub extended_error: Option<(u16, String)>,
    pub is_truncated: bool,
    pub took: Duration,
}

/// Asks `server` from inside; an error when nothing comes back in time, or the answer to another question.
pub fn ask(
    namespace: &Namespace,
    server: SocketAddr,
    transport: Transport,
    (name, kind): (&str, RecordType),
    timeout: Duration,
) -> Result<Reply> {
    let question = question(name, kind)?;
    let asked = Instant::now();
    let answer = namespace.enter(|| match transport {
        Transport::Udp => by_udp(server, &question, timeout),
        Transport::Tcp => by_tcp(server, &question, timeout),
    });
    let answer = answer.with_context(|| format!("{name} {kind} at {server} by {transport:?}"))?;
    reply(&question, &answer, asked.elapsed())
}

/// A question as a message: with a number of its own, and room for extended errors.
pub fn question(name: &str, kind: RecordType) -> Result<Vec<u8>> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name)?, kind));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    message.set_edns(edns);
    Ok(message.to_vec()?)
}

/// Reads what came back; an error where it answers another question.
pub fn reply(question: &[u8], answer: &[u8], took: Duration) -> Result<Reply> {
    let (question, answer) = (Message::from_vec(question)?, Message::from_vec(answer)?);
    ensure!(answer.metadata.id == question.metadata.id, "it has the number of another question");
    ensure!(answer.queries == question.queries, "it answers {:?}", answer.queries);
    let options = answer.edns.iter().flat_map(|edns| edns.options().as_ref());
    let extended_error = options.clone().find_map(|(_, option)| extended_error(option));
    Ok(Reply {
        code: answer.metadata.response_code,
        data: answer.answers.iter().map(|record| record.data.to_string()).collect(),
        has_soa: answer.authorities.iter().any(|record| record.record_type() == RecordType::SOA),
        extended_error,
        is_truncated: answer.metadata.truncation,
        took,
    })
}

fn extended_error(option: &EdnsOption) -> Option<(u16, String)> {
    let EdnsOption::Unknown(EXTENDED_ERROR, bytes) = option else { return None };
    let (code, text) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*code), String::from_utf8_lossy(text).into_owned()))
}

fn by_udp(server: SocketAddr, question: &[u8], timeout: Duration) -> Result<Vec<u8>> {
    let socket = connected(server)?;
    socket.set_read_timeout(Some(timeout))?;
    socket.send(question)?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    let length = socket.recv(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

/// From a port of its own: an answer of anybody else is not heard.
pub(crate) fn connected(server: SocketAddr) -> Result<UdpSocket> {
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(server)?;
    Ok(socket)
}

fn by_tcp(server: SocketAddr, question: &[u8], timeout: Duration) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    over_stream(&mut stream, question)
}

/// Each message after its length (RFC 1035 4.2.2).
pub fn over_stream(stream: &mut (impl Read + Write), question: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(question.len())?;
    stream.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_number_and_the_words_of_an_extended_error() {
        let asked = question("x.example.net", RecordType::A).unwrap();
        let mut answer = Message::from_vec(&asked).unwrap().into_response();
        let error = EdnsOption::Unknown(EXTENDED_ERROR, b"\0\x12sealed".to_vec());
        answer.edns.as_mut().unwrap().options_mut().insert(error);
        let read = reply(&asked, &answer.to_vec().unwrap(), Duration::ZERO).unwrap();
        assert_eq!(read.extended_error, Some((18, "sealed".to_owned())));
    }

    #[test]
    fn the_answer_to_another_question_is_none() {
        let asked = question("x.example.net", RecordType::A).unwrap();
        let mut answer = Message::from_vec(&asked).unwrap().into_response();
        answer.queries[0].set_name(Name::from_ascii("y.example.net").unwrap());
        assert!(reply(&asked, &answer.to_vec().unwrap(), Duration::ZERO).is_err());
    }
}
