//! Asks one upstream, by one way: its servers in turn, the quickest first, over connections that are kept.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "DNS's registries are open, and only a few of their values are ours"
)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hickory_net::NetError;
use hickory_net::h2::HttpsClientStream;
use hickory_net::runtime::{RuntimeProvider as _, Spawn as _};
use hickory_net::tcp::TcpClientStream;
use hickory_net::tls::tls_client_connect;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsExchange, DnsHandle as _, DnsMultiplexer, FirstAnswer as _};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Message, ResponseCode};
use rustls::pki_types::ServerName;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};

use crate::config::{Host, Transport, Upstream as Configured};
use crate::tls::Trust;
use crate::way::{ByWay, Way};

/// For one try at one server, its connection included.
const PATIENCE: Duration = Duration::from_secs(2);
/// For everything: tailscaled gives its clients' questions five seconds.
const LIMIT: Duration = Duration::from_secs(4);
/// A server that is silent for so long gets a rival.
const STAGGER: Duration = Duration::from_millis(400);
/// Questions under way, at one or two servers each. By plain DNS each holds a socket for each try, and the agent needs
/// some for a flip.
const MOST_AT_ONCE: usize = 64;
const TRIES: u8 = 2;
/// How long one that finds no place waits for it.
const QUEUE: Duration = Duration::from_secs(1);
/// So many questions in a row that a server does not answer: the connection is dead, not the names.
const DEAF: u32 = 3;
const LONGEST_REASON: usize = 120;

/// Why there was no answer. Never tells what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("its certificate or its TLS is not accepted: {0}")]
    Tls(String),
    #[error("no connection: {0}")]
    Connection(String),
    #[error("it does not answer")]
    Silent,
    #[error("too many questions at once")]
    Busy,
    #[error("it answers another question than it was asked")]
    OtherQuestion,
    #[error("it refuses to answer: is the profile in its URL right?")]
    Refuses,
    #[error("its answer is none: {0}")]
    Garbled(String),
}

pub(super) struct Upstream {
    transport: Transport,
    /// Of the certificate, and for whom the question is.
    host: Arc<str>,
    /// The same as it may be told.
    label: String,
    servers: Vec<Server>,
    turns: Semaphore,
    /// Connections, so far.
    made: AtomicU64,
    /// The one that answered last.
    best: AtomicUsize,
    way: ByWay,
    trust: Trust,
}

struct Server {
    address: SocketAddr,
    kept: Mutex<Option<Kept>>,
    /// Questions in a row that it left unanswered.
    silences: AtomicU32,
}

/// A connection, and which one it is of those that were made.
#[derive(Clone)]
struct Kept {
    number: u64,
    exchange: DnsExchange<ByWay>,
}

impl Server {
    /// Unless it has another one already.
    async fn forget(&self, old: &Kept) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.number == old.number) {
            *kept = None;
            self.silences.store(0, Ordering::Relaxed);
        }
    }
}

impl Upstream {
    pub(super) fn new(configured: &Configured, way: Way, trust: &Trust) -> Self {
        let Configured { transport, host, port, addresses } = configured;
        let server = |address| Server {
            address: SocketAddr::new(address, *port),
            kept: Mutex::default(),
            silences: AtomicU32::new(0),
        };
        // Without the brackets of a URL.
        let name = match host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        Self {
            transport: transport.clone(),
            host: name.into(),
            label: configured.to_string(),
            servers: addresses.iter().copied().map(server).collect(),
            turns: Semaphore::new(MOST_AT_ONCE),
            made: AtomicU64::new(0),
            best: AtomicUsize::new(0),
            way: ByWay::new(way),
            trust: trust.clone(),
        }
    }

    /// One server, by plain DNS.
    pub(super) fn plain(server: SocketAddr, way: Way) -> Self {
        let (transport, host, port) = (Transport::Plain, Host::Address(server.ip()), server.port());
        let addresses = Vec::from([server.ip()]);
        Self::new(&Configured { transport, host, port, addresses }, way, &Err("it speaks no TLS".to_owned()))
    }

    /// Whatever it answers to this very question, "no such name" among it.
    pub(super) async fn ask(&self, question: &Message) -> Result<Message, Failure> {
        let Ok(_turn) = timeout(QUEUE, self.turns.acquire()).await else { return Err(Failure::Busy) };
        let answer = timeout(LIMIT, self.ask_in_turn(question)).await.unwrap_or(Err(Failure::Silent));
        let answer = answer.map_err(|failure| failure.without(&self.host, &self.label))?;
        if answer.response_code == ResponseCode::Refused { Err(Failure::Refuses) } else { Ok(answer) }
    }

    /// Makes a connection before anybody needs it.
    pub(super) async fn connect(&self) -> Result<(), Failure> {
        let Some(server) = self.servers.first() else { return Ok(()) };
        self.connection(server).await.map(drop).map_err(|failure| failure.without(&self.host, &self.label))
    }

    /// RFC 6891 6.2.2: an old one that does not know EDNS is asked without.
    async fn ask_in_turn(&self, question: &Message) -> Result<Message, Failure> {
        let answer = self.race(question).await?;
        match answer.response_code {
            ResponseCode::FormErr | ResponseCode::NotImp if question.edns.is_some() => {
                let mut plain = question.clone();
                plain.edns = None;
                self.race(&plain).await
            }
            _ => Ok(answer),
        }
    }

    /// One that fails or is silent gets a rival, and so does one that says it cannot find out.
    async fn race(&self, question: &Message) -> Result<Message, Failure> {
        let first = self.best.load(Ordering::Relaxed);
        let count = self.servers.len();
        let mut next = (0..count).map(|turn| (first + turn) % count);
        let (mut asked, mut worse) = (FuturesUnordered::new(), Err(Failure::Silent));
        loop {
            let rival = next.next();
            asked.extend(rival.map(|index| async move { (index, self.ask_server(index, question).await) }));
            if asked.is_empty() {
                return worse;
            }
            tokio::select! {
                Some((index, outcome)) = asked.next() => match outcome {
                    Ok(answer) if is_found_out(&answer) => {
                        self.best.store(index, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Ok(answer) => worse = Ok(answer),
                    // That one is silent says less than what another has said, and a failure less than an answer.
                    Err(Failure::Silent) => {}
                    Err(error) => worse = worse.or(Err(error)),
                },
                () = sleep(STAGGER), if rival.is_some() => {}
            }
        }
    }

    /// Once more over a new connection, where the kept one has gone meanwhile.
    async fn ask_server(&self, index: usize, question: &Message) -> Result<Message, Failure> {
        let server = &self.servers[index];
        loop {
            let (kept, is_new) = self.connection(server).await?;
            let request = DnsRequest::new(question.clone(), DnsRequestOptions::default());
            let sent = timeout(PATIENCE, kept.exchange.send(request).first_answer()).await;
            match sent.unwrap_or(Err(NetError::Timeout)) {
                Ok(answer) if answer.truncation && self.transport == Transport::Plain => {
                    return self.ask_by_tcp(server.address, question).await;
                }
                Ok(answer) => {
                    server.silences.store(0, Ordering::Relaxed);
                    return answer_to(question, answer.into_message());
                }
                // One name that nobody can find out must not cost everybody the connection.
                Err(NetError::Timeout) => {
                    if server.silences.fetch_add(1, Ordering::Relaxed) + 1 >= DEAF {
                        server.forget(&kept).await;
                    }
                    return Err(Failure::Silent);
                }
                Err(error) => {
                    server.forget(&kept).await;
                    if is_new {
                        return Err(Failure::from(error));
                    }
                }
            }
        }
    }

    /// RFC 7766 5: what does not fit into a datagram.
    async fn ask_by_tcp(&self, address: SocketAddr, question: &Message) -> Result<Message, Failure> {
        let exchange = TcpClientStream::exchange(address, None, PATIENCE, None, self.way.clone()).await?;
        let request = DnsRequest::new(question.clone(), DnsRequestOptions::default());
        answer_to(question, exchange.send(request).first_answer().await?.into_message())
    }

    /// The kept connection, or a new one: one at a time is made, whoever else asks waits for it.
    async fn connection(&self, server: &Server) -> Result<(Kept, bool), Failure> {
        let mut kept = server.kept.lock().await;
        if let Some(kept) = kept.as_ref() {
            return Ok((kept.clone(), false));
        }
        let exchange = timeout(PATIENCE, self.open(server.address)).await.unwrap_or(Err(Failure::Silent))?;
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        Ok((kept.insert(Kept { number, exchange }).clone(), true))
    }

    async fn open(&self, address: SocketAddr) -> Result<DnsExchange<ByWay>, Failure> {
        match &self.transport {
            Transport::Plain => {
                let stream = UdpClientStream::builder(address, self.way.clone());
                Ok(stream.with_timeout(Some(PATIENCE)).with_max_retries(TRIES).exchange())
            }
            Transport::Tls => self.open_tls(address).await,
            Transport::Https { path } => {
                let trust = self.trust.clone().map_err(Failure::Tls)?;
                let mut stream = HttpsClientStream::builder(trust, self.way.clone());
                stream.request_timeout(PATIENCE);
                Ok(stream.exchange(address, Arc::clone(&self.host), path.as_str().into()).await?)
            }
        }
    }

    /// With the server's name in the hello, where some providers read the profile.
    async fn open_tls(&self, address: SocketAddr) -> Result<DnsExchange<ByWay>, Failure> {
        let trust = self.trust.clone().map_err(Failure::Tls)?;
        let name =
            ServerName::try_from(self.host.to_string()).map_err(|error| Failure::Tls(error.to_string()))?;
        let (stream, sender) = tls_client_connect(address, name, trust, self.way.clone());
        let multiplexer = DnsMultiplexer::new(stream.await?, sender);
        let multiplexer = multiplexer.with_timeout(PATIENCE).with_max_active_requests(MOST_AT_ONCE);
        let (exchange, background) = DnsExchange::from_stream(multiplexer);
        self.way.create_handle().spawn_bg(background);
        Ok(exchange)
    }
}

/// RFC 5452 9.1: an answer names what it answers; some servers leave it out of an error. One that says it is cut, where
/// nothing has to be, is none.
pub(super) fn answer_to(question: &Message, answer: Message) -> Result<Message, Failure> {
    if answer.truncation {
        Err(Failure::Garbled("it is cut short".to_owned()))
    } else if answer.queries == question.queries || (!is_found_out(&answer) && answer.queries.is_empty()) {
        Ok(answer)
    } else {
        Err(Failure::OtherQuestion)
    }
}

/// That there is such a name, or that there is none.
fn is_found_out(answer: &Message) -> bool {
    matches!(answer.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
}

impl Failure {
    /// The host's name as it may be told: a certificate's error quotes it.
    fn without(self, host: &str, label: &str) -> Self {
        let told = |text: String| text.replace(host, label);
        match self {
            Self::Tls(text) => Self::Tls(told(text)),
            Self::Connection(text) => Self::Connection(told(text)),
            Self::Garbled(text) => Self::Garbled(told(text)),
            Self::Silent | Self::Busy | Self::OtherQuestion | Self::Refuses => self,
        }
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Timeout | NetError::Busy | NetError::NoConnections => Self::Silent,
            NetError::RustlsError(error) => Self::Tls(brief(&error.to_string())),
            NetError::Io(error) => match error.kind() {
                io::ErrorKind::TimedOut => Self::Silent,
                // What rustls says of the other side comes wrapped in one.
                io::ErrorKind::InvalidData => Self::Tls(brief(&error.to_string())),
                _ => Self::Connection(brief(&error.to_string())),
            },
            // What an HTTP server writes below its status may hold the path, which is often one customer's own.
            error => Self::Garbled(brief(error.to_string().split(", message: ").next().unwrap_or_default())),
        }
    }
}

/// One line of what somebody else wrote.
fn brief(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_REASON).collect()
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("host", &self.host).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
