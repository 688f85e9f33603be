//! Asks for a name inside the tunnel, by UDP, of several resolvers at once. Nobody else hears the question.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "DNS's registries are open, and only a few of their values are ours"
)]

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use smoltcp::socket::udp::{self, PacketBuffer, PacketMetadata};
use tokio::time::{Instant, timeout_at};

use super::stack::{Socket, Stack};

const PORT: u16 = 53;
/// How long the answers are waited for before all is asked again; the last one ends it. Where one family is known, the
/// other one is asked for no more than twice.
const PATIENCE: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_millis(500),
    Duration::from_millis(500),
    Duration::from_secs(1),
];
const TWICE: usize = 2;
/// More are not asked.
const MOST_RESOLVERS: usize = 4;
/// One question or answer of each family for each of them, twice.
const MOST: usize = 4 * MOST_RESOLVERS;
const ROOM: usize = 16 << 10;
const MOST_ADDRESSES: usize = 32;

/// IPv4 first; never an empty list.
pub(super) async fn resolve(stack: &Stack, resolvers: &[IpAddr], name: &str) -> Result<Vec<IpAddr>, String> {
    // The dot at the end keeps search domains out.
    let full = Name::from_ascii(format!("{name}."))
        .map_err(|error| format!("no address for {name} through the relay: {error}"))?;
    let mut inquiry = Inquiry::new(stack, resolvers, &full);
    let addresses = inquiry.hold().await;
    match inquiry.reason {
        _ if !addresses.is_empty() => Ok(addresses),
        Some(reason) => Err(format!("no address for {name} through the relay: {reason}")),
        None => Err(format!("no name server answers for {name} through the relay")),
    }
}

struct Inquiry<'a> {
    socket: Socket<'a, udp::Socket<'static>>,
    servers: Vec<SocketAddr>,
    questions: Vec<Question>,
    /// Why somebody has found nothing.
    reason: Option<String>,
}

/// Of one family.
struct Question {
    message: Message,
    /// Once somebody knows any.
    addresses: Option<Vec<IpAddr>>,
}

impl<'a> Inquiry<'a> {
    fn new(stack: &'a Stack, resolvers: &[IpAddr], name: &Name) -> Self {
        let room = || PacketBuffer::new(vec![PacketMetadata::EMPTY; MOST], vec![0; ROOM]);
        let Ok(socket) = stack.open(|_, port| {
            let mut socket = udp::Socket::new(room(), room());
            socket.bind(port).expect("it is not bound yet, and no port is 0");
            Ok::<_, Infallible>(socket)
        });
        let reached = resolvers.iter().filter(|resolver| stack.reaches(**resolver));
        let servers = reached.take(MOST_RESOLVERS).map(|resolver| (*resolver, PORT).into()).collect();
        let families = [(RecordType::A, [0; 4].into()), (RecordType::AAAA, [0; 16].into())];
        let ours = families.into_iter().filter(|(_, any)| stack.reaches(*any));
        let questions = ours.map(|(kind, _)| Question::new(name, kind)).collect();
        Self { socket, servers, questions, reason: None }
    }

    async fn hold(&mut self) -> Vec<IpAddr> {
        for (turn, patience) in PATIENCE.into_iter().enumerate() {
            if turn >= TWICE && self.questions.iter().any(|question| question.addresses.is_some()) {
                break;
            }
            self.ask();
            let until = Instant::now() + patience;
            while self.questions.iter().any(|question| question.addresses.is_none()) {
                let heard = poll_fn(|context| poll_datagram(&self.socket, context));
                let Ok((from, datagram)) = timeout_at(until, heard).await else { break };
                self.hear(from, &datagram);
            }
        }
        self.questions.iter_mut().filter_map(|question| question.addresses.take()).flatten().collect()
    }

    fn ask(&self) {
        let open = self.questions.iter().filter(|question| question.addresses.is_none());
        for datagram in open.filter_map(|question| question.message.to_vec().ok()) {
            for server in &self.servers {
                // What there is no room for is lost, as on the way.
                _ = self.socket.with(|socket| socket.send_slice(&datagram, *server));
            }
        }
    }

    /// A resolver that says "no such name" does not outvote another.
    fn hear(&mut self, from: SocketAddr, datagram: &[u8]) {
        let Ok(answer) = Message::from_vec(datagram) else { return };
        let asked = self.questions.iter_mut().find(|question| question.is_answered_by(&answer));
        let Some(question) = asked.filter(|_| self.servers.contains(&from)) else { return };
        match (answer.response_code, addresses(&answer)) {
            (ResponseCode::NoError, found) if !found.is_empty() => question.addresses = Some(found),
            (ResponseCode::NoError, _) => {
                self.reason.get_or_insert_with(|| "the answer holds none".to_owned());
            }
            (code, _) => self.reason = Some(code.to_string()),
        }
    }
}

impl Question {
    fn new(name: &Name, kind: RecordType) -> Self {
        let mut message = Message::query();
        message.add_query(Query::query(name.clone(), kind));
        message.metadata.recursion_desired = true;
        Self { message, addresses: None }
    }

    fn is_answered_by(&self, answer: &Message) -> bool {
        answer.message_type == MessageType::Response
            && answer.id == self.message.id
            && answer.queries == self.message.queries
    }
}

fn addresses(answer: &Message) -> Vec<IpAddr> {
    let found = answer.answers.iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    });
    found.take(MOST_ADDRESSES).collect()
}

fn poll_datagram(
    socket: &Socket<'_, udp::Socket<'static>>,
    context: &Context<'_>,
) -> Poll<(SocketAddr, Vec<u8>)> {
    socket.with(|socket| match socket.recv() {
        Ok((datagram, about)) => Poll::Ready((about.endpoint.into(), datagram.to_vec())),
        // None is there, or one was longer than all of the room and is gone.
        Err(udp::RecvError::Exhausted | udp::RecvError::Truncated) => {
            socket.register_recv_waker(context.waker());
            Poll::Pending
        }
    })
}
