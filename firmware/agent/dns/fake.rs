//! For tests: an upstream over loopback that says what it is told to say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::question::Question;
use super::upstream::Upstream;
use crate::config::{Host, Transport, Upstream as Configured};
use crate::way::Way;

/// What the upstream makes of a question; `None`: nothing.
pub(super) type Says = fn(&Message) -> Option<Message>;

pub(super) struct Fake {
    pub(super) address: SocketAddr,
    /// How often it was asked by UDP.
    asked: Arc<AtomicUsize>,
}

impl Fake {
    /// By TCP it says `long`, where it is given.
    pub(super) async fn start(says: Says, long: Option<Says>) -> Self {
        Self::over(UdpSocket::bind("127.0.0.1:0").await.unwrap(), says, long).await
    }

    pub(super) async fn start_at(address: &str, port: u16, says: Says) -> Self {
        Self::over(UdpSocket::bind((address, port)).await.unwrap(), says, None).await
    }

    async fn over(socket: UdpSocket, says: Says, long: Option<Says>) -> Self {
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        if let Some(long) = long {
            tokio::spawn(talk(TcpListener::bind(address).await.unwrap(), long));
        }
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::Relaxed);
                let question = Message::from_vec(&buffer[..length]).unwrap();
                if let Some(answer) = says(&question) {
                    socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
                }
            }
        });
        Self { address, asked }
    }

    pub(super) fn upstream(&self) -> Upstream {
        upstream(&[self.address.ip()], self.address.port())
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn talk(listener: TcpListener, says: Says) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let length = stream.read_u16().await.unwrap();
        let mut bytes = vec![0; length.into()];
        stream.read_exact(&mut bytes).await.unwrap();
        let answer = says(&Message::from_vec(&bytes).unwrap()).unwrap().to_vec().unwrap();
        stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

pub(super) fn upstream(addresses: &[IpAddr], port: u16) -> Upstream {
    let configured = Configured {
        transport: Transport::Plain,
        host: Host::Address(addresses[0]),
        port,
        addresses: addresses.to_vec(),
    };
    Upstream::new(&configured, Way::Device("lo".to_owned()), &Err("no TLS here".to_owned()))
}

pub(super) fn question(name: &str, kind: RecordType) -> Question {
    Question::plain(Query::query(Name::from_ascii(name).unwrap(), kind))
}

pub(super) fn to(question: &Message) -> Message {
    let mut answer = Message::response(question.id, OpCode::Query);
    answer.add_queries(question.queries.iter().cloned());
    answer
}

pub(super) fn with_address(question: &Message, ttl: u32, address: [u8; 4]) -> Message {
    let mut answer = to(question);
    let data = RData::A(A(Ipv4Addr::from(address)));
    answer.add_answer(Record::from_rdata(question.queries[0].name().clone(), ttl, data));
    answer
}
