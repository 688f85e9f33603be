//! Time servers whose clocks a test can turn: NTP (RFC 5905) with the machine's time and what was added to it, silent if
//! told so, and with a memory of who has asked. chrony cannot lie without the machine's clock lying too.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio::net::UdpSocket;

use crate::namespace::Namespace;
use crate::serving::Serving;

pub const PORT: u16 = 123;
const PACKET: usize = 48;
/// From 1900, where NTP begins, to 1970.
const EPOCH: u64 = 2_208_988_800;
/// No leap second, version 4, a server's answer.
const HEAD: u8 = 0b0010_0100;
/// What it is synchronised to, and how precise it is (2^-20 s).
const FIRST_STRATUM: [u8; 3] = [1, 6, 0xec];

/// One server, at one address of each family. It answers until it is dropped.
#[derive(Debug)]
pub struct TimeServer {
    mood: Arc<Mutex<Mood>>,
    _serving: Serving,
}

#[derive(Debug, Default)]
struct Mood {
    ahead: Duration,
    is_silent: bool,
    asked: BTreeMap<IpAddr, u32>,
}

impl TimeServer {
    /// Tells the machine's time.
    pub fn start(namespace: &Namespace, addresses: &[IpAddr]) -> Result<Self> {
        let mood = Arc::new(Mutex::new(Mood::default()));
        let (shared, addresses) = (Arc::clone(&mood), addresses.to_owned());
        let serving = Serving::start(namespace, "time", move || async move {
            for address in addresses {
                let at = SocketAddr::new(address, PORT);
                let socket = UdpSocket::bind(at).await.with_context(|| format!("cannot bind UDP {at}"))?;
                tokio::spawn(serve(socket, Arc::clone(&shared)));
            }
            Ok(())
        })?;
        Ok(Self { mood, _serving: serving })
    }

    /// Its clock is wrong by that much from now on.
    pub fn run_ahead(&self, by: Duration) {
        locked(&self.mood).ahead = by;
    }

    pub fn silence(&self) {
        locked(&self.mood).is_silent = true;
    }

    /// Says the truth, to everybody.
    pub fn be_good(&self) {
        let mut mood = locked(&self.mood);
        (mood.ahead, mood.is_silent) = (Duration::ZERO, false);
    }

    /// Who has asked, and how often, whether it was answered or not.
    pub fn asked(&self) -> BTreeMap<IpAddr, u32> {
        locked(&self.mood).asked.clone()
    }
}

async fn serve(socket: UdpSocket, mood: Arc<Mutex<Mood>>) {
    let mut question = [0; PACKET + 1];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut question).await else { continue };
        let ahead = {
            let mut mood = locked(&mood);
            *mood.asked.entry(client.ip()).or_default() += 1;
            (!mood.is_silent).then_some(mood.ahead)
        };
        if let Some(ahead) = ahead.filter(|_| length >= PACKET) {
            let shown = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + ahead;
            // Whoever asked may have gone.
            let _ = socket.send_to(&answer(&question, shown), client).await;
        }
    }
}

/// The question's own time comes back, so that its sender knows it again.
fn answer(question: &[u8], shown: Duration) -> Vec<u8> {
    let time = timestamp(shown);
    let (delays, reference) = ([0; 8], *b"LAB\0");
    let asked = &question[40..48];
    [&[HEAD][..], &FIRST_STRATUM, &delays, &reference, &time, asked, &time, &time].concat()
}

/// Seconds since 1900, the last 32 bits of them, and as many bits of a fraction.
fn timestamp(shown: Duration) -> [u8; 8] {
    let seconds = (shown.as_secs() + EPOCH) << 32;
    let fraction = (u64::from(shown.subsec_nanos()) << 32) / 1_000_000_000;
    (seconds | fraction).to_be_bytes()
}

/// Whole at every moment, also when a thread died holding it.
fn locked(mood: &Mutex<Mood>) -> MutexGuard<'_, Mood> {
    mood.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_question_s_time_and_its_own() {
        let mut question = [0; PACKET];
        question[40..].copy_from_slice(b"asked at");
        let answer = answer(&question, Duration::from_millis(500));
        assert_eq!(answer.len(), PACKET);
        assert_eq!(&answer[24..32], b"asked at");
        assert_eq!(answer[40..], [0x83, 0xaa, 0x7e, 0x80, 0x80, 0, 0, 0]);
    }
}
