//! The owner's account with Mullvad as other people's scripts read it. Its number is not known here.

use std::time::{Duration, SystemTime};

use byway_core::account::Report;
use serde::{Deserialize, Serialize};

/// The last second that RFC 3339 has a text for.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// Unknown is null, never a guess. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What Mullvad's website calls the box; null: it is no device of the account's yet.
    pub device: Option<String>,
    pub expires: Option<String>,
    /// Until then; 0: it has expired.
    pub days_left: Option<u64>,
    pub key_made: Option<String>,
    /// Where relays are wanted.
    pub location: String,
    /// What the owner has to know or to do, as a sentence; null: nothing.
    pub trouble: Option<String>,
}

impl Account {
    pub fn new(report: &Report) -> Self {
        Self {
            device: report.device.clone(),
            expires: report.expiry.and_then(rfc3339),
            days_left: report.days_left,
            key_made: report.key_made.and_then(rfc3339),
            location: report.location.clone(),
            trouble: report.trouble.clone(),
        }
    }

    /// Until when the account is paid, for a person.
    pub fn paid(&self) -> String {
        let Some(expires) = &self.expires else { return "not known yet until when it is paid".to_owned() };
        let day = expires.get(..10).unwrap_or(expires);
        match self.days_left {
            Some(0) => format!("expired on {day}"),
            Some(1) => format!("paid until {day} (1 day)"),
            Some(days) => format!("paid until {day} ({days} days)"),
            None => format!("paid until {day}"),
        }
    }
}

fn rfc3339(since_1970: Duration) -> Option<String> {
    let time = SystemTime::UNIX_EPOCH.checked_add(since_1970).filter(|_| since_1970 <= LATEST)?;
    Some(humantime::format_rfc3339_seconds(time).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-01.
    const NEW_YEAR: Duration = Duration::from_hours(499_656);

    #[test]
    fn tells_an_account_as_scripts_read_it() {
        let report = Report {
            device: Some("happy seal".to_owned()),
            expiry: Some(NEW_YEAR),
            days_left: Some(30),
            key_made: Some(Duration::from_secs(1_700_000_000)),
            location: "se-got".to_owned(),
            trouble: None,
            note: None,
        };
        assert_eq!(
            serde_json::to_value(Account::new(&report)).unwrap(),
            serde_json::json!({
                "device": "happy seal", "expires": "2027-01-01T00:00:00Z", "days_left": 30,
                "key_made": "2023-11-14T22:13:20Z", "location": "se-got", "trouble": null,
            })
        );
        let unknown = Account::new(&Report { location: "se".to_owned(), ..Report::default() });
        assert_eq!(
            serde_json::to_value(unknown).unwrap(),
            serde_json::json!({
                "device": null, "expires": null, "days_left": null, "key_made": null, "location": "se", "trouble": null,
            })
        );
    }

    #[test]
    fn tells_people_until_when_it_is_paid() {
        let paid =
            |expiry, days_left| Account::new(&Report { expiry, days_left, ..Report::default() }).paid();
        for (days_left, told) in [
            (Some(30), "paid until 2027-01-01 (30 days)"),
            (Some(1), "paid until 2027-01-01 (1 day)"),
            (Some(0), "expired on 2027-01-01"),
            (None, "paid until 2027-01-01"),
        ] {
            assert_eq!(paid(Some(NEW_YEAR), days_left), told);
        }
        assert_eq!(paid(None, None), "not known yet until when it is paid");
    }

    #[test]
    fn a_time_beyond_the_last_year_is_none() {
        assert_eq!(rfc3339(LATEST).as_deref(), Some("9999-12-31T23:59:59Z"));
        for never in [LATEST + Duration::from_secs(1), Duration::MAX] {
            assert_eq!(rfc3339(never), None);
        }
    }
}
