//! Asks Mullvad's API, by the house's line: one call after the other, each answered or refused within a bounded time.
//! Nothing is tried again, but for a new login where the last one is not accepted any more. When something is asked, and
//! what follows from the answer, is decided in byway-core.
//!
//! `server` is the way to it · `shape` what is said and heard · `refusal` what stands in the way. Where each of it is from:
//! docs/mullvad-api.md.

#[cfg(test)]
mod fake;
mod refusal;
mod server;
mod shape;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use byway_core::account::{Answer, Call, PublicKey, Refusal};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tokio::time::timeout;

use self::refusal::Asked;
use self::server::{Body, Reply, Server};
use self::shape::{NewDevice, NewKey, Token};
use super::relay_list;
use super::wire::{in_base64, is_name};
use crate::clock::wall;
use crate::config::Secret;
use crate::dns::own::Names;
use crate::tls::Trust;

/// For a call: look-up, connections, a login if need be.
const LIMIT: Duration = Duration::from_secs(15);
/// The list has some hundred KB.
const LARGEST_LIST: usize = 4 << 20;
const LARGEST_ANSWER: usize = 64 * 1024;
const LONGEST_ETAG: usize = 200;

/// Mullvad's API, as one account sees it.
pub struct Api {
    server: Server,
    account: Secret,
    limit: Duration,
    token: Option<Token>,
    etag: Option<HeaderValue>,
}

impl Api {
    /// `names` look it up by the house's line; `etag` is that of the list that is there already.
    pub fn new(account: Secret, trust: &Trust, names: Arc<Names>, etag: Option<&str>) -> Self {
        Self::at(Server::of_mullvad(trust, names), account, LIMIT, etag)
    }

    fn at(server: Server, account: Secret, limit: Duration, etag: Option<&str>) -> Self {
        let etag = etag.and_then(|etag| HeaderValue::from_str(etag).ok());
        Self { server, account, limit, token: None, etag }
    }

    /// By what the API knows the list that it gave last; `None`: it did not say.
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_ref()?.to_str().ok()
    }

    pub async fn call(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let limit = self.limit;
        let answer = timeout(limit, self.carry_out(call)).await;
        answer.unwrap_or_else(|_| Err(refusal::late(self.server.host(), limit)))
    }

    async fn carry_out(&mut self, call: &Call) -> Result<Answer, Refusal> {
        match call {
            Call::Relays => self.relays().await,
            Call::Expiry => {
                let account = self.authorized(get("/accounts/v1/accounts/me"), Asked::Account).await?;
                shape::expiry(&account).map(Answer::Expiry)
            }
            Call::Devices => {
                let devices = self.authorized(get("/accounts/v1/devices"), Asked::Account).await?;
                shape::devices(&devices).map(Answer::Devices)
            }
            Call::Register(key) => {
                let device = NewDevice { pubkey: &in_base64(key), hijack_dns: false };
                let request = send(Method::POST, "/accounts/v1/devices", &device);
                self.device(request, Asked::Account, key).await
            }
            Call::Replace { device, key } => {
                if !is_name(device) {
                    return Err(Refusal::NoSuchDevice);
                }
                let path = format!("/accounts/v1/devices/{device}/pubkey");
                let request = send(Method::PUT, &path, &NewKey { pubkey: &in_base64(key) });
                self.device(request, Asked::Device, key).await
            }
        }
    }

    async fn relays(&mut self) -> Result<Answer, Refusal> {
        let mut request = get("/app/v1/relays");
        let known = self.etag.clone();
        if let Some(etag) = &known {
            request.headers_mut().insert(header::IF_NONE_MATCH, etag.clone());
        }
        let reply = self.server.ask(request, LARGEST_LIST).await?;
        if known.is_some() && reply.status == StatusCode::NOT_MODIFIED {
            return Ok(Answer::Relays(None));
        }
        let body = reply.accepted(Asked::Account)?;
        let catalogue = relay_list::read(body)
            .map_err(|reason| reply.odd(format_args!("list of relays is of no use: {reason}")))?;
        let fits = |etag: &&HeaderValue| etag.len() <= LONGEST_ETAG && etag.to_str().is_ok();
        self.etag = reply.headers.get(header::ETAG).filter(fits).cloned();
        Ok(Answer::Relays(Some(catalogue)))
    }

    async fn device(
        &mut self,
        request: Request<Body>,
        asked: Asked,
        key: &PublicKey,
    ) -> Result<Answer, Refusal> {
        let reply = self.authorized(request, asked).await?;
        let device = shape::device(&reply)?;
        if device.key != *key {
            return Err(reply.odd(format_args!("device has another key than it was told")));
        }
        Ok(Answer::Device(device))
    }

    /// The answer to somebody who is logged in.
    async fn authorized(&mut self, request: Request<Body>, asked: Asked) -> Result<Reply, Refusal> {
        let mut reply = self.ask_with_token(request.clone()).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            // It was taken back, or is older than our clock says.
            self.token = None;
            reply = self.ask_with_token(request).await?;
        }
        reply.accepted(asked)?;
        Ok(reply)
    }

    async fn ask_with_token(&mut self, mut request: Request<Body>) -> Result<Reply, Refusal> {
        let bearer = match &self.token {
            Some(token) if token.is_good_at(wall()) => token.bearer.clone(),
            Some(_) | None => self.log_in().await?,
        };
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        self.server.ask(request, LARGEST_ANSWER).await
    }

    async fn log_in(&mut self) -> Result<HeaderValue, Refusal> {
        let login = shape::Login { account_number: self.account.reveal() };
        let reply = self.server.ask(send(Method::POST, "/auth/v1/token", &login), LARGEST_ANSWER).await?;
        reply.accepted(Asked::Login)?;
        let token = self.token.insert(shape::token(&reply)?);
        Ok(token.bearer.clone())
    }
}

impl fmt::Debug for Api {
    /// Leaves the account's number and the token out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("host", self.server.host()).finish_non_exhaustive()
    }
}

fn get(path: &str) -> Request<Body> {
    server::request(Method::GET, path, Vec::new())
}

fn send(method: Method, path: &str, body: &impl serde::Serialize) -> Request<Body> {
    let body = serde_json::to_vec(body).expect("a few texts are JSON");
    let mut request = server::request(method, path, body);
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

#[cfg(test)]
mod tests;
