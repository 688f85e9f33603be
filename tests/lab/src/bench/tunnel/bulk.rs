//! TCP as fast as it goes, counted where it arrives, within a window that begins after the streams have sped up.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::cable::{End, Link};
use super::line::Line;
use crate::bench::cost::softirq;
use crate::bench::results::Direction;
use crate::bench::stats::float;

const WARM_UP: Duration = Duration::from_millis(400);
/// Nothing at all for so long is the end of a connection.
const STALLED: Duration = Duration::from_secs(10);
const CHUNK: usize = 128 << 10;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Load {
    pub(super) link: Link,
    pub(super) streams: usize,
    pub(super) direction: Direction,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Bulk {
    #[serde(flatten)]
    pub(super) load: Load,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// User and system time of both of the tunnel's processes.
    pub(super) cpu_seconds: Option<f64>,
    /// Of the whole machine: the load's too.
    pub(super) softirq_seconds: f64,
}

impl Load {
    pub(super) fn all(link: Link) -> [Self; 4] {
        let load = |streams, direction| Self { link, streams, direction };
        [
            load(1, Direction::Upload),
            load(1, Direction::Download),
            load(4, Direction::Upload),
            load(4, Direction::Download),
        ]
    }

    /// Not every one by every link: a run has to end.
    pub(super) fn measured(link: Link) -> impl Iterator<Item = Self> {
        let most = match link {
            Link::Nic | Link::Veth => 4,
            Link::Gro => 1,
        };
        Self::all(link).into_iter().filter(move |load| load.streams <= most)
    }
}

impl Bulk {
    pub(super) fn gbit_per_second(&self) -> f64 {
        self.gigabytes() * 8.0 / self.seconds
    }

    pub(super) fn softirq_per_gb(&self) -> f64 {
        self.softirq_seconds / self.gigabytes()
    }

    pub(super) fn cpu_per_gb(&self) -> Option<f64> {
        self.cpu_seconds.map(|seconds| seconds / self.gigabytes())
    }

    fn gigabytes(&self) -> f64 {
        float(self.bytes) / 1e9
    }
}

/// Counts while `meanwhile` goes on, and returns what that makes.
pub(super) fn bulk<T>(
    line: &Line<'_>,
    load: Load,
    meanwhile: impl FnOnce() -> Result<T>,
) -> Result<(Bulk, T)> {
    let (senders, receivers) = connect(line, load)?;
    let (received, over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let sending: Vec<_> = senders.iter().map(|it| scope.spawn(|| send(it, &over))).collect();
        let receiving: Vec<_> = receivers.iter().map(|it| scope.spawn(|| receive(it, &received))).collect();
        let counted = count(line, load, &received, meanwhile);
        over.store(true, Ordering::Relaxed);
        for stream in &senders {
            // The receiver reads what is on its way, and then the end.
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in sending.into_iter().chain(receiving) {
            thread.join().expect("a stream does not panic")?;
        }
        counted
    })
}

fn count<T>(
    line: &Line<'_>,
    load: Load,
    received: &AtomicU64,
    meanwhile: impl FnOnce() -> Result<T>,
) -> Result<(Bulk, T)> {
    sleep(WARM_UP);
    let (before, cpu, soft) = (received.load(Ordering::Relaxed), line.cpu_time()?, softirq()?);
    let began = Instant::now();
    let made = meanwhile()?;
    let (bytes, seconds) = (received.load(Ordering::Relaxed) - before, began.elapsed().as_secs_f64());
    let cpu_seconds = line.cpu_time()?.zip(cpu).map(|(after, before)| after - before);
    Ok((Bulk { load, bytes, seconds, cpu_seconds, softirq_seconds: softirq()? - soft }, made))
}

fn connect(line: &Line<'_>, load: Load) -> Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let [from, to] = End::of(load.direction);
    let target = SocketAddr::from((line.address(to), 0));
    let listener =
        line.at(to, || TcpListener::bind(target).with_context(|| format!("cannot listen on {target}")))?;
    let target = listener.local_addr()?;
    let mut streams = (Vec::new(), Vec::new());
    for _ in 0..load.streams {
        let open = || {
            TcpStream::connect_timeout(&target, STALLED).with_context(|| format!("no connection to {target}"))
        };
        let (sender, (receiver, _)) = (line.at(from, open)?, listener.accept()?);
        sender.set_write_timeout(Some(STALLED))?;
        receiver.set_read_timeout(Some(STALLED))?;
        streams.0.push(sender);
        streams.1.push(receiver);
    }
    Ok(streams)
}

fn send(mut stream: &TcpStream, over: &AtomicBool) -> Result<()> {
    let chunk = vec![0; CHUNK];
    loop {
        match stream.write(&chunk) {
            Ok(_) => {}
            Err(_) if over.load(Ordering::Relaxed) => return Ok(()),
            Err(error) => return Err(error).context("the sender of a stream broke"),
        }
    }
}

fn receive(mut stream: &TcpStream, received: &AtomicU64) -> Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match stream.read(&mut chunk).context("the receiver of a stream broke")? {
            0 => return Ok(()),
            length => received.fetch_add(u64::try_from(length)?, Ordering::Relaxed),
        };
    }
}
