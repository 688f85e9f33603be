//! What people read on the terminal.

mod clients;
mod panel;
mod relays;

use std::fmt::Write as _;

use byway_core::last_stop::IN_GOOD_ORDER;
use byway_core::{Egress, Phase};

use crate::control::{Account, Finding, Lan, Logged, Residential, Seen, Status, Told, Upstream};
pub(super) use clients::{clients, paused};
pub(super) use panel::{Finding as Walked, Part, Sight, panel, walked};
pub(super) use relays::{countries, entries, instead, relays, tested};

/// Five lines; one more where there is an account, where the house has something of the box, where its line has a bound
/// or has refused mail, where somebody goes out, where somebody is kept from it, and where the machine did not stop in good order.
pub(super) fn status(status: &Status) -> String {
    let state = match status.state {
        Phase::Sealed => "sealed",
        Phase::Proving => "proving",
        Phase::Open => "open",
    };
    let mut text = format!(
        "{}: wish {}, door {}, {state} since {}\n",
        status.name,
        status.wish,
        door(status.door),
        status.since
    );
    line(&mut text, "why", &status.why);
    line(&mut text, "seen as", &outside(status));
    line(&mut text, "tunnel", &tunnel(status));
    line(&mut text, "tailnet", &tailnet(status));
    if let Some(account) = status.account.as_ref().map(account) {
        line(&mut text, "account", &account);
    }
    if let Some(lan) = status.lan.as_ref().map(lan) {
        line(&mut text, "lan", &lan);
    }
    if let Some(residential) = residential(&status.residential) {
        line(&mut text, "line", &residential);
    }
    if let Some(lately) = status.clients.as_deref().and_then(clients::lately) {
        line(&mut text, "clients", &lately);
    }
    if let Some(paused) = status.clients.as_deref().and_then(paused) {
        line(&mut text, "paused", &paused);
    }
    if let Some(last_stop) = status.last_stop.as_ref().filter(|last| *last != IN_GOOD_ORDER) {
        _ = writeln!(text, "  last stop: {last_stop}");
    }
    text
}

pub(super) fn door(door: Option<Egress>) -> String {
    door.map_or_else(|| "none".to_owned(), |egress| egress.to_string())
}

pub(super) fn doctor(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { promise, kept, detail } in findings {
        let mark = if *kept { "ok  " } else { "FAIL" };
        _ = writeln!(text, "{mark} {promise:<12} {detail}");
    }
    text
}

/// One a line.
pub(super) fn records(told: &Told) -> String {
    told.answers.iter().map(|record| printable(record) + "\n").collect()
}

/// Who has answered, and how fast.
pub(super) fn source(told: &Told) -> String {
    let upstream = told.upstream.as_ref().map_or_else(String::new, |upstream| format!(" ({upstream})"));
    let cached = if told.cached { ", remembered" } else { "" };
    format!("by {}{upstream} in {} ms{cached}", told.by, told.took_ms)
}

/// Why there is nothing of what was asked for.
pub(super) fn no_data(told: &Told) -> String {
    let name = if told.name.is_empty() { "." } else { &told.name };
    let lack = match told.rcode.as_str() {
        "NOERROR" => format!("{name} has no record of type {}", told.kind),
        "NXDOMAIN" => format!("there is no name {name} (NXDOMAIN)"),
        rcode => format!("no answer for {name} {} ({rcode})", told.kind),
    };
    let note = told.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
    printable(&format!("{lack}, {}{note}", source(told)))
}

pub(super) fn log(log: &[Logged]) -> String {
    if log.is_empty() {
        return "nobody has asked yet\n".to_owned();
    }
    let mut text = String::new();
    for Logged { at, client, name, kind, rcode, by, took_ms } in log {
        let line = format!("{at} {client} {name} {kind}: {rcode} by {by} in {took_ms} ms");
        _ = writeln!(text, "{}", printable(&line));
    }
    text
}

/// The same of many lines.
pub(super) fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}

/// Names and texts come from anywhere: none of them moves the cursor.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for letter in text.chars() {
        if letter.is_control() {
            printable.extend(letter.escape_default());
        } else {
            printable.push(letter);
        }
    }
    printable
}

fn line(text: &mut String, name: &str, value: &str) {
    _ = writeln!(text, "  {name:<8} {value}");
}

/// What the internet learns: who sends, and who is asked for names.
fn outside(status: &Status) -> String {
    let seen_as = status.seen_as.as_ref().map_or_else(|| "unknown".to_owned(), seen_as);
    match status.door.and_then(|door| names(status.upstream(door))) {
        Some(names) => format!("{seen_as}; {names}"),
        None => seen_as,
    }
}

/// Nothing while nobody has asked; of trouble speaks `why`.
fn names(dns: &Upstream) -> Option<String> {
    let (answer, None) = (dns.p50_ms?, &dns.error) else { return None };
    Some(format!("names by {} in {answer} ms", dns.upstream))
}

fn seen_as(seen: &Seen) -> String {
    let addresses = [seen.v4, seen.v6].into_iter().flatten().map(|address| address.to_string());
    let whose = match seen.mullvad {
        Some(true) => "mullvad",
        Some(false) => "not mullvad",
        None => "whose is unknown",
    };
    format!("{} ({whose}), checked {} s ago", addresses.collect::<Vec<_>>().join(", "), seen.checked_s_ago)
}

fn tunnel(status: &Status) -> String {
    let tunnel = &status.tunnel;
    if tunnel.relay.is_empty() {
        return "none".to_owned();
    }
    let handshake = tunnel
        .handshake_age_s
        .map_or_else(|| "no handshake yet".to_owned(), |age| format!("handshake {age} s ago"));
    let (sent, received) = (bytes(tunnel.tx_bytes), bytes(tunnel.rx_bytes));
    format!("{} at {}, {handshake}, sent {sent}, received {received}", tunnel.relay, tunnel.endpoint)
}

fn tailnet(status: &Status) -> String {
    let tailnet = &status.tailnet;
    let state = tailnet.state.as_deref().unwrap_or("tailscaled does not answer");
    let name = tailnet.name.as_deref().unwrap_or("no name yet");
    let exit_node = tailnet.exit_node.as_deref().unwrap_or("not joined");
    let mut text = format!("{state}, {name}");
    for address in &tailnet.addresses {
        _ = write!(text, ", {address}");
    }
    _ = write!(text, ", exit node {exit_node}");
    if tailnet.reach.by.is_some() {
        _ = write!(text, "; {}", tailnet.reach.says);
    }
    if let Some(uplink) = &status.uplink {
        _ = write!(text, "; uplink {}", uplink.interface);
    }
    text
}

/// Of trouble speaks `why`.
fn account(account: &Account) -> String {
    let device = account.device.as_deref().unwrap_or("no device yet");
    printable(&format!("{device}, {}", account.paid()))
}

fn lan(lan: &Lan) -> String {
    let served = match &lan.interface {
        Some(interface) => format!("serves {} at {interface}", lan.serves.join(", ")),
        None => "serves nobody".to_owned(),
    };
    if lan.reach.is_empty() {
        served
    } else {
        format!("{served}; reached from the tailnet: {}", lan.reach.join(", "))
    }
}

/// Of the house's line: what of a day's allowance is used, and mail that somebody has tried to send.
fn residential(residential: &Residential) -> Option<String> {
    let mail = match residential.smtp_tries {
        None | Some(0) => None,
        Some(1) => Some("1 try at port 25 was refused".to_owned()),
        Some(tries) => Some(format!("{tries} tries at port 25 were refused")),
    };
    let parts: Vec<String> = residential.used().into_iter().chain(mail).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// In the largest unit of which there is a whole one.
fn ago(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3600, "h"), (60, "min")];
    let unit = UNITS.into_iter().find(|(unit, _)| seconds >= *unit);
    unit.map_or_else(|| format!("{seconds} s ago"), |(unit, name)| format!("{} {name} ago", seconds / unit))
}

fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS.into_iter().find(|(unit, _)| count >= *unit).map_or_else(
        || format!("{count} B"),
        |(unit, name)| format!("{}.{} {name}", count / unit, count % unit * 10 / unit),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use byway_core::account::Report;
    use byway_core::{Core, Uptime, View, Wish};

    use super::*;
    use crate::{clock, sample};

    #[test]
    fn bytes_are_told_in_the_largest_unit_that_fits() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
        );
    }

    #[test]
    fn ages_are_told_in_the_largest_unit_of_which_there_is_a_whole_one() {
        assert_eq!(
            [0, 59, 60, 3599, 3600, 86_399, 86_400, 8_640_000].map(ago),
            ["0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "100 d"].map(|age| format!("{age} ago"))
        );
    }

    #[test]
    fn of_the_house_s_line_is_told_what_there_is_to_tell() {
        let told = |smtp_tries, used_bytes, daily_gb| {
            residential(&Residential { smtp: false, smtp_tries, daily_gb, used_bytes })
        };
        assert_eq!([told(None, None, None), told(Some(0), None, None)], [None, None]);
        assert_eq!(told(Some(1), None, None).as_deref(), Some("1 try at port 25 was refused"));
        assert_eq!(
            told(Some(2), Some(1_250_000_000), Some(5)).as_deref(),
            Some("1.2 of 5 GB of this day are used; 2 tries at port 25 were refused")
        );
    }

    #[test]
    fn an_account_is_told_in_a_line_where_there_is_one() {
        let view = Core::start(Uptime::default(), sample::settings(), Wish::Privacy, None).0.view();
        let last_line = |account: Option<Report>| {
            let told = status(&Status::new(&View { account, ..view.clone() }, clock::now()));
            told.lines().nth(5).map(str::to_owned)
        };
        let report = Report { location: "se-got".to_owned(), ..Report::default() };
        assert_eq!(last_line(None), None);
        let told = "  account  no device yet, not known yet until when it is paid";
        assert_eq!(last_line(Some(report.clone())).as_deref(), Some(told));
        let expiry = Some(Duration::from_hours(499_656));
        let device = Some("happy\u{1b}seal".to_owned());
        let told = "  account  happy\\u{1b}seal, paid until 2027-01-01 (30 days)";
        let report = Report { device, expiry, days_left: Some(30), ..report };
        assert_eq!(last_line(Some(report)).as_deref(), Some(told));
    }

    #[test]
    fn the_last_stop_is_told_unless_it_was_in_good_order() {
        let mut settings = sample::settings();
        let mut last_line = |last: Option<&str>| {
            settings.last_stop = last.map(str::to_owned);
            let view = Core::start(Uptime::default(), settings.clone(), Wish::Privacy, None).0.view();
            let told = status(&Status::new(&view, clock::now()));
            told.lines().nth(5).map(str::to_owned)
        };
        assert_eq!(last_line(None), None);
        assert_eq!(last_line(Some(IN_GOOD_ORDER)), None);
        assert_eq!(last_line(Some("the power was cut")).as_deref(), Some("  last stop: the power was cut"));
    }

    #[test]
    fn an_answer_is_told_with_whose_it_is() {
        let told = Told {
            name: "example.org".to_owned(),
            kind: "TXT".to_owned(),
            rcode: "NOERROR".to_owned(),
            answers: Vec::from(["example.org. 300 TXT \u{1b}[2J".to_owned()]),
            by: "privacy".to_owned(),
            upstream: Some("https://dns.mullvad.net".to_owned()),
            cached: true,
            took_ms: 1,
            note: None,
        };
        assert_eq!(records(&told), "example.org. 300 TXT \\u{1b}[2J\n");
        assert_eq!(source(&told), "by privacy (https://dns.mullvad.net) in 1 ms, remembered");
        let by_box = |rcode: &str, note: Option<&str>| Told {
            rcode: rcode.to_owned(),
            by: "box".to_owned(),
            upstream: None,
            cached: false,
            note: note.map(str::to_owned),
            ..told.clone()
        };
        assert_eq!(
            ["NOERROR", "NXDOMAIN"].map(|rcode| no_data(&by_box(rcode, None))),
            [
                "example.org has no record of type TXT, by box in 1 ms",
                "there is no name example.org (NXDOMAIN), by box in 1 ms"
            ]
        );
        assert_eq!(
            no_data(&by_box("SERVFAIL", Some("no door is open"))),
            "no answer for example.org TXT (SERVFAIL), by box in 1 ms: no door is open"
        );
    }

    #[test]
    fn whom_names_are_asked_of_is_told_once_they_answer() {
        let silent = Upstream {
            upstream: "https://dns.quad9.net".to_owned(),
            last_ok_s: None,
            failures: 0,
            p50_ms: None,
            error: None,
        };
        assert_eq!(names(&silent), None);
        let answers = Upstream { p50_ms: Some(23), ..silent.clone() };
        assert_eq!(names(&answers).as_deref(), Some("names by https://dns.quad9.net in 23 ms"));
        assert_eq!(names(&Upstream { error: Some("no answer".to_owned()), ..answers }), None);
    }
}
