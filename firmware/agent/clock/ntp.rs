//! Asks time servers, each once, by the house's line (RFC 5905, as a client of SNTP). Whom to believe is decided in
//! byway-core.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use byway_core::clock::{Now, Sample};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sntpc::{NtpContext, NtpTimestampGenerator, NtpUdpSocket};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

use super::{BUILT, uptime};
use crate::way::Way;

const PORT: u16 = 123;
/// A later answer says too little about the time.
const PATIENCE: Duration = Duration::from_secs(2);

/// What those of the servers say that answer in time.
pub(super) async fn ask(servers: &[(IpAddr, bool)], way: &Way, now: Now) -> Vec<Sample> {
    ask_at_port(PORT, servers, way, now).await
}

/// Whether any of them answers, whatever it says.
pub(super) async fn is_anybody_there(servers: &[(IpAddr, bool)], way: &Way, now: Now) -> bool {
    let answers = questions(PORT, servers, way, now);
    let any = answers.any(|answer| std::future::ready(answer.is_ok()));
    timeout(PATIENCE, any).await.unwrap_or(false)
}

async fn ask_at_port(port: u16, servers: &[(IpAddr, bool)], way: &Way, now: Now) -> Vec<Sample> {
    let deadline = Instant::now() + PATIENCE;
    let mut asked = questions(port, servers, way, now);
    let mut samples = Vec::new();
    while let Ok(Some(answer)) = timeout_at(deadline, asked.next()).await {
        match answer {
            Ok(sample) => samples.push(sample),
            Err(error) => tracing::debug!("{error}"),
        }
    }
    samples
}

/// All at once.
fn questions<'a>(
    port: u16,
    servers: &'a [(IpAddr, bool)],
    way: &'a Way,
    now: Now,
) -> FuturesUnordered<impl Future<Output = Result<Sample, String>> + use<'a>> {
    let ask =
        |(server, is_houses): &(IpAddr, bool)| ask_one(SocketAddr::new(*server, port), *is_houses, way, now);
    servers.iter().map(ask).collect()
}

async fn ask_one(server: SocketAddr, is_houses: bool, way: &Way, now: Now) -> Result<Sample, String> {
    let failed = |error: String| format!("the time server {} does not answer: {error}", server.ip());
    let socket = connected(server, way).await.map_err(|error| failed(error.to_string()))?;
    let context = NtpContext::new(Frame::new(now));
    let sent = sntpc::sntp_send_request(server, &socket, context).await;
    let sent = sent.map_err(|error| failed(format!("{error:?}")))?;
    loop {
        match sntpc::sntp_process_response(server, &socket, context, sent).await {
            Ok(answer) => {
                let at_boot =
                    context.timestamp_gen.at_boot(answer.offset()).ok_or_else(|| failed("1970".into()))?;
                let round_trip = Duration::from_micros(answer.roundtrip());
                return Ok(Sample { server: server.ip(), is_houses, at_boot, round_trip });
            }
            // Whoever guesses must not end the wait for the true answer.
            Err(sntpc::Error::IncorrectOriginTimestamp | sntpc::Error::IncorrectPayload) => {}
            Err(error) => return Err(failed(format!("{error:?}"))),
        }
    }
}

async fn connected(server: SocketAddr, way: &Way) -> io::Result<Asker> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = way.udp((any, 0).into())?;
    socket.connect(server).await?;
    Ok(Asker(socket))
}

/// Hears nobody but its server, and of a port that is closed.
struct Asker(UdpSocket);

impl NtpUdpSocket for Asker {
    async fn send_to(&self, bytes: &[u8], _server: SocketAddr) -> sntpc::Result<usize> {
        self.0.send(bytes).await.map_err(|_| sntpc::Error::Network)
    }

    async fn recv_from(&self, bytes: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        let from = self.0.peer_addr().map_err(|_| sntpc::Error::Network)?;
        let length = self.0.recv(bytes).await.map_err(|_| sntpc::Error::Network)?;
        Ok((length, from))
    }
}

/// What the question says the time is, and the answer is measured by: the time since the boot, which no step moves,
/// after an origin that nobody can guess who has not seen the question.
#[derive(Clone, Copy)]
struct Frame {
    at_boot: Duration,
    shown: Duration,
}

impl Frame {
    /// No earlier than this agent: years of the answer are the nearest ones with the same last 32 bits of seconds.
    fn new(now: Now) -> Self {
        let guess = now.at_boot().max(BUILT);
        let blind = RandomState::new().hash_one(()) >> u32::BITS;
        Self { at_boot: guess + Duration::from_micros(blind), shown: Duration::ZERO }
    }

    /// What the clock of a server showed at our boot that is ahead of this one by so many microseconds.
    fn at_boot(self, ahead: i64) -> Option<Duration> {
        let distance = Duration::from_micros(ahead.unsigned_abs());
        if ahead < 0 { self.at_boot.checked_sub(distance) } else { self.at_boot.checked_add(distance) }
    }
}

impl NtpTimestampGenerator for Frame {
    fn init(&mut self) {
        self.shown = self.at_boot + uptime().elapsed_since_boot();
    }

    fn timestamp_sec(&self) -> u64 {
        self.shown.as_secs()
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        self.shown.subsec_micros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// On loopback: answers as if its clock were ahead of the question's, and what it likes before.
    async fn server(ahead: Duration, noise: &'static [&'static [u8]]) -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut question = [0; 48];
            let (_, client) = socket.recv_from(&mut question).await.unwrap();
            for noise in noise {
                socket.send_to(noise, client).await.unwrap();
            }
            let asked = &question[40..48];
            let seconds = u32::from_be_bytes(*asked.first_chunk().unwrap());
            let ahead = u32::try_from(ahead.as_secs()).unwrap();
            let told = [&seconds.wrapping_add(ahead).to_be_bytes()[..], &asked[4..]].concat();
            // A server of the first stratum, never in doubt; then what was asked, when it came and when it went.
            let head = [0b0010_0100, 1, 6, 0xec, 0, 0, 0, 0, 0, 0, 0, 0, b'G', b'P', b'S', 0];
            let answer = [&head[..], &told, asked, &told, &told].concat();
            socket.send_to(&answer, client).await.unwrap();
        });
        port
    }

    async fn ask_server(port: u16, wall: Duration) -> Vec<Sample> {
        let now = Now { uptime: uptime(), wall, in_step: false };
        let servers = [(Ipv4Addr::LOCALHOST.into(), false)];
        ask_at_port(port, &servers, &Way::Device("lo".to_owned()), now).await
    }

    #[tokio::test]
    async fn measures_against_the_time_since_the_boot() {
        let wall = BUILT + 1000 * HOUR;
        let samples = ask_server(server(3 * HOUR, &[]).await, wall).await;
        let [sample] = &samples[..] else { panic!("{samples:?}") };
        let shown = sample.at_boot + uptime().elapsed_since_boot();
        // The question is up to 72 minutes ahead of the clock, so that nobody guesses it.
        assert!((3 * HOUR..5 * HOUR).contains(&(shown.checked_sub(wall).unwrap())), "{shown:?}");
        assert!(sample.round_trip < PATIENCE);
    }

    #[tokio::test]
    async fn a_clock_of_1970_does_not_misread_the_century() {
        let samples = ask_server(server(HOUR, &[]).await, Duration::ZERO).await;
        assert!(samples[0].at_boot > BUILT, "{samples:?}");
    }

    #[tokio::test]
    async fn somebody_who_guesses_does_not_end_the_wait() {
        const GUESS: [u8; 48] = [0b0010_0100; 48];
        let samples = ask_server(server(HOUR, &[b"short", &GUESS]).await, BUILT).await;
        assert_eq!(samples.len(), 1);
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer() {
        let port = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        assert_eq!(ask_server(port, BUILT).await, []);
    }
}
