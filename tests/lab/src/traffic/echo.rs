//! The server of the load: sends every byte back, by UDP and TCP. One thread each, whatever the number of clients.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::inside::{Inside, StopSign};

/// How often the threads look whether they should end.
const LOOK_UP: Duration = Duration::from_millis(50);
/// A flip leaves connections behind whose client will never say so.
const IDLE: Duration = Duration::from_secs(30);
/// Beyond it, new connections replace the oldest.
const MOST_CONNECTIONS: usize = 512;

/// A running server; it ends when stopped or dropped.
#[derive(Debug)]
pub struct EchoServer {
    udp: Inside<()>,
    tcp: Inside<()>,
}

impl EchoServer {
    /// Returns when both ports are open. The address must be there already.
    pub fn start(netns: &Path, address: SocketAddr) -> Result<Self> {
        Ok(Self {
            udp: Inside::start(
                netns,
                &format!("udp echo {address}"),
                move || open_udp(address),
                |socket, stop| {
                    echo_udp(&socket, stop);
                    Ok(())
                },
            )?,
            tcp: Inside::start(
                netns,
                &format!("tcp echo {address}"),
                move || open_tcp(address),
                |listener, stop| echo_tcp(&listener, stop),
            )?,
        })
    }

    pub fn stop(self) -> Result<()> {
        self.udp.finish()?;
        self.tcp.finish()
    }
}

fn open_udp(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address).with_context(|| format!("bind udp {address}"))?;
    socket.set_read_timeout(Some(LOOK_UP)).context("set a read timeout")?;
    Ok(socket)
}

fn open_tcp(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| format!("bind tcp {address}"))?;
    listener.set_nonblocking(true).context("make the listener non-blocking")?;
    Ok(listener)
}

fn echo_udp(socket: &UdpSocket, stop: &StopSign) {
    let mut buffer = vec![0; 1 << 16];
    while !stop.is_up() {
        // Errors are timeouts, or ICMP about a client that has gone: neither concerns the others.
        if let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], client);
        }
    }
}

fn echo_tcp(listener: &TcpListener, stop: &StopSign) -> Result<()> {
    let mut clients: Vec<(TcpStream, Instant)> = Vec::new();
    while !stop.is_up() {
        wait_for_any(listener, &clients)?;
        let now = Instant::now();
        while let Ok((client, _)) = listener.accept() {
            if clients.len() == MOST_CONNECTIONS {
                clients.remove(0);
            }
            client.set_nonblocking(true).context("make a connection non-blocking")?;
            clients.push((client, now));
        }
        clients.retain_mut(|(client, spoke)| match echo_once(client) {
            Ok(0) => now.duration_since(*spoke) < IDLE,
            Ok(_) => {
                *spoke = now;
                true
            }
            Err(_) => false,
        });
    }
    Ok(())
}

fn wait_for_any(listener: &TcpListener, clients: &[(TcpStream, Instant)]) -> Result<()> {
    let sockets = clients.iter().map(|(client, _)| client.as_fd()).chain([listener.as_fd()]);
    let mut sockets: Vec<_> = sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
    match poll(&mut sockets, PollTimeout::try_from(LOOK_UP)?) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error).context("wait for connections"),
    }
}

/// How many bytes went back; an error when the client has gone or does not take its bytes.
fn echo_once(client: &mut TcpStream) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    match client.read(&mut buffer) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(length) => client.write_all(&buffer[..length]).map(|()| length),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
    }
}
