//! Names and addresses of the tailnet, which tailscaled knows: asked over its own socket, so nothing leaves the box.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "DNS's registries are open, and only a few of their values are ours"
)]

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

use super::question::Question;
use super::reply::{By, Reply};
use crate::tailnet::LocalApi;

/// Of other types tailscaled knows nothing.
const TYPES: [RecordType; 3] = [RecordType::A, RecordType::AAAA, RecordType::PTR];

pub(super) async fn ask(tailscaled: &LocalApi, question: &Question, zone: &str) -> Reply {
    let (name, kind) = (question.name(), question.query.query_type());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !TYPES.contains(&kind) || !name.chars().all(is_plain) {
        return Reply::nobodys(question, zone);
    }
    let answer = match tailscaled.dns_query(&name, &kind.to_string()).await {
        Ok(bytes) => Message::from_vec(&bytes).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match answer {
        Ok(message) => match message.response_code {
            ResponseCode::NoError => Reply::of(By::Tailnet, message),
            // What it does not know it would ask others, and there are none.
            _ => Reply::nobodys(question, zone),
        },
        Err(error) => Reply::no_answer(By::Tailnet, &format!("tailscaled: {error}")),
    }
}
