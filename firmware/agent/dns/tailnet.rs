//! Names and addresses of the tailnet, which tailscaled knows: asked over its own socket, so nothing leaves the box.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "DNS's registries are open, and only a few of their values are ours"
)]

use byway_core::names::{TAILNET_REVERSE6, lies_in};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::sync::Semaphore;

use super::question::Question;
use super::reply::{By, Reply};
use crate::tailnet::LocalApi;

/// Each holds a connection to tailscaled.
const MOST_AT_ONCE: usize = 16;

#[derive(Debug)]
pub(super) struct Peers {
    tailscaled: LocalApi,
    turns: Semaphore,
}

impl Peers {
    pub(super) fn known_to(tailscaled: LocalApi) -> Self {
        Self { tailscaled, turns: Semaphore::new(MOST_AT_ONCE) }
    }

    /// `domain` is the tailnet's, `knows` whether tailscaled has its peers by now.
    pub(super) async fn ask(&self, question: &Question, domain: Option<&str>, knows: bool) -> Reply {
        let (name, kind) = (question.name(), question.query.query_type());
        let zone = zone(&name, domain);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.chars().all(is_plain) {
            return Reply::no_peer(&zone, ResponseCode::NXDomain);
        }
        // Of other types it knows nothing; whether there is such a peer, its addresses say.
        let (asked, is_known_type) = match kind {
            RecordType::A | RecordType::AAAA | RecordType::PTR => (kind, true),
            _ => (RecordType::A, false),
        };
        match self.look_up(&name, asked).await {
            Ok(message) => match message.response_code {
                ResponseCode::NoError if is_known_type && !message.answers.is_empty() => {
                    Reply::of(By::Tailnet, message)
                }
                ResponseCode::NoError => Reply::no_peer(&zone, ResponseCode::NoError),
                // What it does not know it would ask others, and there are none.
                _ if knows => Reply::no_peer(&zone, ResponseCode::NXDomain),
                _ => Reply::no_answer(By::Tailnet, "tailscaled does not know its peers yet"),
            },
            Err(error) => Reply::no_answer(By::Tailnet, &format!("tailscaled: {error}")),
        }
    }

    async fn look_up(&self, name: &str, kind: RecordType) -> Result<Message, String> {
        let _turn = self.turns.acquire().await;
        let answer = self.tailscaled.dns_query(name, &kind.to_string()).await;
        Message::from_vec(&answer.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    }
}

/// Which the start of authority of a "no" is of: the domain, or the part of the reverse tree that the name is in.
fn zone(name: &str, domain: Option<&str>) -> String {
    if let Some(domain) = domain.filter(|domain| lies_in(name, domain)) {
        return domain.to_owned();
    }
    if lies_in(name, TAILNET_REVERSE6) {
        return TAILNET_REVERSE6.to_owned();
    }
    let labels: Vec<&str> = name.rsplit('.').take(4).collect();
    labels.into_iter().rev().collect::<Vec<_>>().join(".")
}
