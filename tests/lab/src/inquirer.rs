//! Somebody on the phone who asks for one new name after the other, of several name servers in turn, and notes what
//! becomes of each. Who should have heard which name is the test's word.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::inside::{Inside, StopSign};
use crate::question::{self, RecordType, Reply, connected};
use crate::wait_for;

/// Between two questions.
const EVERY: Duration = Duration::from_millis(10);
/// An answer that is not there by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(6);

/// One name: when it was asked for, and what came back when.
#[derive(Debug)]
pub struct Asked {
    /// Below `q.example.net`, and of no other question.
    pub name: String,
    pub server: SocketAddr,
    pub at: SystemTime,
    /// None: nothing, or nothing that could be read.
    pub reply: Option<(SystemTime, Reply)>,
}

/// It asks until it is stopped or dropped.
#[derive(Debug)]
pub struct Inquirer {
    thread: Inside<Vec<Asked>>,
    answered: Arc<AtomicUsize>,
}

struct Notebook {
    topic: String,
    servers: Vec<SocketAddr>,
    pending: Vec<Pending>,
    asked: Vec<Asked>,
    answered: Arc<AtomicUsize>,
}

struct Pending {
    socket: UdpSocket,
    question: Vec<u8>,
    sent: Instant,
    /// Which of the notebook's.
    number: usize,
}

impl Inquirer {
    /// `topic` is a label that no other inquirer of this world has had.
    pub fn start(netns: &Path, topic: &str, servers: &[SocketAddr]) -> Result<Self> {
        let answered = Arc::new(AtomicUsize::new(0));
        let notebook = Notebook {
            topic: topic.to_owned(),
            servers: servers.to_vec(),
            pending: Vec::new(),
            asked: Vec::new(),
            answered: Arc::clone(&answered),
        };
        let thread = Inside::start(netns, "inquirer", move || Ok(notebook), Notebook::fill)?;
        Ok(Self { thread, answered })
    }

    /// Waits for so many more answers, whatever they say.
    pub fn wait_answered(&self, more: usize, patience: Duration) -> Result<()> {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        wait_for(&format!("{more} more answers"), patience, || {
            let answered = self.answered.load(Ordering::Relaxed);
            ensure!(answered >= wanted, "{answered} of {wanted} so far");
            Ok(())
        })
    }

    /// Asks nothing more, waits for what is still to come, and hands over the notes.
    pub fn stop(self) -> Result<Vec<Asked>> {
        self.thread.finish()
    }
}

impl Notebook {
    fn fill(mut self, stop: &StopSign) -> Result<Vec<Asked>> {
        let mut next = Instant::now();
        while !(stop.is_up() && self.pending.is_empty()) {
            if !stop.is_up() && Instant::now() >= next {
                self.ask()?;
                next += EVERY;
            }
            self.wait()?;
            self.read();
        }
        Ok(self.asked)
    }

    fn ask(&mut self) -> Result<()> {
        let number = self.asked.len();
        let name = format!("n{number}.{}.q.example.net", self.topic);
        let server = self.servers[number % self.servers.len()];
        let question = question::question(&name, RecordType::A)?;
        let socket = connected(server).context("cannot open a socket")?;
        socket.set_nonblocking(true)?;
        let at = SystemTime::now();
        // Without a route it counts as asked in vain.
        let _ = socket.send(&question);
        self.asked.push(Asked { name, server, at, reply: None });
        self.pending.push(Pending { socket, question, sent: Instant::now(), number });
        Ok(())
    }

    /// Until something has come, or the next question is due.
    fn wait(&self) -> Result<()> {
        let mut sockets: Vec<PollFd<'_>> = self
            .pending
            .iter()
            .map(|pending| PollFd::new(pending.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        poll(&mut sockets, PollTimeout::from(5_u8)).map(drop).context("wait for answers")
    }

    fn read(&mut self) {
        let Self { pending, asked, answered, .. } = self;
        let mut buffer = vec![0; usize::from(u16::MAX)];
        pending.retain(|Pending { socket, question, sent, number }| match socket.recv(&mut buffer) {
            Ok(length) => {
                let reply = question::reply(question, &buffer[..length], sent.elapsed());
                asked[*number].reply = reply.ok().map(|reply| (SystemTime::now(), reply));
                answered.fetch_add(1, Ordering::Relaxed);
                false
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => sent.elapsed() < PATIENCE,
            // Nobody listens there at the moment.
            Err(_) => false,
        });
    }
}
