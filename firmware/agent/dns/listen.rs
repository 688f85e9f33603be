//! Where questions come in: port 53 of the loopback, and of the tailnet's interface together with the port that clients'
//! questions to anybody else are redirected to; of the house's interface that port alone, where its machines are served. Sockets are bound to the interface, whatever its addresses are, and made
//! anew when it is.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use byway_core::View;
use byway_core::posture::{STUB_PORT, TAILNET};
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::guests::Guests;
use super::question::{Heard, hear};
use super::reply::Reply;
use super::{DNS_PORT, Stub};

/// A question needs no more.
const LONGEST_QUESTION: usize = 4096;
const LONGEST_ANSWER: u16 = u16::MAX;
/// Of a TCP client between two questions (RFC 7766 6.2.3), and for taking an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of a TCP connection, however much it asks: nobody keeps a place.
const LIFE: Duration = Duration::from_mins(1);
/// Between two looks at the interface.
const LOOK: Duration = Duration::from_secs(1);
const BACKLOG: i32 = 64;

/// Questions under way by UDP, and connections, at one interface: in all, and from one address.
#[derive(Clone, Copy, Debug)]
struct Room {
    questions: (usize, usize),
    connections: (usize, usize),
}

/// An interface and what is listened to there.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    device: String,
    addresses: Vec<SocketAddr>,
    room: Room,
}

impl Entrance {
    /// For tailscaled, which asks for all of its clients.
    pub(super) fn loopback() -> Self {
        let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        Self {
            device: "lo".to_owned(),
            addresses: addresses.map(|address| SocketAddr::new(address, DNS_PORT)).to_vec(),
            room: Room { questions: (256, 256), connections: (64, 64) },
        }
    }

    /// For clients that ask the box, or anybody, themselves.
    pub(super) fn tailnet() -> Self {
        Self {
            device: TAILNET.to_owned(),
            addresses: [anybody(DNS_PORT), anybody(STUB_PORT)].concat(),
            room: Room { questions: (256, 32), connections: (64, 16) },
        }
    }

    /// For machines of the house, all of whose questions are redirected, also those to the box.
    fn house(device: String) -> Self {
        let room = Room { questions: (256, 32), connections: (64, 16) };
        Self { device, addresses: anybody(STUB_PORT).to_vec(), room }
    }
}

fn anybody(port: u16) -> [SocketAddr; 2] {
    let unspecified = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    unspecified.map(|address| SocketAddr::new(address, port))
}

/// Where machines of the house are served, as long as they are.
pub(super) async fn keep_in_house(mut views: watch::Receiver<View>, stub: Arc<Stub>) {
    loop {
        let device = house_device(&views.borrow_and_update());
        let serving = async {
            match device.clone() {
                Some(device) => keep(Entrance::house(device), Arc::clone(&stub)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = serving => {}
            view = views.wait_for(|view| house_device(view) != device) => if view.is_err() { return },
        }
    }
}

fn house_device(view: &View) -> Option<String> {
    view.lan.as_ref()?.interface.clone()
}

/// Answers whoever comes in there, for as long as the agent lives.
pub(super) async fn keep(entrance: Entrance, stub: Arc<Stub>) {
    let mut told = None;
    loop {
        let Ok(index) = if_nametoindex(entrance.device.as_str()) else {
            sleep(LOOK).await;
            continue;
        };
        match open(&entrance, &stub) {
            Ok(mut served) => {
                told = None;
                while if_nametoindex(entrance.device.as_str()) == Ok(index) {
                    sleep(LOOK).await;
                }
                served.shutdown().await;
            }
            Err(error) => {
                let error = format!("names are not served at {}: {error}", entrance.device);
                if told.as_ref() != Some(&error) {
                    tracing::error!("{error}");
                    told = Some(error);
                }
                sleep(LOOK).await;
            }
        }
    }
}

fn open(entrance: &Entrance, stub: &Arc<Stub>) -> io::Result<JoinSet<()>> {
    let mut served = JoinSet::new();
    let Room { questions, connections } = entrance.room;
    let questions = Guests::at_most(questions.0, questions.1);
    let connections = Guests::at_most(connections.0, connections.1);
    for address in &entrance.addresses {
        let datagrams = UdpSocket::from_std(bound(&entrance.device, *address, Type::DGRAM)?.into())?;
        served.spawn(serve_datagrams(Arc::new(datagrams), Arc::clone(stub), Arc::clone(&questions)));
        let streams = bound(&entrance.device, *address, Type::STREAM)?;
        streams.listen(BACKLOG)?;
        let streams = TcpListener::from_std(streams.into())?;
        served.spawn(serve_streams(streams, Arc::clone(stub), Arc::clone(&connections)));
    }
    Ok(served)
}

fn bound(device: &str, address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The agent before may have left connections behind.
    socket.set_reuse_address(kind == Type::STREAM)?;
    socket.bind_device(Some(device.as_bytes()))?;
    socket.bind(&address.into())?;
    Ok(socket)
}

async fn serve_datagrams(socket: Arc<UdpSocket>, stub: Arc<Stub>, questions: Arc<Guests>) {
    let mut buffer = [0; LONGEST_QUESTION];
    loop {
        // An error about an answer before, or an interface that goes.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let question = match hear(&buffer[..length]) {
            Heard::Question(question) => question,
            Heard::Refusal(refusal) => {
                if let Ok(refusal) = refusal.to_vec() {
                    _ = socket.send_to(&refusal, from).await;
                }
                continue;
            }
            Heard::Noise => continue,
        };
        let at_once = stub.answer_at_once(&question, from.ip());
        let place = if at_once.is_some() { None } else { questions.seat(from.ip()) };
        let Some(place) = place else {
            let reply = at_once.unwrap_or_else(Reply::too_busy);
            _ = socket.send_to(&reply.encode(&question, question.room()), from).await;
            continue;
        };
        let (socket, stub) = (Arc::clone(&socket), Arc::clone(&stub));
        tokio::spawn(async move {
            let _place = place;
            let reply = stub.answer_by_asking(&question, from.ip()).await;
            _ = socket.send_to(&reply.encode(&question, question.room()), from).await;
        });
    }
}

async fn serve_streams(listener: TcpListener, stub: Arc<Stub>, connections: Arc<Guests>) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Whoever finds no place is hung up on.
        if let Some(place) = connections.seat(from.ip()) {
            let stub = Arc::clone(&stub);
            tokio::spawn(async move {
                let _place = place;
                _ = timeout(LIFE, converse(stream, from.ip(), &stub)).await;
            });
        }
    }
}

/// One question after the other, each behind its length (RFC 1035 4.2.2).
async fn converse(mut stream: TcpStream, from: IpAddr, stub: &Stub) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let bytes = timeout(PATIENCE, heard(&mut stream)).await??;
        let answer = match hear(&bytes) {
            Heard::Question(question) => {
                let reply = stub.answer(&question, from).await;
                reply.encode(&question, LONGEST_ANSWER)
            }
            Heard::Refusal(refusal) => refusal.to_vec().map_err(io::Error::other)?,
            Heard::Noise => return Ok(()),
        };
        let Ok(length) = u16::try_from(answer.len()) else { return Ok(()) };
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        timeout(PATIENCE, stream.write_all(&framed)).await??;
    }
}

async fn heard(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > LONGEST_QUESTION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
