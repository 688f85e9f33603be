//! The internet's servers, in `srv`: a page that says who the caller is, the exit check over TLS, and echo,
//! discard and chargen for traffic. They answer what they see; only the check can be told to answer wrongly or not at all.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::certs::Identity;
use crate::namespace::Namespace;
use crate::serving::Serving;
use crate::topology::{SERVER_V4, SERVER_V6, relay_seen};

/// A request longer than this is none that the lab sends.
const LONGEST_REQUEST: usize = 8192;
/// One read or write of a bulk transfer.
const BULK: usize = 1 << 17;

/// What the servers say about a caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    pub ip: IpAddr,
    pub mullvad_exit_ip: bool,
    /// The relay's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mullvad_exit_ip_hostname: Option<String>,
    /// Where it takes the caller to be.
    pub city: String,
}

/// How the exit check at `https://check.example.net/json` behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckAnswer {
    /// It says what it sees.
    Truth,
    /// It says "not Mullvad" to everybody.
    NotMullvad,
    /// It takes the request and never answers.
    Silence,
}

/// The switch of the exit check; clones turn the same one.
#[derive(Debug, Clone)]
pub struct Check(watch::Sender<CheckAnswer>);

impl Check {
    pub fn set(&self, answer: CheckAnswer) {
        self.0.send_replace(answer);
    }
}

/// The running servers. Dropping it closes every socket of theirs.
#[derive(Debug)]
pub(crate) struct Internet {
    _servers: Serving,
    pub(crate) check: Check,
}

impl Internet {
    /// Opens the servers on IPv4 and IPv6; they listen when this returns.
    pub(crate) fn open(namespace: &Namespace, identity: &Identity) -> Result<Self> {
        let tls = identity.acceptor()?;
        let check = Check(watch::Sender::new(CheckAnswer::Truth));
        let answer = check.0.subscribe();
        let servers = Serving::start(namespace, "internet", move || start(tls, answer))?;
        Ok(Self { _servers: servers, check })
    }
}

async fn start(tls: TlsAcceptor, answer: watch::Receiver<CheckAnswer>) -> Result<()> {
    let (page, echo) = (listen(80).await?, listen(7).await?);
    let (discard, chargen) = (listen(9).await?, listen(19).await?);
    let datagrams = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 7)).await.context("cannot bind UDP port 7")?;
    tokio::spawn(accept(page, |stream, ip| async move { answer_page(stream, truth(ip)).await }));
    // Port 443 of other addresses here is for name servers.
    for address in [IpAddr::V4(SERVER_V4), IpAddr::V6(SERVER_V6)] {
        let (tls, answer) = (tls.clone(), answer.clone());
        tokio::spawn(accept(listen_at((address, 443).into()).await?, move |stream, ip| {
            let (tls, answer) = (tls.clone(), *answer.borrow());
            async move { answer_check(tls.accept(stream).await?, ip, answer).await }
        }));
    }
    tokio::spawn(accept(echo, |stream, _| echo_stream(stream)));
    tokio::spawn(accept(discard, |stream, _| swallow(stream)));
    tokio::spawn(accept(chargen, |stream, _| pour(stream)));
    tokio::spawn(echo_datagrams(datagrams));
    Ok(())
}

pub(crate) async fn listen(port: u16) -> Result<TcpListener> {
    // Linux's default is a socket for both families.
    listen_at((Ipv6Addr::UNSPECIFIED, port).into()).await
}

pub(crate) async fn listen_at(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen at TCP {address}"))
}

/// Serves each connection in a task of its own, for ever; a failed one concerns only its caller.
pub(crate) async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream, IpAddr) -> F)
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(serve(stream, peer.ip().to_canonical()));
            }
            // Out of descriptors for a moment, or a caller who hung up in the queue.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn truth(ip: IpAddr) -> WhoAmI {
    let relay = relay_seen(ip);
    let hostname = relay.map(str::to_owned);
    WhoAmI { ip, mullvad_exit_ip: relay.is_some(), mullvad_exit_ip_hostname: hostname, city: city(relay) }
}

/// By the relay's name, or of whoever is at home.
fn city(relay: Option<&str>) -> String {
    let city = match relay.and_then(|name| name.get(..6)) {
        Some("se-got") => "Gothenburg",
        Some("se-mma") => "Malm\u{f6}",
        Some(_) | None => "V\u{e4}xj\u{f6}",
    };
    city.to_owned()
}

async fn answer_check<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    ip: IpAddr,
    answer: CheckAnswer,
) -> Result<()> {
    match answer {
        CheckAnswer::Truth => answer_page(stream, truth(ip)).await,
        CheckAnswer::NotMullvad => {
            let denied = WhoAmI { mullvad_exit_ip: false, mullvad_exit_ip_hostname: None, ..truth(ip) };
            answer_page(stream, denied).await
        }
        CheckAnswer::Silence => swallow(stream).await,
    }
}

async fn answer_page<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, who: WhoAmI) -> Result<()> {
    read_request(&mut stream).await?;
    let body = serde_json::to_string(&who)?;
    let (date, length) = (httpdate::fmt_http_date(SystemTime::now()), body.len());
    let head = format!(
        "HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        anyhow::ensure!(request.len() < LONGEST_REQUEST, "a request of more than {LONGEST_REQUEST} bytes");
        anyhow::ensure!(stream.read_buf(&mut request).await? > 0, "the caller hung up in its request");
    }
    Ok(())
}

async fn swallow(mut stream: impl AsyncRead + Unpin) -> Result<()> {
    let mut buffer = vec![0; BULK];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Sends without end, until the caller hangs up.
async fn pour(mut stream: TcpStream) -> Result<()> {
    let buffer = vec![0; BULK];
    loop {
        stream.write_all(&buffer).await?;
    }
}

async fn echo_stream(mut stream: TcpStream) -> Result<()> {
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await?;
    Ok(())
}

async fn echo_datagrams(socket: UdpSocket) {
    let mut buffer = vec![0; 65536];
    loop {
        if let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            // A refusal concerns only this caller, who notices it by the missing echo.
            let _ = socket.send_to(&buffer[..length], peer).await;
        }
    }
}
