//! The stub over loopback, with an upstream that says what it is told to say.

use std::net::Ipv4Addr;
use std::time::Duration;

use byway_core::Egress;
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::sync::watch;

use super::fake::{Fake, question, to, with_address};
use super::health::Health;
use super::opening::Opening;
use super::question::{ClientEdns, Heard, Question, hear};
use super::reply::{By, Reply};
use super::upstream::Upstream;

/// The privacy door, and the hand that shuts it.
fn opened(upstream: Upstream) -> (Opening, watch::Sender<Option<Egress>>) {
    let (hand, door) = watch::channel(Some(Egress::Privacy));
    (Opening::new(Egress::Privacy, upstream, door), hand)
}

/// For a minute, its zone says.
fn no_such_name(question: &Message) -> Message {
    let mut answer = to(question);
    answer.metadata.response_code = ResponseCode::NXDomain;
    let zone = Name::from_ascii("example.").unwrap();
    let soa = RData::SOA(SOA::new(zone.clone(), zone.clone(), 1, 1, 1, 1, 60));
    answer.add_authority(Record::from_rdata(zone, 60, soa));
    answer
}

async fn ask(opening: &Opening, question: &Question) -> Reply {
    match opening.remembered(question) {
        Some(reply) => reply,
        None => opening.ask(question, &["corp.example".to_owned()], &Health::default()).await,
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_its_own_time_and_not_across_openings() {
    let fake = Fake::start(|question| Some(with_address(question, 60, [203, 0, 113, 7])), None).await;
    let (opening, _hand) = opened(fake.upstream());
    let asked = question("www.example.", RecordType::A);
    assert!(!ask(&opening, &asked).await.cached);
    let again = ask(&opening, &asked).await;
    assert!(again.cached && again.answers().len() == 1);
    let shouted = question("WWW.Example.", RecordType::A);
    assert!(ask(&opening, &shouted).await.cached, "names have no case");
    assert!(!ask(&opening, &question("www.example.", RecordType::AAAA)).await.cached);
    assert_eq!(fake.asked(), 2);
    let (next, _hand) = opened(fake.upstream());
    assert!(!ask(&next, &asked).await.cached);
}

#[tokio::test]
async fn an_answer_without_time_is_not_kept() {
    let fake = Fake::start(|question| Some(with_address(question, 0, [203, 0, 113, 7])), None).await;
    let (opening, _hand) = opened(fake.upstream());
    for _ in 0..2 {
        assert!(!ask(&opening, &question("www.example.", RecordType::A)).await.cached);
    }
}

#[tokio::test]
async fn that_there_is_no_such_name_is_kept_as_its_zone_says() {
    let fake = Fake::start(|question| Some(no_such_name(question)), None).await;
    let (opening, _hand) = opened(fake.upstream());
    let asked = question("nobody.example.", RecordType::A);
    assert_eq!(ask(&opening, &asked).await.code(), ResponseCode::NXDomain);
    assert!(ask(&opening, &asked).await.cached);
}

#[tokio::test]
async fn whoever_waits_is_told_at_once_when_the_door_is_shut() {
    let fake = Fake::start(|_| None, None).await;
    let (opening, hand) = opened(fake.upstream());
    let asked = question("www.example.", RecordType::A);
    let shut = async {
        while fake.asked() == 0 {
            tokio::task::yield_now().await;
        }
        hand.send_replace(None);
        tokio::time::Instant::now()
    };
    let (reply, shut) = tokio::join!(ask(&opening, &asked), shut);
    assert!(shut.elapsed() < Duration::from_millis(1500), "took {:?}", shut.elapsed());
    assert_eq!(reply.code(), ResponseCode::ServFail);
    assert!(reply.note.unwrap().text.contains("no door is open"));
}

#[tokio::test]
async fn a_shut_opening_answers_nothing_that_it_has_kept() {
    let fake = Fake::start(|question| Some(with_address(question, 60, [203, 0, 113, 7])), None).await;
    let (opening, hand) = opened(fake.upstream());
    let asked = question("www.example.", RecordType::A);
    ask(&opening, &asked).await;
    // To the same door again: a new opening all the same.
    hand.send_replace(Some(Egress::Privacy));
    assert!(opening.remembered(&asked).is_none());
    assert_eq!(ask(&opening, &asked).await.code(), ResponseCode::ServFail);
}

#[tokio::test]
async fn a_private_address_is_left_out_unless_the_owner_allows_it() {
    let fake = Fake::start(|question| Some(with_address(question, 60, [192, 168, 1, 1])), None).await;
    let (opening, _hand) = opened(fake.upstream());
    let rebound = ask(&opening, &question("evil.example.", RecordType::A)).await;
    assert_eq!((rebound.code(), rebound.answers().len()), (ResponseCode::NoError, 0));
    assert!(rebound.note.unwrap().text.contains("allow_private"));
    let allowed = ask(&opening, &question("wiki.corp.example.", RecordType::A)).await;
    assert_eq!(allowed.answers().len(), 1);
}

#[tokio::test]
async fn what_does_not_fit_is_asked_for_by_tcp() {
    let fake = Fake::start(
        |question| {
            let mut answer = to(question);
            answer.metadata.truncation = true;
            Some(answer)
        },
        Some(|question| {
            let mut answer = to(question);
            for last in 1..=200 {
                let data = RData::A(A(Ipv4Addr::new(203, 0, 113, last)));
                answer.add_answer(Record::from_rdata(question.queries[0].name().clone(), 60, data));
            }
            Some(answer)
        }),
    )
    .await;
    let (opening, _hand) = opened(fake.upstream());
    let asked = question("long.example.", RecordType::A);
    let reply = ask(&opening, &asked).await;
    assert_eq!(reply.answers().len(), 200);
    let datagram = Message::from_vec(&reply.encode(&asked, asked.room())).unwrap();
    assert!(datagram.truncation && datagram.answers.is_empty() && datagram.queries.len() == 1);
    let stream = Message::from_vec(&reply.encode(&asked, u16::MAX)).unwrap();
    assert_eq!((stream.truncation, stream.answers.len()), (false, 200));
}

#[tokio::test]
async fn health_tells_the_last_failure_until_there_is_an_answer() {
    let health = Health::default();
    let silent = Fake::start(|_| None, None).await;
    let (opening, _hand) = opened(silent.upstream());
    let asked = question("www.example.", RecordType::A);
    let reply = opening.ask(&asked, &[], &health).await;
    assert_eq!(reply.code(), ResponseCode::ServFail);
    let report = health.report(Egress::Privacy);
    assert_eq!((report.failures, report.error.as_deref()), (1, Some("it does not answer")));
    let fake = Fake::start(|question| Some(with_address(question, 0, [203, 0, 113, 7])), None).await;
    let (opening, _hand) = opened(fake.upstream());
    opening.ask(&asked, &[], &health).await;
    let report = health.report(Egress::Privacy);
    assert_eq!((report.failures, report.error), (1, None));
    assert!(report.last_ok.is_some() && report.p50.is_some());
    assert_eq!(health.report(Egress::Residential), byway_core::names::NamesReport::default());
}

#[test]
fn what_is_no_question_is_refused_or_not_answered_at_all() {
    let refused = |bytes: &[u8]| match hear(bytes) {
        Heard::Refusal(refusal) => Some(refusal.response_code),
        Heard::Question(_) | Heard::Noise => None,
    };
    let mut message = question("www.example.", RecordType::A).to_upstream();
    assert!(matches!(hear(&message.to_vec().unwrap()), Heard::Question(_)));
    message.edns.as_mut().unwrap().set_version(1);
    assert_eq!(refused(&message.to_vec().unwrap()), Some(ResponseCode::BADVERS));
    message.edns = None;
    for (kind, code) in [
        (RecordType::ANY, ResponseCode::NotImp),
        (RecordType::AXFR, ResponseCode::Refused),
        (RecordType::IXFR, ResponseCode::Refused),
    ] {
        message.queries[0].set_query_type(kind);
        assert_eq!(refused(&message.to_vec().unwrap()), Some(code));
    }
    message.queries.clear();
    assert_eq!(refused(&message.to_vec().unwrap()), Some(ResponseCode::FormErr));
    assert_eq!(refused(&[7; 11]), None);
    assert_eq!(refused(&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff]), Some(ResponseCode::FormErr));
    let answer = Message::response(7, OpCode::Query).to_vec().unwrap();
    assert!(matches!(hear(&answer), Heard::Noise));
}

#[tokio::test]
async fn aliases_are_kept_no_longer_than_they_say_whatever_is_at_their_end() {
    let fake = Fake::start(
        |question| {
            let mut answer = no_such_name(question);
            let alias = RData::CNAME(CNAME(Name::from_ascii("example.").unwrap()));
            answer.add_answer(Record::from_rdata(question.queries[0].name().clone(), 0, alias));
            Some(answer)
        },
        None,
    )
    .await;
    let (opening, _hand) = opened(fake.upstream());
    for _ in 0..2 {
        assert!(!ask(&opening, &question("alias.example.", RecordType::A)).await.cached);
    }
}

#[test]
fn a_long_word_of_an_upstream_s_does_not_burst_the_datagram() {
    let mut asked = question("www.example.", RecordType::A);
    asked.edns = Some(ClientEdns::of(512, false));
    let mut message = to(&asked.to_upstream());
    for last in 1..=200 {
        let data = RData::A(A(Ipv4Addr::new(203, 0, 113, last)));
        message.add_answer(Record::from_rdata(asked.query.name().clone(), 60, data));
    }
    let mut edns = hickory_proto::op::Edns::new();
    edns.options_mut().insert(EdnsOption::Unknown(15, vec![b'x'; 4000]));
    message.set_edns(edns);
    let bytes = Reply::of(By::Door(Egress::Privacy), message).encode(&asked, asked.room());
    assert!(bytes.len() <= 512, "{} bytes", bytes.len());
    assert!(Message::from_vec(&bytes).unwrap().truncation);
}

#[test]
fn a_code_that_needs_edns_fails_plainly_without_it() {
    let asked = question("www.example.", RecordType::A);
    let mut message = to(&asked.to_upstream());
    message.metadata.response_code = ResponseCode::BADVERS;
    let bytes = Reply::of(By::Door(Egress::Privacy), message).encode(&asked, asked.room());
    assert_eq!(Message::from_vec(&bytes).unwrap().response_code, ResponseCode::ServFail);
}
