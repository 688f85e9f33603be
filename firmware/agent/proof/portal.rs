//! Looks whether the house's network answers in the control server's place (a captive portal): asks for a page that the
//! server cannot have, in the clear, as such networks want to be asked.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::config::{Host, Url};
use crate::dns::own::Names;
use crate::http::drive;

const PORT: u16 = 80;
const PAGE: &str = "/no-such-page";
/// For everything.
const LIMIT: Duration = Duration::from_secs(3);
/// What is longer is cut: it is told to people.
const LONGEST: usize = 200;

/// Where to log in; `None`: nobody answers in the server's place, or nobody at all.
pub(super) async fn look(host: &Host, names: &Names) -> Option<String> {
    let asked = timeout(LIMIT, ask(host, names)).await;
    match asked {
        Ok(Ok((status, location))) => login_page(host, status, location.as_deref()),
        Ok(Err(error)) => {
            tracing::debug!("no login page is seen: {error:#}");
            None
        }
        Err(_) => None,
    }
}

async fn ask(host: &Host, names: &Names) -> Result<(StatusCode, Option<String>)> {
    let addresses = names.resolve(host).await?;
    let address = addresses.first().context("it has no address")?;
    let stream = names.way().connect(SocketAddr::new(*address, PORT)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(PAGE).header(header::HOST, host.to_string()).body(Empty::<Bytes>::new())?;
    let answer = drive(connection, sender.send_request(request)).await?;
    let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    Ok((answer.status(), location.map(str::to_owned)))
}

/// A page that the server cannot have, another machine to go on to, or the very word for it (RFC 6585 6).
fn login_page(host: &Host, status: StatusCode, location: Option<&str>) -> Option<String> {
    let here = || format!("http://{host}/");
    let elsewhere = location.filter(|location| leads_away(host, location));
    let page = match elsewhere {
        Some(page) if status.is_redirection() => page.to_owned(),
        _ if status.is_success() || status == StatusCode::NETWORK_AUTHENTICATION_REQUIRED => here(),
        Some(_) | None => return None,
    };
    Some(page.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect())
}

/// To another machine by its URL; a path alone leads nowhere else.
fn leads_away(host: &Host, location: &str) -> bool {
    location.parse::<Url>().is_ok_and(|url| url.host != *host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: u16, location: Option<&str>) -> Option<String> {
        let host = "headscale.example.com".parse().unwrap();
        login_page(&host, StatusCode::from_u16(status).unwrap(), location)
    }

    #[test]
    fn a_login_page_is_told_from_a_server_that_answers_for_itself() {
        let portal = "http://portal.example/login?from=x";
        assert_eq!(seen(302, Some(portal)).as_deref(), Some(portal));
        assert_eq!(seen(511, None).as_deref(), Some("http://headscale.example.com/"));
        assert_eq!(seen(200, None).as_deref(), Some("http://headscale.example.com/"));
        assert_eq!(seen(301, Some("https://headscale.example.com/no-such-page")), None);
        assert_eq!(seen(301, Some("/login")), None);
        assert_eq!(seen(404, None), None);
        assert_eq!(seen(404, Some(portal)), None);
    }

    #[test]
    fn what_a_portal_says_cannot_fill_a_screen() {
        let long = format!("http://portal.example/{}", "x".repeat(5000));
        assert_eq!(seen(302, Some(&long)).map(|page| page.len()), Some(LONGEST));
    }
}
