//! What the relay's gateway answers inside the tunnel: whether, how soon, and to how big a packet.

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use smoltcp::socket::icmp::{self, PacketBuffer, PacketMetadata};
use tokio::time::{Instant, timeout_at};

use super::super::machine::random;
use super::stack::{Socket, Stack};
use crate::proof::GATEWAY;
use crate::proof::echo::Echo;

/// How long each ping is waited for before the next, whose answers count as well; the last one ends it.
const PINGS: [Duration; 5] = [
    Duration::from_millis(400),
    Duration::from_millis(400),
    Duration::from_millis(400),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// An IPv4 header without options.
const IP_HEADER: u16 = 20;
/// Of a ping, the shortest packet whose answer can be told from others.
const SHORTEST: u16 = 44;
/// As Mullvad's app searches; from there upwards.
const STEP: usize = 20;
/// The least MTU of IPv6 (RFC 8200 5).
const LEAST: u16 = 1_280;
/// Shorter ones are sealed with zeros up to a multiple of 16, so they are no closer than that.
const STEP_BELOW: usize = 64;
const LEAST_BELOW: u16 = 576;
/// A round of sizes waits for two round trips, but within these.
const ROUND: (Duration, Duration) = (Duration::from_millis(250), Duration::from_millis(500));
/// All sizes of a round, answered at once.
const ROOM: usize = 64 << 10;
const MOST: usize = 64;

/// What was searched for after what, until something was found.
#[derive(Clone, Copy)]
enum Round {
    /// The very size that is wished for.
    Whole,
    /// It and all the steps below, down to the least that a tunnel must carry.
    Steps,
    /// The steps below that.
    Below,
}

/// The first one often enough that a way which loses packets is not taken for one that is narrow.
const ROUNDS: [Round; 8] = [
    Round::Whole,
    Round::Whole,
    Round::Whole,
    Round::Whole,
    Round::Steps,
    Round::Steps,
    Round::Below,
    Round::Below,
];

/// The pings of one proof.
pub(super) struct Gateway<'a> {
    socket: Socket<'a, icmp::Socket<'static>>,
    identifier: u16,
    sent: Vec<Sent>,
}

/// A request that may still be answered.
struct Sent {
    echo: Echo,
    at: Instant,
}

impl Sent {
    /// Of the whole packet, in bytes.
    fn size(&self) -> u16 {
        IP_HEADER + u16::try_from(self.echo.message().len()).expect("it is no longer than a packet")
    }
}

impl<'a> Gateway<'a> {
    pub(super) fn in_tunnel(stack: &'a Stack) -> Self {
        let identifier = u16::try_from(random() >> 48).expect("16 bits are left");
        let room = || PacketBuffer::new(vec![PacketMetadata::EMPTY; MOST], vec![0; ROOM]);
        let Ok(socket) = stack.open(|_, _| {
            let mut socket = icmp::Socket::new(room(), room());
            socket.bind(icmp::Endpoint::Ident(identifier)).expect("it is not bound yet");
            Ok::<_, Infallible>(socket)
        });
        Self { socket, identifier, sent: Vec::new() }
    }

    /// `None`: unanswered.
    pub(super) async fn ping(&mut self) -> Option<Duration> {
        for patience in PINGS {
            self.send(SHORTEST);
            if let Some(answered) = self.answer(Instant::now() + patience).await {
                return Some(answered.at.elapsed());
            }
        }
        None
    }

    /// After a ping was answered: the largest packet that comes through both ways, up to `mtu`; or the largest at all,
    /// where that is less than any tunnel must carry.
    pub(super) async fn largest(
        &mut self,
        mtu: u16,
        round_trip: Duration,
        deadline: Instant,
    ) -> Result<u16, u16> {
        let patience = (2 * round_trip).clamp(ROUND.0, ROUND.1);
        let mut largest = SHORTEST;
        for round in ROUNDS {
            if matches!(round, Round::Below) && largest >= LEAST {
                break;
            }
            for size in round.sizes(mtu).into_iter().filter(|size| *size > largest) {
                self.send(size);
            }
            let until = deadline.min(Instant::now() + patience);
            while let Some(answered) = self.answer(until).await {
                largest = largest.max(answered.size());
                if largest >= mtu {
                    return Ok(mtu);
                }
            }
        }
        if largest >= LEAST { Ok(largest) } else { Err(largest) }
    }

    /// A request in a packet of so many bytes.
    fn send(&mut self, size: u16) {
        let length = (size - IP_HEADER).into();
        let Ok(echo) = Echo::of_length(GATEWAY.into(), self.identifier, length) else { return };
        // What there is no room for is lost, as on the way.
        _ = self.socket.with(|socket| socket.send_slice(echo.message(), GATEWAY.into()));
        self.sent.push(Sent { echo, at: Instant::now() });
    }

    /// The next request that is answered.
    async fn answer(&mut self, until: Instant) -> Option<Sent> {
        let (socket, sent) = (&self.socket, &self.sent);
        let answered = timeout_at(until, poll_fn(|context| poll_answer(socket, sent, context))).await.ok()?;
        Some(self.sent.swap_remove(answered))
    }
}

/// Reads past whatever is not an answer; tells which request is answered.
fn poll_answer(
    socket: &Socket<'_, icmp::Socket<'static>>,
    sent: &[Sent],
    context: &Context<'_>,
) -> Poll<usize> {
    socket.with(|socket| {
        while let Ok((icmp, from)) = socket.recv() {
            if from == GATEWAY.into()
                && let Some(answered) = sent.iter().position(|sent| sent.echo.is_answered_by(icmp))
            {
                return Poll::Ready(answered);
            }
        }
        socket.register_recv_waker(context.waker());
        Poll::Pending
    })
}

impl Round {
    fn sizes(self, mtu: u16) -> Vec<u16> {
        let steps = |from, step| (from..mtu).step_by(step);
        match self {
            Self::Whole => Vec::from([mtu]),
            Self::Steps => steps(LEAST, STEP).chain([mtu]).collect(),
            Self::Below => steps(LEAST_BELOW, STEP_BELOW).take_while(|size| *size < LEAST).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_of_sizes_ends_where_the_next_begins() {
        assert_eq!(Round::Whole.sizes(1_380), [1_380]);
        assert_eq!(Round::Steps.sizes(1_380), [1_280, 1_300, 1_320, 1_340, 1_360, 1_380]);
        assert_eq!(Round::Steps.sizes(1_280), [1_280]);
        let below = Round::Below.sizes(1_380);
        assert_eq!((below.first(), below.last()), (Some(&576), Some(&1_216)));
        assert!(below.iter().all(|size| size % 16 == 0), "{below:?}");
    }

    #[test]
    fn all_the_sizes_that_may_be_asked_for_at_once_have_room() {
        let all: usize = Round::Steps.sizes(1_500).into_iter().map(usize::from).sum();
        assert!(all < ROOM && Round::Steps.sizes(1_500).len() < MOST, "{all} bytes");
    }
}
