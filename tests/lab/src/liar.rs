//! A name server that no package has: over TLS it answers each question with the answer to another one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::certs::Identity;
use crate::internet::{accept, listen_at};
use crate::namespace::Namespace;
use crate::serving::Serving;

/// What its answers are about, whatever the question was.
const OTHER_NAME: &str = "other.q.example.net.";
/// Where they lead: nobody of the world lives there.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 66);

/// It lies until it is dropped.
#[derive(Debug)]
pub(crate) struct Liar(#[expect(dead_code, reason = "it serves as long as it is kept")] Serving);

impl Liar {
    /// Listens for DNS over TLS at both addresses.
    pub(crate) fn start(namespace: &Namespace, addresses: [IpAddr; 2], identity: &Identity) -> Result<Self> {
        let tls = identity.acceptor()?;
        let serving = Serving::start(namespace, "liar", move || async move {
            for address in addresses {
                let listener = listen_at(SocketAddr::new(address, 853)).await?;
                let tls = tls.clone();
                tokio::spawn(accept(listener, move |stream, _| serve(tls.clone(), stream)));
            }
            Ok(())
        });
        serving.map(Self)
    }
}

/// Message for message, each after its length (RFC 7858).
async fn serve(tls: TlsAcceptor, stream: TcpStream) -> Result<()> {
    let mut stream = tls.accept(stream).await?;
    loop {
        let mut question = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut question).await?;
        let answer = lie(&question)?;
        let length = u16::try_from(answer.len()).context("a lie of more than 64 KB")?;
        // In one write: nobody gets a length without its message.
        stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat()).await?;
        stream.flush().await?;
    }
}

/// The same but for the name: its question too is the other one.
fn lie(question: &[u8]) -> Result<Vec<u8>> {
    let question = Message::from_vec(question)?;
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    let name = Name::from_ascii(OTHER_NAME)?;
    for mut query in question.queries {
        query.set_name(name.clone());
        answer.add_query(query);
    }
    answer.add_answer(Record::from_rdata(name, 300, RData::A(A(NOWHERE))));
    Ok(answer.to_vec()?)
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;
    use hickory_proto::rr::RecordType;

    use super::*;

    #[test]
    fn a_lie_has_the_number_of_the_question_and_another_name() {
        let mut question = Message::query();
        question.add_query(Query::query(Name::from_ascii("true.q.example.net.").unwrap(), RecordType::A));
        let answer = Message::from_vec(&lie(&question.to_vec().unwrap()).unwrap()).unwrap();
        assert_eq!(answer.metadata.id, question.metadata.id);
        assert_eq!(answer.queries[0].name.to_string(), OTHER_NAME);
        assert_eq!(answer.answers[0].name.to_string(), OTHER_NAME);
    }
}
