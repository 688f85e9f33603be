//! What the clock makes of what a house's time servers and hosts with certificates say.

mod house;

use alloc::vec;
use std::string::ToString as _;

use house::{BOOT, BUILT, DAY, House, TRUTH, YEAR, at, found, now};

use super::*;
use crate::stamps::{Mark, Stamps};

#[test]
fn wakes_no_earlier_than_it_fell_asleep() {
    let asleep = BUILT + 30 * DAY;
    let stamp = |boot| Stamp { wall: asleep, uptime: at(3), boot, source: Source::Ntp };
    let woken = |found: &Found, wall| {
        let Woken { source, raise, .. } = found.wake(Now { uptime: at(10), wall, in_step: false });
        (source, raise)
    };
    let early = Duration::from_secs(10);
    assert_eq!(woken(&found(), early), (Source::Build, Some(BUILT)));
    let saved = Found { saved: Some(stamp(Boot(1))), ..found() };
    assert_eq!(woken(&saved, early), (Source::Saved, Some(asleep)));
    let written = Found { last_write: Some(asleep + DAY), ..saved.clone() };
    assert_eq!(woken(&written, early), (Source::Saved, Some(asleep + DAY)));
    let nonsense = Found { last_write: Some(BUILT + 6 * YEAR), ..found() };
    assert_eq!(woken(&nonsense, early), (Source::Build, Some(BUILT)));
    assert_eq!(woken(&saved, asleep + DAY), (Source::Saved, None));
    let battery = Found { has_rtc: true, ..saved };
    assert_eq!(woken(&battery, asleep + DAY), (Source::Rtc, None));
    assert_eq!(
        woken(&battery, asleep.saturating_sub(DAY)),
        (Source::Saved, Some(asleep)),
        "a battery that ran out"
    );
    assert_eq!(woken(&battery, BUILT + 6 * YEAR), (Source::None, None));
}

#[test]
fn an_agent_of_the_same_boot_goes_on_from_what_the_last_one_knew() {
    let stamp = Stamp { wall: TRUTH, uptime: at(100), boot: BOOT, source: Source::Ntp };
    // A file from before the clock was set back.
    let again = Found { saved: Some(stamp), last_write: Some(TRUTH + DAY), has_rtc: true, ..found() };
    let wake = |later: u64, wall, in_step| again.wake(Now { uptime: at(100 + later), wall, in_step });
    let minute = Duration::from_mins(1);
    let kept = Woken { source: Source::Ntp, raise: None, is_others: false };
    assert_eq!(wake(60, TRUTH + minute, true), kept, "what the kernel calls in step is our own doing");
    assert_eq!(
        wake(60, TRUTH.saturating_sub(3 * YEAR), false),
        Woken { raise: Some(TRUTH + minute), ..kept }
    );
    assert_eq!(wake(60, TRUTH + YEAR, false), Woken { source: Source::Rtc, ..kept }, "set by a stranger");
}

#[test]
fn a_clock_that_somebody_else_keeps_is_left_alone_until_he_stops() {
    let mut house = House::woken(TRUTH + YEAR);
    house.now.in_step = true;
    let woken = found().wake(house.now);
    house.clock = Clock::start(house.now, &found(), &woken, Ok(()));
    house.run(10_000);
    assert_eq!((house.source(), house.asked.len(), house.steps), (Source::Ntp, 0, 0));
    assert_eq!(house.clock.last(house.now), None);
    house.now.in_step = false;
    house.run(10_000);
    assert!(house.is_right() && !house.asked.is_empty());
}

#[test]
fn is_set_by_servers_that_agree_and_a_host_that_confirms() {
    for at_boot in [Duration::ZERO, TRUTH.saturating_sub(90 * DAY), TRUTH + 3 * YEAR] {
        let mut house = House::woken(at_boot);
        house.run(1);
        assert_eq!((house.source(), house.steps, house.referred), (Source::Ntp, 1, 1));
        assert!(house.is_right() && house.trouble().is_empty());
        assert_eq!(house.saved.len(), 1);
        assert_eq!((house.clock.report().answered, house.clock.report().agreed), (3, 3));
    }
}

#[test]
fn a_small_error_needs_no_confirmation_and_a_smaller_one_no_step() {
    for (error, slews, steps) in [(10, 0, 0), (100, 1, 0), (499, 1, 0), (600, 0, 1), (59_000, 0, 1)] {
        let mut house = House::woken(TRUTH + Duration::from_millis(error)).without_referee();
        house.run(1);
        assert_eq!((house.slews, house.steps, house.referred), (slews, steps, 0), "{error} ms");
        assert_eq!((house.source(), house.marked), (Source::Ntp, 1));
    }
}

#[test]
fn one_liar_is_outvoted_and_so_is_the_house_s_server() {
    let mut house = House::woken(TRUTH.saturating_sub(DAY)).lying(&[
        Some(YEAR),
        Some(Duration::ZERO),
        Some(Duration::ZERO),
    ]);
    house.houses_own = vec![YEAR; 5];
    house.servers.push(Some(Duration::ZERO));
    house.run(1);
    assert!(house.is_right() && house.complaint().is_none(), "{}", house.trouble());
    assert_eq!((house.clock.report().answered, house.clock.report().agreed), (9, 3));
}

#[test]
fn liars_in_unison_are_contradicted_and_told() {
    let mut house = House::woken(TRUTH);
    house.run(1);
    house.servers = vec![Some(3 * YEAR); 3];
    house.run(2 * 2048);
    assert_eq!((house.steps, house.source()), (0, Source::Tls));
    let complaint = house.complaint().unwrap();
    assert!(
        complaint.contains("say 2030-") && complaint.contains("hs.example.net contradicts"),
        "{complaint}"
    );
    house.servers = vec![Some(Duration::ZERO); 3];
    house.run(2048);
    assert_eq!(house.complaint(), None);
}

#[test]
fn liars_in_unison_do_not_keep_a_lost_clock_wrong() {
    let mut house = House::woken(BUILT).lying(&[Some(3 * YEAR); 3]);
    house.run(1);
    assert_eq!((house.source(), house.steps), (Source::Tls, 1));
    assert!(house.is_right() && house.complaint().is_some());
}

#[test]
fn without_a_referee_a_lost_clock_goes_forward_only() {
    let mut house = House::woken(BUILT).without_referee();
    house.run(1);
    assert!(house.is_right() && house.source() == Source::Ntp);

    let mut house = House::woken(TRUTH + DAY).without_referee();
    house.run(100);
    assert_eq!((house.source(), house.steps), (Source::Build, 0));
    assert!(house.trouble().contains("no certificate's host confirms it"), "{}", house.trouble());

    let mut house = House::woken(BUILT).lying(&[Some(6 * YEAR); 3]).without_referee();
    house.run(100);
    assert_eq!((house.source(), house.steps), (Source::Build, 0), "more than five years are not believed");

    let mut kept = House::woken(TRUTH).without_referee();
    kept.run(1);
    kept.servers = vec![Some(DAY); 3];
    kept.run(2 * 2048);
    assert_eq!((kept.source(), kept.steps), (Source::Ntp, 0), "what was right in this boot stays");
}

#[test]
fn silent_servers_leave_it_to_the_hosts_and_are_asked_again() {
    let mut house = House::woken(BUILT).lying(&[None; 3]);
    house.run(0);
    assert_eq!(house.referred, 0, "one lost packet is no silence");
    house.run(3);
    assert_eq!((house.source(), house.steps), (Source::Tls, 1));
    assert!(house.is_right() && house.complaint().is_none());
    assert_eq!(house.trouble(), "no time server answers");
    house.servers = vec![Some(Duration::ZERO); 3];
    house.run(64);
    assert_eq!((house.source(), house.trouble().as_str()), (Source::Ntp, ""));
}

#[test]
fn a_silence_of_hours_asks_no_host_while_the_clock_was_right_lately() {
    let mut house = House::woken(TRUTH);
    house.run(1);
    house.servers = vec![None; 3];
    house.run(23 * 3600);
    assert_eq!((house.source(), house.referred), (Source::Ntp, 0));
    house.run(2 * 3600);
    assert!(house.source() == Source::Tls && house.referred > 0);
}

#[test]
fn silence_everywhere_changes_nothing_and_is_asked_less_and_less() {
    let mut house = House::woken(BUILT).lying(&[None; 3]).without_referee();
    house.run(300);
    let asked: Vec<u64> = house.asked.iter().map(|asked| asked.since(at(10)).as_secs()).collect();
    assert_eq!(asked, [0, 1, 3, 7, 15, 31, 63, 127, 191, 255]);
    assert_eq!((house.source(), house.complaint()), (Source::Build, None));
    house.feed(Input::Uplink(false));
    assert_eq!(house.clock.deadline(), None);
    house.run(0);
    assert_eq!(house.asked.last(), Some(&house.now.uptime), "at once when the line is back");
}

#[test]
fn servers_or_hosts_at_odds_are_told_by_name() {
    let odds = [Some(Duration::ZERO), Some(YEAR)];
    let mut house = House::woken(TRUTH).lying(&odds).without_referee();
    house.run(1);
    let said = house.complaint().unwrap();
    assert!(said.contains("192.0.2.1 says 2027-02-09 00:00, 192.0.2.2 says 2028-02-09 00:00"), "{said}");

    let half = [Some(Duration::ZERO), Some(Duration::ZERO), Some(YEAR), Some(2 * YEAR)];
    let mut house = House::woken(TRUTH).lying(&half).without_referee();
    house.run(1);
    assert!(house.complaint().unwrap().contains("do not agree"), "two of four are not most");

    let mut house = House::woken(TRUTH).lying(&odds);
    house.run(1);
    assert_eq!((house.source(), house.complaint()), (Source::Ntp, None), "the confirmed one counts");

    let mut house = House::woken(TRUTH).lying(&[None]);
    house.dates = vec![TRUTH, TRUTH + YEAR];
    house.run(3);
    assert!(house.complaint().unwrap().contains("hs.example.net says 2027"), "{}", house.trouble());
    house.dates = vec![TRUTH, TRUTH + 9 * YEAR];
    house.run(64);
    assert_eq!(house.source(), Source::Tls, "an impossible date is none");
}

#[test]
fn a_lone_server_needs_a_host_that_confirms() {
    let mut house = House::woken(TRUTH).lying(&[]).without_referee();
    house.houses_own = vec![Duration::ZERO; 2];
    house.run(1);
    assert_eq!((house.source(), house.complaint()), (Source::Build, None));
    assert!(house.trouble().contains("only one time server answers, 192.0.2.100"), "{}", house.trouble());
    house.dates = vec![TRUTH];
    house.run(64);
    assert_eq!(house.source(), Source::Ntp);
}

#[test]
fn a_clock_that_cannot_be_set_is_told_and_tried_again() {
    let mut house = House::woken(TRUTH + DAY);
    house.refuses = true;
    house.run(10);
    assert_eq!(house.source(), Source::Build);
    assert!(
        house.trouble().contains("24 hours ahead and cannot be set: Operation not"),
        "{}",
        house.trouble()
    );
    house.refuses = false;
    house.run(64);
    assert!(house.is_right() && house.trouble().is_empty());

    let early = now(10, Duration::ZERO);
    let woken = found().wake(early);
    let clock = Clock::start(early, &found(), &woken, Err("Operation not permitted".to_string()));
    assert_eq!(clock.report().source, Some(Source::None));
    let complaint = clock.report().complaint().unwrap();
    assert!(complaint.contains("shows 1970-01-01 00:00 and cannot be set"), "{complaint}");
}

#[test]
fn somebody_else_s_clock_is_checked_and_not_set() {
    let found = Found { keep: Keep::None, ..found() };
    let mut house = House::found(&found, TRUTH + Duration::from_millis(700));
    house.run(1);
    assert_eq!((house.source(), house.steps + house.slews + house.marked), (Source::Ntp, 0));
    let mut house = House::found(&found, TRUTH + 3 * DAY);
    house.run(10);
    assert_eq!((house.source(), house.steps), (Source::Build, 0));
    assert!(house.trouble().contains("72 hours ahead, and [clock] keep = \"none\""), "{}", house.trouble());
    let early = House::found(&found, Duration::ZERO);
    assert!(early.complaint().unwrap().contains("shows 1970"));
}

#[test]
fn a_step_between_question_and_answer_is_made_up_for() {
    let mut house = House::woken(TRUTH);
    house.run(1);
    let asked = house.now;
    assert_eq!(house.clock.step(asked, Input::Uplink(false)), []);
    assert_eq!(house.clock.step(asked, Input::Uplink(true)), [Effect::Ask]);
    house.now.wall += 3 * YEAR;
    house.feed(Input::Answers(house.answers()));
    assert!(house.is_right() && house.steps == 1);
}

#[test]
fn a_clock_that_somebody_else_set_is_noticed_and_set_right() {
    let mut house = House::woken(TRUTH);
    house.run(60);
    house.now.wall += 3 * YEAR;
    house.run(17);
    assert!(house.is_right() && house.steps == 1, "{:?}", house.now);
    house.run(60);
    assert_eq!(house.asked.len(), 2, "its own steps are no surprise");
    assert_eq!(house.saved.len(), 2);
    house.now.wall += Duration::from_secs(5);
    house.run(60);
    assert_eq!((house.steps, house.saved.len()), (2, 2), "a few seconds are not worth a block");

    // Nor does that give liars a chance, though nobody contradicts them.
    house.dates.clear();
    house.servers = vec![Some(YEAR); 3];
    house.now.wall -= YEAR;
    house.run(17);
    assert!(house.trouble().contains("no certificate's host confirms"), "{}", house.trouble());
    house.servers = vec![Some(Duration::ZERO); 3];
    house.run(64);
    assert!(house.is_right() && house.source() == Source::Ntp);

    // Also where only the hosts answer.
    house.dates = vec![TRUTH; 2];
    house.servers = vec![None; 3];
    house.now.wall -= 3 * YEAR;
    house.run(17);
    assert!(house.is_right() && house.source() == Source::Tls);

    let mut house = House::woken(TRUTH).lying(&[None; 3]).without_referee();
    house.run(60);
    house.now.wall -= 3 * YEAR;
    house.run(17);
    assert!(house.complaint().unwrap().contains("no time server answers"), "{}", house.trouble());
    assert_eq!(house.source(), Source::None);
}

#[test]
fn what_was_not_asked_for_is_not_heard() {
    let mut house = House::woken(TRUTH.saturating_sub(DAY));
    for late in [Input::Answers(house.answers()), Input::Dates(house.dates()), Input::Set(Ok(()))] {
        assert_eq!(house.clock.step(house.now, late), []);
    }
    assert_eq!(house.source(), Source::Build);
}

/// The stamps of handshakes and the clock's, by the machines that ask for them.
#[test]
fn a_day_of_clock_and_handshakes_writes_half_a_megabyte() {
    /// Each is written in place. With its inode ext4 writes five blocks for it, as measured on Linux 6.18.
    const COST: usize = 5 * 4096;
    let mut house = House::woken(BUILT);
    house.run(24 * 3600);
    let mut stamps = Stamps::new(None, BOOT, BUILT);
    let mut marks: Vec<Mark> = Vec::new();
    let mut is_lost = true;
    for second in 0..24 * 3600 {
        let Now { uptime, wall, .. } = now(10 + second, TRUTH);
        // The relay is lost, and found again, every two hours.
        is_lost = second % 7200 == 0 || is_lost;
        is_lost = is_lost && stamps.begin(uptime, wall).is_err();
        if let Some(mark) = stamps.reserve(uptime, wall) {
            stamps.on_reserved(mark);
            marks.push(mark);
        }
    }
    assert!(house.saved.len() > 9 && marks.len() > 11, "{} and {}", house.saved.len(), marks.len());
    let bytes = (house.saved.len() + marks.len()) * COST;
    assert!(bytes < 550_000, "{bytes} bytes");
}
