//! The owner's own way in, while it breaks: a session to the box itself, and what it might say in the clear.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use byway_lab::capture::Heading;
use byway_lab::ears::Ears;
use byway_lab::judge::Vantage;
use byway_lab::packet::Tag;
use byway_lab::stage::{Stage, is_approved};
use byway_lab::topology::Place;
use byway_lab::wait_for;

use crate::evidence::{Tailnet, flows, flows_leaving};
use crate::ordeal::{GENTLE, Ordeal, PATIENCE};
use crate::outages::flush_tailnet_routes;
use crate::relay::SERVICE;

/// For one word in an open session.
const A_MOMENT: Duration = Duration::from_millis(50);

/// Without tailscaled's routes the way to a peer is the house's default route: nothing of the session goes there, nor of
/// the clients' answers, and the session lives on when tailscaled is back.
pub(super) fn session_outlives_table_52(stage: &mut Stage) -> Result<()> {
    let mut ordeal = Ordeal::begin(stage, GENTLE)?;
    let tailnet = Tailnet::of(stage)?;
    let mut session = Session::open(stage, tailnet)?;
    session.wait_carried()?;
    let tailscale0 = stage.listen(Place::Phone, "tailscale0", "phone")?;
    let before = stage.byway.tailscaled()?;
    let carried = ordeal.until_carried(stage, |stage| {
        flush_tailnet_routes(stage)?;
        wait_for("another tailscaled", PATIENCE, || {
            // All the while the box has something to say.
            session.say()?;
            ensure!(stage.byway.tailscaled()? != before, "still the one without routes");
            Ok(())
        })?;
        stage.byway.wait_status("the exit node again", PATIENCE, is_approved).map(drop)
    })?;
    session.wait_carried()?;
    ordeal.note("table 52 flushed under an owner's session", None, carried);
    let outcome = ordeal.end()?;
    let flow = session.flow;
    ensure!(flows(&tailscale0.stop()?, Heading::In).contains(&flow), "no capture has heard the session");
    for link in [Vantage::House, Vantage::Relay, Vantage::Server] {
        ensure!(!flows_leaving(&outcome, link).contains(&flow), "the {link:?} link has heard the session");
    }
    Ok(())
}

/// A connection from the phone to a service of the box, in which the box talks.
struct Session {
    flow: u32,
    said: u32,
    on_the_box: TcpStream,
    on_the_phone: TcpStream,
    /// Of what the phone hears, the beginning of the next word.
    heard: Vec<u8>,
    _ears: Ears,
}

impl Session {
    fn open(stage: &Stage, tailnet: Tailnet) -> Result<Self> {
        let ears = Ears::open(stage.byway.namespace(), SERVICE)?;
        let to = (tailnet.byway[0], SERVICE).into();
        let connect = || TcpStream::connect_timeout(&to, PATIENCE).context("connect to the box");
        let on_the_phone = stage.world.namespace(Place::Phone).enter(connect)?;
        let connection =
            wait_for("the connection", PATIENCE, || ears.connection()?.context("no connection yet"))?;
        on_the_phone.set_read_timeout(Some(A_MOMENT))?;
        let (on_the_box, heard) = (connection.0, Vec::new());
        Ok(Self { flow: Tag::new_flow(), said: 0, on_the_box, on_the_phone, heard, _ears: ears })
    }

    fn say(&mut self) -> Result<()> {
        let tag = Tag { flow: self.flow, sequence: self.said };
        self.said += 1;
        self.on_the_box.write_all(&tag.payload(SystemTime::now())).context("the box's end of the session")
    }

    /// Waits until the phone has heard a word that the box says now.
    fn wait_carried(&mut self) -> Result<()> {
        let from = self.said;
        self.say()?;
        wait_for("the session to be carried", PATIENCE, || {
            let word = self.next_word()?;
            let (heard, _) = Tag::read(&word).context("not a word of the session")?;
            ensure!(heard.sequence >= from, "still at {}", heard.sequence);
            Ok(())
        })
    }

    /// The beginning of one that comes too late is kept.
    fn next_word(&mut self) -> Result<[u8; Tag::LENGTH]> {
        while self.heard.len() < Tag::LENGTH {
            let mut bytes = [0; Tag::LENGTH];
            let missing = &mut bytes[self.heard.len()..];
            let length = self.on_the_phone.read(missing).context("the phone's end of the session")?;
            ensure!(length > 0, "the session has ended");
            self.heard.extend(&missing[..length]);
        }
        let word = self.heard.as_slice().try_into()?;
        self.heard.clear();
        Ok(word)
    }
}
