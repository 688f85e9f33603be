//! The doctor's line `account`: until when it is paid, and by which device and key the box uses it.

use std::time::Duration;

use byway_core::View;

use super::{Finding, broken, kept};
use crate::control::Account;

const DAY: Duration = Duration::from_hours(24);

/// Where there is one. `now`: what the wall clock shows, as time since 1970.
pub(super) fn account(view: &View, now: Duration) -> Option<Finding> {
    let report = view.account.as_ref()?;
    let key =
        report.key_made.map_or_else(|| "of unknown age".to_owned(), |made| age(now.saturating_sub(made)));
    let device = match &report.device {
        Some(name) => format!("the box is the device {name}, its key {key}"),
        None => "the box is no device of it yet".to_owned(),
    };
    let detail = format!("{}; {device}", Account::new(report).paid());
    Some(match &report.trouble {
        Some(trouble) => broken("account", format!("{trouble}; {detail}")),
        None => kept("account", detail),
    })
}

fn age(age: Duration) -> String {
    match age.as_secs() / DAY.as_secs() {
        0 => "less than a day old".to_owned(),
        1 => "1 day old".to_owned(),
        days => format!("{days} days old"),
    }
}

#[cfg(test)]
mod tests {
    use byway_core::Uptime;
    use byway_core::account::Report;

    use super::*;

    fn told(account: Option<Report>) -> Option<Finding> {
        let nobody = View::without_configuration(Uptime::default(), String::new());
        super::account(&View { account, ..nobody }, 20_000 * DAY)
    }

    #[test]
    fn tells_until_when_it_is_paid_and_fails_on_trouble() {
        assert_eq!(told(None), None);
        let good = Report {
            device: Some("happy seal".to_owned()),
            expiry: Some(20_819 * DAY),
            days_left: Some(819),
            key_made: Some(19_997 * DAY),
            ..Report::default()
        };
        let detail = "paid until 2027-01-01 (819 days); the box is the device happy seal, its key 3 days old";
        assert_eq!(told(Some(good.clone())), Some(kept("account", detail)));
        let expired = Report { trouble: Some("pay at mullvad.net".to_owned()), ..good };
        assert_eq!(told(Some(expired)), Some(broken("account", format!("pay at mullvad.net; {detail}"))));
        let fresh = "not known yet until when it is paid; the box is no device of it yet";
        assert_eq!(told(Some(Report::default())), Some(kept("account", fresh)));
    }

    #[test]
    fn a_key_s_age_is_told_in_days() {
        for (hours, told) in [(0, "less than a day old"), (47, "1 day old"), (48, "2 days old")] {
            assert_eq!(age(Duration::from_hours(hours)), told);
        }
    }
}
