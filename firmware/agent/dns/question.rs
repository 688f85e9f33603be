//! Which messages are questions that the stub answers, and what of a question goes on to an upstream: the client's wish
//! for DNSSEC and its subnet as it sent them, nothing else of its own.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "DNS's registries are open, and only a few of their values are ours"
)]

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, RecordType};

/// What a datagram may hold that must not be cut into fragments on a way of 1280 bytes (DNS flag day 2020).
pub(super) const PAYLOAD: u16 = 1232;
/// RFC 1035 4.2.1: of a client that says nothing else.
const LEAST_PAYLOAD: u16 = 512;

/// One name and type of the internet's class, asked for once.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) id: u16,
    pub(super) query: Query,
    pub(super) recursion_desired: bool,
    pub(super) authentic_data: bool,
    pub(super) checking_disabled: bool,
    pub(super) edns: Option<ClientEdns>,
}

/// What of a client's EDNS (RFC 6891) is meant for the resolver.
#[derive(Clone, Debug)]
pub(super) struct ClientEdns {
    payload: u16,
    pub(super) dnssec_ok: bool,
    subnet: Option<EdnsOption>,
}

/// What tells two answers apart that may be kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: String,
    kind: RecordType,
    dnssec_ok: bool,
    checking_disabled: bool,
    subnet: Option<Vec<u8>>,
}

/// What came.
#[derive(Debug)]
pub(super) enum Heard {
    Question(Question),
    /// Answered without looking anything up.
    Refusal(Message),
    /// An answer, or nothing that could be answered: no word back, else two of a kind would talk for ever.
    Noise,
}

pub(super) fn hear(bytes: &[u8]) -> Heard {
    let Ok(message) = Message::from_vec(bytes) else { return malformed(bytes) };
    if message.message_type != MessageType::Query {
        return Heard::Noise;
    }
    let refusal = |code| Heard::Refusal(refusal(&message, code));
    let edns = message.edns.as_ref().map(client_edns);
    match (message.op_code, message.queries.as_slice()) {
        (OpCode::Query, [query]) => match query.query_type() {
            _ if message.edns.as_ref().is_some_and(|edns| edns.version() > 0) => {
                refusal(ResponseCode::BADVERS)
            }
            _ if query.query_class() != DNSClass::IN => refusal(ResponseCode::Refused),
            RecordType::AXFR | RecordType::IXFR => refusal(ResponseCode::Refused),
            // RFC 8482: nobody needs it, but whoever attacks a third.
            RecordType::ANY => refusal(ResponseCode::NotImp),
            _ => Heard::Question(Question {
                id: message.id,
                query: query.clone(),
                recursion_desired: message.recursion_desired,
                authentic_data: message.authentic_data,
                checking_disabled: message.checking_disabled,
                edns,
            }),
        },
        (OpCode::Query, _) => refusal(ResponseCode::FormErr),
        _ => refusal(ResponseCode::NotImp),
    }
}

/// The header alone is read: twelve bytes, of which the second pair holds the kind (RFC 1035 4.1.1).
fn malformed(bytes: &[u8]) -> Heard {
    match bytes.get(..12) {
        Some([high, low, flags, ..]) if flags & 0x80 == 0 => {
            let id = u16::from_be_bytes([*high, *low]);
            Heard::Refusal(Message::error_msg(id, OpCode::Query, ResponseCode::FormErr))
        }
        Some(_) | None => Heard::Noise,
    }
}

fn refusal(message: &Message, code: ResponseCode) -> Message {
    let mut refusal = Message::error_msg(message.id, message.op_code, code);
    refusal.metadata.recursion_desired = message.recursion_desired;
    refusal.metadata.recursion_available = true;
    refusal.add_queries(message.queries.iter().take(1).cloned());
    if message.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        refusal.set_edns(edns);
    }
    refusal
}

fn client_edns(edns: &Edns) -> ClientEdns {
    ClientEdns {
        payload: edns.max_payload(),
        dnssec_ok: edns.flags().dnssec_ok,
        subnet: edns.option(EdnsCode::Subnet).cloned(),
    }
}

#[cfg(test)]
impl ClientEdns {
    pub(super) const fn of(payload: u16, dnssec_ok: bool) -> Self {
        Self { payload, dnssec_ok, subnet: None }
    }
}

impl Question {
    /// As a person asks, without any extras.
    pub(super) fn plain(query: Query) -> Self {
        Self {
            id: 0,
            query,
            recursion_desired: true,
            authentic_data: false,
            checking_disabled: false,
            edns: None,
        }
    }

    /// In lower case, without the dot at its end.
    pub(super) fn name(&self) -> String {
        let mut name = self.query.name().to_lowercase().to_ascii();
        if name.ends_with('.') {
            name.pop();
        }
        name
    }

    pub(super) fn key(&self) -> Key {
        let subnet = self.edns.as_ref().and_then(|edns| edns.subnet.as_ref());
        Key {
            name: self.name(),
            kind: self.query.query_type(),
            dnssec_ok: self.edns.as_ref().is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: self.checking_disabled,
            subnet: subnet.and_then(|option| Vec::try_from(option).ok()),
        }
    }

    /// The longest answer that the client takes in one datagram.
    pub(super) fn room(&self) -> u16 {
        self.edns.as_ref().map_or(LEAST_PAYLOAD, |edns| edns.payload.clamp(LEAST_PAYLOAD, PAYLOAD))
    }

    /// The same question in the stub's own words.
    pub(super) fn to_upstream(&self) -> Message {
        let mut message = Message::query();
        message.add_query(self.query.clone());
        message.metadata.recursion_desired = true;
        // Whether the answer is authentic is told to those who ask for it (`Reply`), and kept for all.
        message.metadata.authentic_data = true;
        message.metadata.checking_disabled = self.checking_disabled;
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        if let Some(client) = &self.edns {
            edns.set_dnssec_ok(client.dnssec_ok);
            if let Some(subnet) = &client.subnet {
                edns.options_mut().insert(subnet.clone());
            }
        }
        message.set_edns(edns);
        message
    }
}
