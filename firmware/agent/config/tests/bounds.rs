//! `[clients]` and `[residential]`: what may be taken, and what the owner reads about each mistake.

use super::*;

#[test]
fn nothing_is_bounded_but_mail_unless_it_is_written() {
    let of = |lines: &str| read(&format!("{lines}\n{}", LEAST.concat())).unwrap();
    let usual = of("");
    assert_eq!((usual.clients, usual.residential), (Clients::default(), Residential::default()));
    assert_eq!(usual.time_zone, None);
    let bound = of(
        "[clients]\nlimit_mbit = 20\n[residential]\nsmtp = true\ndaily_gb = 50\n[panel]\ntime_zone = \"Europe/Stockholm\"",
    );
    assert_eq!(bound.clients, Clients { limit_mbit: Some(20) });
    assert_eq!(bound.residential, Residential { smtp: true, daily_gb: Some(50) });
    assert_eq!(bound.time_zone.as_ref().map(TimeZone::name), Some("Europe/Stockholm"));
}

#[test]
fn says_what_is_wrong_with_a_bound() {
    for (lines, complaint) in [
        ("[clients]\nlimit_mbit = 0", "2:14: limit_mbit cannot be 0: write a number from 1 to 10000"),
        ("[residential]\ndaily_gb = 70000", "2:12: daily_gb cannot be 70000: write a number from 1 to 65535"),
        ("[residential]\nsmtp = \"no\"", "2:8: smtp is true or false, not a text: write smtp = false"),
        (
            "[residential]\nlimit_mbit = 5",
            "2:1: [residential] knows no key \"limit_mbit\": it belongs below [clients]",
        ),
    ] {
        assert_eq!(complaints(&format!("{lines}\n{}", LEAST.concat())), [complaint], "{lines}");
    }
}
