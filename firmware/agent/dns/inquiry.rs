//! What a person at the box asks (`byway dns`): the same way as a client's question, and told with whose the answer is.

use std::str::FromStr as _;
use std::sync::Arc;

use byway_core::Egress;
use hickory_proto::op::Query;
use hickory_proto::rr::{Name, Record, RecordType};
use tokio::sync::mpsc;

use super::Stub;
use super::question::Question;
use super::reply::By;
use crate::clock;
use crate::control::{Asked, Question as Inquiry, Told};

pub(super) async fn serve(stub: Arc<Stub>, mut inquiries: mpsc::Receiver<Inquiry>) {
    while let Some(inquiry) = inquiries.recv().await {
        let stub = Arc::clone(&stub);
        // Whoever asked may have gone away.
        tokio::spawn(async move {
            match inquiry {
                Inquiry::Ask { asked, answer } => _ = answer.send(tell(&stub, asked).await),
                Inquiry::Log { answer } => _ = answer.send(stub.log.told()),
            }
        });
    }
}

async fn tell(stub: &Stub, Asked { name, kind }: Asked) -> Result<Told, String> {
    let full = Name::from_ascii(format!("{name}.")).map_err(|error| error.to_string())?;
    let query = Query::query(full, RecordType::from_str(&kind).map_err(|error| error.to_string())?);
    let question = Question::plain(query);
    let began = clock::uptime();
    let reply = stub.reply(&question).await;
    let took = clock::uptime().since(began);
    let dns = &stub.dns;
    let upstream = match reply.by {
        By::Door(Egress::Privacy) => Some(dns.privacy.to_string()),
        By::Door(Egress::Residential) => Some(dns.residential.to_string()),
        By::House => stub.house.address().map(|address| format!("udp://{address}")),
        By::Tailnet | By::Box => None,
    };
    Ok(Told {
        name,
        kind,
        rcode: reply.code_name(),
        answers: reply.answers().iter().map(line).collect(),
        by: reply.by.to_string(),
        upstream,
        cached: reply.cached,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        note: reply.reason(),
    })
}

/// As zone files have it, without the class.
fn line(record: &Record) -> String {
    format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data)
}
