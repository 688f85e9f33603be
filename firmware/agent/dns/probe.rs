//! Asks the stub as a program on the box would, for a name that it answers by itself, whatever the door.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::net::UdpSocket;
use tokio::time::timeout;

const STUB: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 53);
const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_ANSWER: usize = 512;

/// Whether names are answered at 127.0.0.1 right now.
pub async fn probe() -> anyhow::Result<()> {
    ask(STUB).await.with_context(|| format!("{} does not answer names", STUB.ip()))
}

async fn ask(stub: SocketAddr) -> anyhow::Result<()> {
    let mut question = Message::query();
    question.add_query(Query::query(Name::from_ascii("localhost.")?, RecordType::A));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(stub).await?;
    socket.send(&question.to_vec()?).await?;
    let mut buffer = [0; LONGEST_ANSWER];
    let length = timeout(PATIENCE, socket.recv(&mut buffer))
        .await
        .with_context(|| format!("silent for {} s", PATIENCE.as_secs()))??;
    let answer = Message::from_vec(&buffer[..length])?;
    let answers_it = answer.message_type == MessageType::Response && answer.id == question.id;
    ensure!(answers_it && answer.queries == question.queries, "it answers something else");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers one question with what `answer` makes of it.
    async fn stub(answer: impl FnOnce(Message) -> Message + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; LONGEST_ANSWER];
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let answer = answer(Message::from_vec(&buffer[..length]).unwrap());
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn hears_whether_its_own_question_is_answered() {
        let right = stub(|mut question| {
            question.metadata.message_type = MessageType::Response;
            question
        });
        ask(right.await).await.unwrap();
        let echo = stub(|question| question);
        assert_eq!(ask(echo.await).await.unwrap_err().to_string(), "it answers something else");
        let other = stub(|question| {
            Message::error_msg(question.id.wrapping_add(1), question.op_code, question.response_code)
        });
        assert!(ask(other.await).await.is_err());
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        assert!(ask(nobody).await.is_err());
    }
}
