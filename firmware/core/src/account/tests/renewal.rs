//! The key as it grows old, and the device that somebody takes away.

use super::*;

#[test]
fn an_old_key_is_made_anew_when_nobody_goes_out_and_kept_once_a_relay_has_taken_it() {
    let mut drive = Drive::settled();
    drive.at = DAY * 31;
    drive.around.moved = Some(Uptime::since_boot(drive.at));
    drive.looks();
    drive.answers_the_routine();
    assert_eq!(drive.kept.next, None, "somebody goes out");
    drive.at += Duration::from_mins(3);
    drive.looks();
    drive.makes_keys();
    let replace = Call::Replace { device: String::from("1"), key: key(101) };
    assert_eq!((drive.asked(), drive.kept.next), (replace, Some(key(101))));
    drive.answers(Ok(Answer::Device(device("1", 101))));
    assert_eq!((drive.kept.device.clone(), drive.kept.before), (Some(device("1", 101)), Some(key(1))));
    assert!(
        drive.offered().iter().all(|it| matches!(it.keys, Keys::Device { ours, .. } if ours == key(101)))
    );
    drive.at += Duration::from_secs(1);
    drive.proves(key(101));
    assert_eq!((drive.kept.next, drive.kept.before), (None, None));
    assert_eq!(drive.kept.made, Some(BOOT + drive.at));
}

/// As a disk or a clock that was wrong may have it.
#[test]
fn a_key_of_the_future_is_as_old_as_that_is_known() {
    let device = Some(device("1", 1));
    let record = Record { device, made: Some(Duration::MAX), ..Record::default() };
    let mut drive = Drive::with(record, Some(catalogue()));
    assert_eq!(drive.kept.made, Some(BOOT));
    drive.around.relay = Some(String::from("se-got-wg-001"));
    drive.looks();
    drive.answers_the_routine();
    drive.at = DAY * 31;
    drive.looks();
    drive.answers_the_routine();
    drive.makes_keys();
    assert_eq!(drive.kept.next, Some(key(101)));
}

#[test]
fn whoever_is_never_quiet_is_disturbed_three_days_later() {
    let mut drive = Drive::settled();
    for (days, is_renewed) in [(32, false), (34, true)] {
        drive.at = DAY * days;
        drive.around.moved = Some(Uptime::since_boot(drive.at));
        drive.looks();
        drive.answers_the_routine();
        drive.makes_keys();
        assert_eq!(drive.kept.next.is_some(), is_renewed, "after {days} days");
    }
}

/// Else nobody could tell whether it is good.
#[test]
fn a_key_that_no_relay_is_spoken_to_with_grows_old() {
    let mut drive = Drive::settled();
    drive.around.uses_keys = false;
    drive.at = DAY * 40;
    drive.looks();
    drive.answers_the_routine();
    drive.makes_keys();
    assert_eq!(drive.kept.next, None);
}

fn renewing() -> Drive {
    let mut drive = Drive::settled();
    drive.at = DAY * 31;
    drive.looks();
    drive.makes_keys();
    if drive.asked() != (Call::Replace { device: String::from("1"), key: key(101) }) {
        drive.answers_the_routine();
    }
    drive
}

#[test]
fn a_key_that_no_relay_takes_is_taken_back_and_the_next_one_is_tried_in_a_day() {
    let mut drive = renewing();
    drive.answers(Ok(Answer::Device(device("1", 101))));
    drive.answers_the_routine();
    drive.runs(Duration::from_secs(31));
    assert_eq!(drive.asked(), Call::Replace { device: String::from("1"), key: key(1) });
    let with = |ours: PublicKey| {
        drive
            .offered()
            .iter()
            .filter(|it| matches!(it.keys, Keys::Device { ours: is, .. } if is == ours))
            .count()
    };
    assert_eq!((with(key(1)), with(key(101))), (3, 3), "either may be good");
    drive.answers(Ok(Answer::Device(device("1", 1))));
    assert_eq!(
        (drive.kept.device.clone(), drive.kept.before, drive.kept.made),
        (Some(device("1", 1)), None, Some(BOOT))
    );
    assert!(drive.trouble().contains("tried again in a day"), "{}", drive.trouble());
    drive.answers_the_routine();
    drive.at += Duration::from_hours(23);
    drive.looks();
    drive.answers_the_routine();
    assert_eq!(drive.kept.next, None);
    drive.at += Duration::from_hours(2);
    drive.looks();
    drive.makes_keys();
    assert_eq!(drive.kept.next, Some(key(102)));
}

#[test]
fn whether_a_lost_answer_meant_yes_is_found_out() {
    for (registered, before) in [(101, Some(key(1))), (1, None)] {
        let mut drive = renewing();
        drive.answers(Err(Refusal::Unreachable(String::from("cut"))));
        assert_eq!(drive.offered().len(), 6, "either key may be good");
        assert_eq!(drive.asked(), Call::Devices);
        drive.answers(Ok(Answer::Devices(vec![device("1", registered)])));
        assert_eq!((drive.kept.device.clone(), drive.kept.before), (Some(device("1", registered)), before));
        assert_eq!(drive.offered().len(), 3);
    }
}

#[test]
fn a_power_cut_in_the_middle_of_it_is_found_out_too() {
    let record =
        Record { device: Some(device("1", 1)), made: Some(BOOT), next: Some(key(9)), ..Record::default() };
    let mut drive = Drive::with(record, Some(catalogue()));
    assert_eq!(drive.offered().len(), 6);
    assert_eq!(drive.asked(), Call::Devices);
    drive.answers(Ok(Answer::Devices(vec![device("1", 9)])));
    assert_eq!(drive.kept.device, Some(device("1", 9)));
}

#[test]
fn a_box_that_was_removed_registers_anew_but_not_over_and_over() {
    let mut drive = Drive::settled();
    drive.around.relay = None;
    drive.looks();
    drive.runs(Duration::from_secs(30));
    for _ in 0..3 {
        if drive.asked() == Call::Devices {
            break;
        }
        drive.answers(Ok(match drive.asked() {
            Call::Relays => Answer::Relays(None),
            Call::Expiry | Call::Devices | Call::Register(_) | Call::Replace { .. } => {
                Answer::Expiry(BOOT + DAY * 100)
            }
        }));
        drive.runs(Duration::from_secs(2));
    }
    drive.answers(Ok(Answer::Devices(Vec::new())));
    drive.runs(Duration::from_secs(5));
    assert_eq!(drive.asked(), Call::Register(key(101)));
    assert!(drive.trouble().contains("was removed"), "{}", drive.trouble());
    assert!(drive.offered().is_empty(), "the key is worth nothing");
    drive.answers(Ok(Answer::Device(Device { name: String::from("odd otter"), ..device("2", 101) })));
    let told = drive.account.told.clone().unwrap();
    assert!(told.trouble.is_none() && told.note.unwrap().contains("is there anew as odd otter"));
    let lately = drive.at;
    drive.answers_the_routine();
    drive.feed(Input::Answered(Call::Devices, Ok(Answer::Devices(Vec::new()))));
    while !matches!(drive.account.asked, Some(Call::Register(_))) {
        drive.answers_the_routine();
        drive.runs(Duration::from_mins(1));
    }
    assert!(drive.at >= lately + Duration::from_mins(50), "{:?} after {lately:?}", drive.at);
}

/// A key that no relay has taken, behind a door that is open by the one before.
fn returning() -> Drive {
    let mut drive = renewing();
    drive.answers(Ok(Answer::Device(device("1", 101))));
    drive.answers_the_routine();
    drive.runs(Duration::from_secs(31));
    assert_eq!(drive.asked(), Call::Replace { device: String::from("1"), key: key(1) });
    drive
}

fn has_both_keys(drive: &Drive) -> bool {
    let kept = (drive.kept.device.as_ref().map(|device| device.key), drive.kept.before);
    kept == (Some(key(101)), Some(key(1))) && drive.offered().len() == 6
}

/// Mullvad lets no key be used again for some minutes, or is away.
#[test]
fn the_key_before_is_kept_until_it_is_taken_back() {
    for refusal in [Refusal::KeyInUse, Refusal::Unreachable(String::from("cut")), Refusal::TooManyDevices] {
        let mut drive = returning();
        for _ in 0..4 {
            drive.answers(Err(refusal.clone()));
            assert!(has_both_keys(&drive), "{refusal:?}: {:?}", drive.kept);
            assert_eq!(drive.asked(), Call::Devices, "the answer may have been lost");
            drive.answers(Ok(Answer::Devices(vec![device("1", 101)])));
            while !matches!(drive.account.asked, Some(Call::Replace { .. })) {
                drive.answers_the_routine();
                drive.runs(Duration::from_mins(1));
            }
            assert!(has_both_keys(&drive), "{refusal:?}: {:?}", drive.kept);
        }
        drive.answers(Ok(Answer::Device(device("1", 1))));
        assert_eq!((drive.kept.device.clone(), drive.kept.before), (Some(device("1", 1)), None));
    }
}

#[test]
fn a_key_that_was_taken_back_without_an_answer_is_found_out() {
    let mut drive = returning();
    drive.answers(Err(Refusal::Unreachable(String::from("cut"))));
    drive.answers(Ok(Answer::Devices(vec![device("1", 1)])));
    assert_eq!((drive.kept.device.clone(), drive.kept.before), (Some(device("1", 1)), None));
    assert!(drive.trouble().contains("tried again in a day"), "{}", drive.trouble());
}

#[test]
fn a_key_that_relays_take_late_is_good_after_all() {
    let mut drive = returning();
    drive.answers(Err(Refusal::KeyInUse));
    drive.at += Duration::from_secs(1);
    drive.proves(key(101));
    assert_eq!((drive.kept.device.clone(), drive.kept.before), (Some(device("1", 101)), None));
    assert_eq!(drive.kept.made, Some(BOOT + drive.at));
}

/// The power goes while it is being tried.
#[test]
fn a_key_that_is_not_known_to_be_good_is_tried_again_after_a_boot() {
    let mut drive = renewing();
    drive.answers(Ok(Answer::Device(device("1", 101))));
    let mut again = Drive::with(drive.kept.clone(), Some(catalogue()));
    assert_eq!(again.asked(), Call::Devices);
    again.answers(Ok(Answer::Devices(vec![device("1", 101)])));
    assert_eq!(again.kept.before, Some(key(1)));
    again.answers_the_routine();
    again.runs(Duration::from_secs(31));
    assert_eq!(again.asked(), Call::Replace { device: String::from("1"), key: key(1) });
}
