//! Many flows that are open at once, in both families: UDP sockets of the phone that speak a few times a minute, and are
//! opened anew when they are refused, as apps do.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeFrom;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::flow_table::tracked;
use crate::inside::{Inside, StopSign};
use crate::packet::Tag;
use crate::stage::Stage;
use crate::topology::{Place, SERVER_V4, SERVER_V6};
use crate::wait::{PATIENCE, wait_for};

/// Somebody speaks every 2 ms: 10,000 flows three times a minute, two packets each time.
const STEP: Duration = Duration::from_millis(2);
/// No other load counts its flows from here.
pub const FIRST_FLOW: u32 = 1 << 30;
/// What somebody has said is refused, if at all, before so many others have spoken.
const LATER: usize = 25;

/// A running crowd; it falls silent when closed or dropped.
#[derive(Debug)]
pub struct Crowd {
    thread: Inside<()>,
    flows: usize,
}

impl Crowd {
    /// Returns when nearly all were answered, and the box tracks them all.
    pub fn open(stage: &Stage, flows: usize) -> Result<Self> {
        allow_descriptors(flows)?;
        let servers = [SERVER_V4.into(), SERVER_V6.into()].map(|server| SocketAddr::new(server, 7));
        let netns = stage.world.namespace(Place::Phone).path();
        let are_heard = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&are_heard);
        let open = move || {
            let members = (FIRST_FLOW..).zip(servers.into_iter().cycle()).take(flows);
            let members =
                members.map(|(flow, server)| Member::open(server, flow)).collect::<Result<Vec<_>>>();
            members.map(|members| (members, heard))
        };
        let thread = Inside::start(&netns, "crowd", open, speak_in_turn)?;
        wait_for("the box to track the crowd", PATIENCE, || {
            // What others have left is tracked too.
            ensure!(are_heard.load(Ordering::Relaxed), "too few of them are answered yet");
            let (tracked, _) = tracked(stage.byway.namespace())?;
            ensure!(usize::try_from(tracked)? >= flows, "{tracked} flows");
            Ok(())
        })?;
        Ok(Self { thread, flows })
    }

    /// How many it were.
    pub fn close(self) -> Result<usize> {
        self.thread.finish()?;
        Ok(self.flows)
    }
}

struct Member {
    socket: UdpSocket,
    flow: u32,
}

impl Member {
    fn open(target: SocketAddr, flow: u32) -> Result<Self> {
        let here: SocketAddr = match target {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(here).context("open one flow of the crowd")?;
        socket.connect(target).context("the phone has no way to the server")?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, flow })
    }

    fn speak(&self) -> io::Result<usize> {
        self.socket.send(&Tag { flow: self.flow, sequence: 0 }.payload(SystemTime::now()))
    }

    fn is_answered(&self) -> bool {
        self.socket.recv(&mut [0; 1]).is_ok()
    }

    fn open_anew(&mut self, next_flow: &mut RangeFrom<u32>) -> Result<()> {
        let flow = next_flow.next().context("out of numbers")?;
        *self = Self::open(self.socket.peer_addr()?, flow)?;
        // If this one is lost, the next round comes.
        let _ = self.speak();
        Ok(())
    }
}

fn speak_in_turn((mut crowd, heard): (Vec<Member>, Arc<AtomicBool>), stop: &StopSign) -> Result<()> {
    let mut next_flow = FIRST_FLOW + u32::try_from(crowd.len())?..;
    // The first packets come quicker, but not in a burst that a queue would drop; a busy machine drops some all the same.
    let mut unheard: Vec<&Member> = crowd.iter().collect();
    while unheard.len() > crowd.len() / 50 && !stop.is_up() {
        for member in unheard.iter().take_while(|_| !stop.is_up()) {
            let _ = member.speak();
            sleep(STEP / 10);
        }
        unheard.retain(|member| !member.is_answered());
    }
    heard.store(true, Ordering::Relaxed);
    while !stop.is_up() {
        // A round that took longer than 30 s would let the box forget a flow that was answered once.
        let mut due = Instant::now();
        for nth in (0..crowd.len()).take_while(|_| !stop.is_up()) {
            let member = &mut crowd[nth];
            // A kernel swallows the first packet of a masqueraded flow that changes doors: the second one tells.
            if member.speak().and_then(|_| member.speak()).is_err() {
                member.open_anew(&mut next_flow)?;
            }
            due += STEP;
            sleep(due.saturating_duration_since(Instant::now()).max(STEP / 10));
            let before = &mut crowd[nth.saturating_sub(LATER)];
            if before.socket.take_error()?.is_some() {
                before.open_anew(&mut next_flow)?;
            }
        }
    }
    Ok(())
}

fn allow_descriptors(flows: usize) -> Result<()> {
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = u64::try_from(flows)? + 1000;
    setrlimit(Resource::RLIMIT_NOFILE, wanted.max(now), most.max(wanted))
        .with_context(|| format!("cannot open {wanted} files: raise ulimit -n"))
}
