//! What the stub makes of a question and of an upstream's answer to it, without a network between: for the fuzzers, who
//! write both.

use std::time::Instant;

use byway_core::Egress;
use hickory_proto::op::Message;

use super::cache::Cache;
use super::private;
use super::question::{Heard, hear};
use super::reply::{By, Reply};
use super::upstream::answer_to;

/// The datagram that goes back to the client, and the most that it has room for; `None`: there is none.
pub fn rehearse(question: &[u8], answer: &[u8]) -> Option<(Vec<u8>, usize)> {
    let question = match hear(question) {
        Heard::Question(question) => question,
        Heard::Refusal(refusal) => return Some((refusal.to_vec().ok()?, question.len().max(512))),
        Heard::Noise => return None,
    };
    let (asked, key, now) = (question.to_upstream(), question.key(), Instant::now());
    let answer = Message::from_vec(answer)
        .map_err(|_| ())
        .and_then(|answer| answer_to(&asked, answer).map_err(|_| ()));
    let by = By::Door(Egress::Privacy);
    let reply = match answer {
        Ok(mut message) => {
            let less = private::leave_out(&mut message, &key.name, &[]);
            let cache = Cache::new();
            let kept = cache.keep(key.clone(), message, now);
            let reply = Reply::of(by, cache.get(&key, now).unwrap_or(kept));
            if less { reply.without_private() } else { reply }
        }
        Err(()) => Reply::no_answer(by, "not understood"),
    };
    Some((reply.encode(&question, question.room()), question.room().into()))
}
