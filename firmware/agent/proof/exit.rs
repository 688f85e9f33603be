//! The exit check: asks a web server, by one way out, which address it sees. Whether the answer is good enough is
//! decided in byway-core.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use byway_core::Exit;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::config::{Host, Scheme, Url};
use crate::dns::own::Names;
use crate::http::drive;
use crate::tls::{Trust, server_name};

/// For a whole check: look-up, both families, everything.
const LIMIT: Duration = Duration::from_secs(5);
/// How long the slower family is waited for once the faster one has answered.
const GRACE: Duration = Duration::from_secs(1);
const LARGEST_ANSWER: usize = 64 * 1024;
const LONGEST_CITY: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum ExitCheckError {
    #[error("{0}")]
    Resolve(String),
    #[error("no connection to {to}: {cause}")]
    Connect { to: SocketAddr, cause: io::Error },
    #[error("no safe connection to the check host: {0}")]
    Tls(String),
    #[error("the check host answers with status {0}: does check_url lead to the answer itself?")]
    Status(u16),
    #[error("the check host's answer is no exit check: {0}")]
    Answer(String),
    #[error("no answer from the check host within {} s", .0.as_secs())]
    Late(Duration),
}

/// A way to the check host: its addresses, and connections to them.
pub(crate) trait Reach: Sync {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Never an empty list; or in words why there is none.
    fn resolve(&self, host: &Host) -> impl Future<Output = Result<Vec<IpAddr>, String>> + Send;

    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Reach for Names {
    type Stream = TcpStream;

    async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, String> {
        Names::resolve(self, host).await.map_err(|error| error.to_string())
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.way().connect(to).await
    }
}

/// Who is asked, and whom its certificate may come from.
pub struct ExitCheck {
    url: Url,
    tls: Result<TlsConnector, String>,
}

impl ExitCheck {
    pub fn new(url: Url, trust: &Trust) -> Self {
        let tls = match url.scheme {
            Scheme::Http => Err("the URL says http".to_owned()),
            Scheme::Https => trust.clone().map(TlsConnector::from),
        };
        Self { url, tls }
    }

    /// Asks by the way of `names`, once a family; one answer a family that works, never an empty list.
    pub async fn ask(&self, names: &Names) -> Result<Vec<Exit>, ExitCheckError> {
        self.ask_by(names, LIMIT).await
    }

    /// As [`ExitCheck::ask`], by any way and with any patience.
    pub(crate) async fn ask_by(
        &self,
        way: &impl Reach,
        limit: Duration,
    ) -> Result<Vec<Exit>, ExitCheckError> {
        let deadline = Instant::now() + limit;
        let Ok(addresses) = timeout_at(deadline, way.resolve(&self.url.host)).await else {
            return Err(ExitCheckError::Late(limit));
        };
        let answers = self.ask_each_family(way, &addresses.map_err(ExitCheckError::Resolve)?, deadline).await;
        answers.unwrap_or(Err(ExitCheckError::Late(limit)))
    }

    /// `None`: somebody who was asked has not answered in time, and nobody else has.
    async fn ask_each_family(
        &self,
        way: &impl Reach,
        addresses: &[IpAddr],
        deadline: Instant,
    ) -> Option<Result<Vec<Exit>, ExitCheckError>> {
        let v4 = addresses.iter().find(|address| address.is_ipv4());
        let v6 = addresses.iter().find(|address| address.is_ipv6());
        let mut asked: FuturesUnordered<_> =
            v4.into_iter().chain(v6).map(|address| self.ask_at(way, *address)).collect();
        let (mut seen, mut failed, mut until) = (Vec::new(), Vec::new(), deadline);
        while let Some(answer) = timeout_at(until, asked.next()).await.unwrap_or(None) {
            match answer {
                Ok(answer) => {
                    seen.push(answer);
                    until = until.min(Instant::now() + GRACE);
                }
                Err(error) => failed.push(error),
            }
        }
        seen.sort_by_key(|seen: &Exit| seen.address);
        match failed.pop() {
            _ if !seen.is_empty() => Some(Ok(seen)),
            Some(error) if asked.is_empty() => Some(Err(error)),
            Some(_) | None => None,
        }
    }

    async fn ask_at(&self, way: &impl Reach, address: IpAddr) -> Result<Exit, ExitCheckError> {
        let to = SocketAddr::new(address, self.url.port);
        let stream = way.connect(to).await.map_err(|cause| ExitCheckError::Connect { to, cause })?;
        match self.url.scheme {
            Scheme::Http => self.get(stream).await,
            Scheme::Https => {
                let tls = self.tls.as_ref().map_err(|reason| ExitCheckError::Tls(reason.clone()))?;
                let name = server_name(&self.url.host).map_err(ExitCheckError::Tls)?;
                let stream = tls.connect(name, stream).await;
                self.get(stream.map_err(|error| ExitCheckError::Tls(error.to_string()))?).await
            }
        }
    }

    async fn get(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<Exit, ExitCheckError> {
        let request = Request::get(&self.url.path)
            .header(header::HOST, self.url.authority())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("byway/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(unreadable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreadable)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(unreadable)?;
            match response.status() {
                StatusCode::OK => Limited::new(response, LARGEST_ANSWER).collect().await.map_err(unreadable),
                status => Err(ExitCheckError::Status(status.as_u16())),
            }
        };
        parse(&drive(connection, answer).await?.to_bytes())
    }
}

impl std::fmt::Debug for ExitCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExitCheck").field("url", &self.url).finish_non_exhaustive()
    }
}

/// As `am.i.mullvad.net/json` answers; other hosts may leave all but the address out.
#[derive(Deserialize)]
struct Answer {
    ip: IpAddr,
    mullvad_exit_ip: Option<bool>,
    city: Option<String>,
}

fn parse(body: &[u8]) -> Result<Exit, ExitCheckError> {
    let answer: Answer = serde_json::from_slice(body).map_err(unreadable)?;
    let city = answer.city.map(|city| printable(&city)).filter(|city| !city.is_empty());
    // A server that listens for both families at once writes IPv4 as `::ffff:192.0.2.1`.
    Ok(Exit { address: answer.ip.to_canonical(), mullvad: answer.mullvad_exit_ip, city })
}

/// A stranger's words end on the owner's terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_CITY).collect()
}

fn unreadable(error: impl std::fmt::Display) -> ExitCheckError {
    ExitCheckError::Answer(error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A web server on loopback that gives every client the same answer; returns its port.
    async fn web_server(answer: String) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut request = Vec::with_capacity(4096);
                while client.read_buf(&mut request).await.unwrap() > 0
                    && request.starts_with(b"GET ")
                    && !request.ends_with(b"\r\n\r\n")
                {}
                client.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        port
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    async fn ask(url: &str) -> Result<Vec<Exit>, ExitCheckError> {
        ExitCheck::new(url.parse().unwrap(), &crate::tls::trust(&crate::tls::authorities()))
            .ask(&Names::by_tunnel("lo", &[]))
            .await
    }

    async fn ask_for(answer: String) -> Result<Vec<Exit>, ExitCheckError> {
        ask(&format!("http://127.0.0.1:{}/json", web_server(answer).await)).await
    }

    #[tokio::test]
    async fn hears_how_the_world_sees_it() {
        let body = r#"{"ip":"192.0.2.130","mullvad_exit_ip":true,"mullvad_exit_ip_hostname":"se-got-wg-001","city":"Gothenburg","organization":null}"#;
        let seen = Exit {
            address: "192.0.2.130".parse().unwrap(),
            mullvad: Some(true),
            city: Some("Gothenburg".to_owned()),
        };
        assert_eq!(ask_for(ok(body)).await.unwrap(), [seen]);
    }

    #[tokio::test]
    async fn takes_an_answer_that_ends_with_the_connection() {
        let answer = "HTTP/1.0 200 OK\r\n\r\n{\"ip\":\"::ffff:192.0.2.1\"}".to_owned();
        let seen = ask_for(answer).await.unwrap();
        assert_eq!((seen[0].address, seen[0].mullvad), ("192.0.2.1".parse().unwrap(), None));
    }

    #[tokio::test]
    async fn follows_no_redirect() {
        let moved =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n".to_owned();
        assert!(matches!(ask_for(moved).await, Err(ExitCheckError::Status(302))));
    }

    #[tokio::test]
    async fn refuses_what_is_no_exit_check() {
        for body in ["<html>log in</html>", r#"{"ip":"here"}"#, "{}", &"x".repeat(LARGEST_ANSWER + 1)] {
            let answer = ask_for(ok(body)).await;
            assert!(matches!(answer, Err(ExitCheckError::Answer(_))), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn trusts_no_server_that_speaks_plainly_where_tls_was_asked() {
        let port = web_server(ok(r#"{"ip":"192.0.2.130"}"#)).await;
        let answer = ask(&format!("https://127.0.0.1:{port}/")).await;
        assert!(matches!(answer, Err(ExitCheckError::Tls(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn says_where_nobody_listens() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let error = ask(&format!("http://127.0.0.1:{port}/")).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("no connection to 127.0.0.1:{port}: ")), "{error}");
    }

    #[tokio::test]
    async fn waits_no_longer_than_it_may() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = ask(&format!("http://127.0.0.1:{port}/")).await;
        assert!(matches!(answer, Err(ExitCheckError::Late(LIMIT))), "{answer:?}");
        drop(listener);
    }

    #[test]
    fn keeps_a_strangers_words_printable() {
        let body = format!(r#"{{"ip":"192.0.2.1","city":"\u001b[2J{}"}}"#, "x".repeat(100));
        let city = parse(body.as_bytes()).unwrap().city.unwrap();
        assert_eq!(city, format!("[2J{}", "x".repeat(61)));
    }
}
