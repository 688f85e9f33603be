//! Questions by UDP, one after the other or many at once, and how they are answered. The load must not be what it
//! measures: a question is a few bytes written into a message that is ready, an answer a look at its head.

use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::bench::stats::{float, percentile};
use crate::namespace::Namespace;
use crate::question::{RecordType, connected, question};

/// Every name that is asked for is below it, with a number.
pub(super) const ZONE: &str = "q.example.net.";
/// Under way at once, each socket with its share.
pub(in crate::bench) const AT_ONCE: usize = SOCKETS * EACH;
const SOCKETS: usize = 8;
const EACH: usize = 8;
/// An answer that takes longer is none; in the percentiles it has taken this long.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of the number in a name.
const DIGITS: usize = 8;
/// Behind the message's head, the length of the name's first label, and a letter.
const NUMBER_AT: usize = 12 + 1 + 1;
/// What a datagram may hold, as the questions say.
const LONGEST_ANSWER: usize = 1232;
/// RFC 1035 4.1.1: of the third byte, and of the fourth.
const RESPONSE: u8 = 0x80;
const CODE: u8 = 0x0f;
const NO_ERROR: u8 = 0;

/// Who asks one server.
#[derive(Debug)]
pub(super) struct Client<'a> {
    pub(super) at: &'a Namespace,
    pub(super) server: SocketAddr,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Latency {
    pub(super) asked: u64,
    /// Without an answer, or with one that says no.
    pub(super) lost: u64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// How long each question took that was answered, and how many were not.
#[derive(Debug, Clone, Default)]
pub(super) struct Trips {
    us: Vec<f64>,
    lost: usize,
}

impl Trips {
    pub(super) fn told(self) -> Result<Latency> {
        let Self { mut us, lost } = self;
        ensure!(!us.is_empty(), "not one question was answered");
        us.resize(us.len() + lost, PATIENCE.as_secs_f64() * 1e6);
        let of = |share| percentile(&us, share).context("nothing was asked");
        let (asked, lost) = (u64::try_from(us.len())?, u64::try_from(lost)?);
        Ok(Latency { asked, lost, p50_us: of(0.5)?, p99_us: of(0.99)? })
    }
}

/// What came of many questions at once.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Answered {
    pub(super) asked: u64,
    /// Without an answer, or with one that says no.
    pub(super) lost: u64,
    pub(super) seconds: f64,
}

impl Answered {
    pub(super) fn count(&self) -> f64 {
        float(self.asked - self.lost)
    }
}

impl Client<'_> {
    pub(super) fn ask_once(&self) -> Result<()> {
        let socket = self.socket(Duration::from_millis(200))?;
        socket.send(Question::ready()?.about(0)).context("nobody listens")?;
        ensure!(is_answered(&socket)?, "no answer, or one that says no");
        Ok(())
    }

    /// Adds to what was asked before.
    pub(super) fn one_at_a_time(&self, names: impl Iterator<Item = u32>, trips: &mut Trips) -> Result<()> {
        let (mut socket, mut question) = (self.socket(PATIENCE)?, Question::ready()?);
        for name in names {
            let asked = Instant::now();
            socket.send(question.about(name)).context("nobody listens any more")?;
            if is_answered(&socket)? {
                trips.us.push(asked.elapsed().as_secs_f64() * 1e6);
            } else {
                trips.lost += 1;
                socket = self.socket(PATIENCE)?;
            }
        }
        Ok(())
    }

    /// One thread goes round: what has come to one socket waits while it listens to another, which costs a server
    /// nothing as long as it has other questions.
    pub(super) fn many_at_once(&self, mut names: impl Iterator<Item = u32>) -> Result<Answered> {
        let sockets = (0..SOCKETS).map(|_| Ok((self.socket(PATIENCE)?, 0)));
        let (mut sockets, mut question) = (sockets.collect::<Result<Vec<_>>>()?, Question::ready()?);
        let (mut asked, mut lost) = (0, 0);
        let began = Instant::now();
        loop {
            for (socket, under_way) in &mut sockets {
                for name in names.by_ref().take(EACH - *under_way) {
                    socket.send(question.about(name)).context("nobody listens any more")?;
                    (asked, *under_way) = (asked + 1, *under_way + 1);
                }
                if *under_way == 0 {
                    continue;
                }
                if is_answered(socket)? {
                    *under_way -= 1;
                } else {
                    lost += u64::try_from(*under_way)?;
                    (*socket, *under_way) = (self.socket(PATIENCE)?, 0);
                }
            }
            if sockets.iter().all(|(_, under_way)| *under_way == 0) {
                return Ok(Answered { asked, lost, seconds: began.elapsed().as_secs_f64() });
            }
        }
    }

    /// With a port of its own: what comes too late for another one is not heard.
    fn socket(&self, patience: Duration) -> Result<UdpSocket> {
        let socket = self.at.enter(|| connected(self.server))?;
        socket.set_read_timeout(Some(patience))?;
        Ok(socket)
    }
}

/// A message in which only the number of the name is another one each time.
struct Question(Vec<u8>);

impl Question {
    fn ready() -> Result<Self> {
        question(&format!("n{:0DIGITS$}.{ZONE}", 0), RecordType::A).map(Self)
    }

    /// For an address of this name.
    fn about(&mut self, name: u32) -> &[u8] {
        let Self(message) = self;
        let [.., high, low] = name.to_be_bytes();
        message[..2].copy_from_slice(&[high, low]);
        let mut number = &mut message[NUMBER_AT..NUMBER_AT + DIGITS];
        write!(number, "{name:0DIGITS$}").expect("no name here has a longer number");
        &self.0
    }
}

/// Whether what comes next, if anything comes in time, holds an answer.
fn is_answered(socket: &UdpSocket) -> Result<bool> {
    let mut answer = [0; LONGEST_ANSWER];
    match socket.recv(&mut answer) {
        Ok(length) => Ok(holds_answer(&answer[..length])),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("nobody listens any more"),
    }
}

/// A response without an error, and with records.
fn holds_answer(message: &[u8]) -> bool {
    let [_, _, flags, code, _, _, high, low, ..] = message else { return false };
    flags & RESPONSE != 0 && code & CODE == NO_ERROR && [*high, *low] != [0, 0]
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, ResponseCode};
    use hickory_proto::rr::{RData, Record};

    use super::*;
    use crate::topology::SERVER_V4;

    #[test]
    fn a_question_is_about_the_name_with_that_number() {
        let mut question = Question::ready().unwrap();
        for (number, name) in [(7, "n00000007.q.example.net."), (2_049_999, "n02049999.q.example.net.")] {
            let message = Message::from_vec(question.about(number)).unwrap();
            assert_eq!(message.queries[0].name().to_ascii(), name);
            assert_eq!(u32::from(message.metadata.id), number & 0xffff);
        }
    }

    #[test]
    fn only_records_are_an_answer() {
        let mut question = Question::ready().unwrap();
        assert!(!holds_answer(question.about(1)), "a question");
        let mut answer = Message::from_vec(question.about(1)).unwrap().into_response();
        assert!(!holds_answer(&answer.to_vec().unwrap()), "no records");
        let name = answer.queries[0].name().clone();
        let record = Record::from_rdata(name, 300, RData::A(SERVER_V4.into()));
        answer.add_answer(record);
        assert!(holds_answer(&answer.to_vec().unwrap()));
        answer.metadata.response_code = ResponseCode::ServFail;
        assert!(!holds_answer(&answer.to_vec().unwrap()), "an error");
    }

    #[test]
    fn a_lost_question_counts_as_a_long_one() {
        let told = Trips { us: vec![1.0; 98], lost: 2 }.told().unwrap();
        assert_eq!((told.asked, told.lost, told.p50_us, told.p99_us), (100, 2, 1.0, 2e6));
    }

    #[test]
    fn silence_is_no_figure() {
        assert!(Trips { us: Vec::new(), lost: 100 }.told().is_err());
    }
}
