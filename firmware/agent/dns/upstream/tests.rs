//! An upstream's servers over loopback: which is asked, when another one is, and what is believed.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};

use super::super::fake::{Fake, Says, question, to, upstream, with_address};
use super::*;

#[tokio::test]
async fn an_upstream_that_refuses_or_answers_something_else_is_told_apart() {
    let lies: Says = |question| {
        let mut answer = to(question);
        answer.queries[0].set_name(Name::from_ascii("other.example.").unwrap());
        Some(answer)
    };
    let refuses: Says = |question| {
        let mut answer = to(question);
        answer.metadata.response_code = ResponseCode::Refused;
        Some(answer)
    };
    let asked = question("www.example.", RecordType::A).to_upstream();
    // By UDP it may be somebody else who lies: the true answer is waited for.
    let fake = Fake::start(lies, Some(lies)).await;
    assert_eq!(fake.upstream().ask(&asked).await, Err(Failure::Silent));
    let fake = Fake::start(refuses, None).await;
    assert_eq!(fake.upstream().ask(&asked).await, Err(Failure::Refuses));
    let truncated: Says = |question| {
        let mut answer = to(question);
        answer.metadata.truncation = true;
        Some(answer)
    };
    let fake = Fake::start(truncated, Some(lies)).await;
    assert_eq!(fake.upstream().ask(&asked).await, Err(Failure::OtherQuestion));
}

#[tokio::test]
async fn another_server_answers_for_one_that_is_silent_and_is_asked_first_from_then_on() {
    let fake = Fake::start(|question| Some(with_address(question, 0, [203, 0, 113, 7])), None).await;
    let silent = std::net::UdpSocket::bind(("127.0.0.2", fake.address.port())).unwrap();
    silent.set_nonblocking(true).unwrap();
    let servers = upstream(&["127.0.0.2".parse().unwrap(), fake.address.ip()], fake.address.port());
    let asked = question("www.example.", RecordType::A).to_upstream();
    let was_asked = || std::iter::from_fn(|| silent.recv(&mut [0; 512]).ok()).count() > 0;
    assert!(servers.ask(&asked).await.is_ok());
    assert!(was_asked());
    assert!(servers.ask(&asked).await.is_ok());
    assert!(!was_asked());
}

#[tokio::test]
async fn one_that_cannot_find_out_gets_a_rival_and_is_believed_if_nobody_knows_better() {
    let lost: Says = |question| {
        let mut answer = to(question);
        answer.metadata.response_code = ResponseCode::ServFail;
        Some(answer)
    };
    let asked = question("www.example.", RecordType::A).to_upstream();
    let fake = Fake::start(lost, None).await;
    let answer = fake.upstream().ask(&asked).await.unwrap();
    assert_eq!(answer.response_code, ResponseCode::ServFail);
    let knows = Fake::start_at("127.0.0.2", fake.address.port(), |question| {
        Some(with_address(question, 0, [203, 0, 113, 7]))
    })
    .await;
    let both = upstream(&[fake.address.ip(), knows.address.ip()], fake.address.port());
    assert_eq!(both.ask(&asked).await.unwrap().answers.len(), 1);
}

#[tokio::test]
async fn one_that_does_not_know_edns_is_asked_without() {
    let old: Says = |question| {
        let mut answer = with_address(question, 0, [203, 0, 113, 7]);
        if question.edns.is_some() {
            answer.answers.clear();
            answer.metadata.response_code = ResponseCode::FormErr;
        }
        Some(answer)
    };
    let fake = Fake::start(old, None).await;
    let asked = question("www.example.", RecordType::A).to_upstream();
    assert_eq!(fake.upstream().ask(&asked).await.unwrap().answers.len(), 1);
}

#[tokio::test]
async fn a_stranger_s_question_waits_for_its_turn_and_is_not_held_against_the_upstream() {
    let fake = Fake::start(|_| None, None).await;
    let busy = fake.upstream();
    let asked = question("www.example.", RecordType::A).to_upstream();
    let hogs: FuturesUnordered<_> = (0..=MOST_AT_ONCE).map(|_| busy.ask(&asked)).collect();
    let outcomes: Vec<_> = hogs.collect().await;
    let turned_away = outcomes.iter().filter(|outcome| **outcome == Err(Failure::Busy)).count();
    assert_eq!(turned_away, 1);
}

#[test]
fn a_failure_tells_no_profile() {
    let quoted = "certificate not valid for name \"abc123.dns.nextdns.io\"".to_owned();
    let told = Failure::Tls(quoted).without("abc123.dns.nextdns.io", "tls://*.dns.nextdns.io").to_string();
    assert!(!told.contains("abc123") && told.contains("*.dns.nextdns.io"), "{told}");
}
