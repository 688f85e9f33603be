//! What the stub says: an upstream's answer with the question as the client put it, or its own word, with the reason as
//! an extended error (RFC 8914) where the client can read one.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "DNS's registries are open, and only a few of their values are ours"
)]

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use byway_core::Egress;
use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::{A, AAAA, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::question::{PAYLOAD, Question};

/// IANA's registry of extended errors.
const BLOCKED: u16 = 15;
const PROHIBITED: u16 = 18;
const NETWORK_ERROR: u16 = 23;
const OTHER: u16 = 0;
const EXTENDED_ERROR: u16 = 15;

/// RFC 6303 3: of what the box answers by itself.
const OWN_TTL: u32 = 3600;
/// A peer may have joined meanwhile.
const TAILNET_TTL: u32 = 60;
/// Of an upstream's words about its error.
const LONGEST_NOTE: usize = 200;

/// Who has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Door(Egress),
    Tailnet,
    House,
    Box,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Door(egress) => egress.fmt(f),
            Self::Tailnet => f.write_str("tailnet"),
            Self::House => f.write_str("house"),
            Self::Box => f.write_str("box"),
        }
    }
}

/// Why an answer is not what was hoped for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    code: u16,
    pub(super) text: String,
}

/// An answer, whoever it goes to.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) by: By,
    pub(super) cached: bool,
    pub(super) note: Option<Note>,
    message: Message,
}

impl Reply {
    /// What an upstream has said, or the cache kept of it.
    pub(super) fn of(by: By, message: Message) -> Self {
        Self { by, cached: false, note: None, message }
    }

    pub(super) fn out_of_cache(self) -> Self {
        Self { cached: true, ..self }
    }

    /// No door is open.
    pub(super) fn sealed() -> Self {
        Self::failure(By::Box, PROHIBITED, "no door is open: the box answers no name of the internet")
    }

    pub(super) fn no_answer(by: By, reason: &str) -> Self {
        Self::failure(by, NETWORK_ERROR, reason)
    }

    pub(super) fn too_busy() -> Self {
        Self::failure(By::Box, OTHER, "too many questions at once: ask again")
    }

    fn failure(by: By, code: u16, text: &str) -> Self {
        let message = own(ResponseCode::ServFail);
        Self { by, cached: false, note: Some(Note { code, text: text.to_owned() }), message }
    }

    /// Of private addresses that were left out of it.
    pub(super) fn without_private(self) -> Self {
        let text = "an address of a private network was left out: see allow_private".to_owned();
        Self { note: Some(Note { code: BLOCKED, text }), ..self }
    }

    /// There is no such peer; or there is, and nothing of this type.
    pub(super) fn no_peer(zone: &str, code: ResponseCode) -> Self {
        let mut message = own(code);
        message.add_authority(start_of_authority(zone, TAILNET_TTL));
        Self::of(By::Tailnet, message)
    }

    /// A name that is nobody's; the zone itself is there, and empty.
    pub(super) fn nobodys(question: &Question, zone: &str) -> Self {
        let name = question.name();
        let is_localhost = zone == "localhost";
        let loopback = match question.query.query_type() {
            RecordType::A if is_localhost => Some(RData::A(A(Ipv4Addr::LOCALHOST))),
            RecordType::AAAA if is_localhost => Some(RData::AAAA(AAAA(Ipv6Addr::LOCALHOST))),
            _ => None,
        };
        let mut message =
            own(if is_localhost || name == zone { ResponseCode::NoError } else { ResponseCode::NXDomain });
        message.metadata.authoritative = true;
        match loopback {
            Some(address) => {
                message.add_answer(Record::from_rdata(question.query.name().clone(), OWN_TTL, address));
            }
            None => {
                message.add_authority(start_of_authority(zone, OWN_TTL));
            }
        }
        Self::of(By::Box, message)
    }

    pub(super) fn code(&self) -> ResponseCode {
        self.message.response_code
    }

    /// As `dig` writes it: `NOERROR`.
    pub(super) fn code_name(&self) -> String {
        match self.code() {
            ResponseCode::NoError => "NOERROR".to_owned(),
            ResponseCode::FormErr => "FORMERR".to_owned(),
            ResponseCode::ServFail => "SERVFAIL".to_owned(),
            ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
            ResponseCode::NotImp => "NOTIMP".to_owned(),
            ResponseCode::Refused => "REFUSED".to_owned(),
            other => format!("RCODE{}", u16::from(other)),
        }
    }

    /// Why it is not what was hoped for, in the box's words or the upstream's.
    pub(super) fn reason(&self) -> Option<String> {
        if let Some(note) = &self.note {
            return Some(note.text.clone());
        }
        let told = self.message.edns.as_ref()?.option(EdnsCode::from(EXTENDED_ERROR))?;
        let EdnsOption::Unknown(_, data) = told else { return None };
        let (code, text) = data.split_at_checked(2)?;
        let code = u16::from_be_bytes(code.try_into().ok()?);
        let text = String::from_utf8_lossy(text);
        Some(format!("the upstream says: extended error {code} {text}").trim_end().to_owned())
    }

    pub(super) fn answers(&self) -> &[Record] {
        &self.message.answers
    }

    /// As bytes of at most `room`; what does not fit is asked for again by TCP.
    pub(super) fn encode(&self, question: &Question, room: u16) -> Vec<u8> {
        let message = self.to(question);
        match message.to_vec() {
            Ok(bytes) if bytes.len() <= usize::from(room) => bytes,
            Ok(_) => {
                let mut cut = message.truncate();
                if let Some(edns) = &mut cut.edns {
                    edns.options_mut().options.clear();
                }
                cut.to_vec().unwrap_or_else(|_| header(question.id))
            }
            Err(_) => header(question.id),
        }
    }

    fn to(&self, question: &Question) -> Message {
        let mut message = Message::response(question.id, OpCode::Query);
        let said = &self.message;
        // RFC 6891 6.1.3: the higher half of a code travels in EDNS.
        let is_extended = said.response_code.high() > 0 && question.edns.is_none();
        message.metadata.response_code =
            if is_extended { ResponseCode::ServFail } else { said.response_code };
        message.metadata.authoritative = self.by == By::Box && said.authoritative;
        // RFC 6840 5.8: only to those who can read it.
        let reads = question.authentic_data || question.edns.as_ref().is_some_and(|edns| edns.dnssec_ok);
        message.metadata.authentic_data = said.authentic_data && reads;
        message.metadata.recursion_desired = question.recursion_desired;
        message.metadata.checking_disabled = question.checking_disabled;
        message.metadata.recursion_available = true;
        message.add_query(question.query.clone());
        message.insert_answers(said.answers.clone());
        message.insert_authorities(said.authorities.clone());
        message.insert_additionals(said.additionals.clone());
        if let Some(client) = &question.edns {
            message.set_edns(self.edns(client.dnssec_ok));
        }
        message
    }

    /// An upstream's word on subnets and its errors go on to the client, what belongs to its connection does not.
    fn edns(&self, dnssec_ok: bool) -> Edns {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        edns.set_dnssec_ok(dnssec_ok);
        let told = self.message.edns.iter().flat_map(|edns| &edns.options().options);
        for (code, option) in told {
            if let EdnsOption::Unknown(EXTENDED_ERROR, data) = option {
                let data = data[..data.len().min(LONGEST_NOTE)].to_vec();
                edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, data));
            } else if *code == EdnsCode::Subnet {
                edns.options_mut().insert(option.clone());
            }
        }
        if let Some(Note { code, text }) = &self.note {
            let mut data = code.to_be_bytes().to_vec();
            data.extend(text.as_bytes());
            edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, data));
        }
        edns
    }
}

fn own(code: ResponseCode) -> Message {
    let mut message = Message::response(0, OpCode::Query);
    message.metadata.response_code = code;
    message
}

/// That it failed, when even that cannot be said in full.
fn header(id: u16) -> Vec<u8> {
    Message::error_msg(id, OpCode::Query, ResponseCode::ServFail).to_vec().unwrap_or_default()
}

/// RFC 6303 3.
fn start_of_authority(zone: &str, ttl: u32) -> Record {
    let root = Name::root();
    let zone = Name::from_ascii(format!("{zone}.")).unwrap_or_else(|_| root.clone());
    let soa = SOA::new(zone.clone(), root, 1, 3600, 1200, 604_800, ttl);
    Record::from_rdata(zone, ttl, RData::SOA(soa))
}
