//! What people read on the terminal.

use std::fmt::Write as _;

use byway_core::{Egress, Phase};

use crate::control::{Client, Finding, Seen, Status, Upstream};

/// Five lines.
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
    text
}

pub(super) fn door(door: Option<Egress>) -> String {
    door.map_or_else(|| "none".to_owned(), |egress| egress.to_string())
}

pub(super) fn clients(clients: &[Client]) -> String {
    if clients.is_empty() {
        return "nobody has used the exit yet\n".to_owned();
    }
    let mut text = format!("{:<24} {:<40} {:>12} {:>12}\n", "NAME", "ADDRESS", "SENT", "RECEIVED");
    for client in clients {
        let name = client.name.as_deref().unwrap_or("-");
        let (sent, received) = (bytes(client.tx_bytes), bytes(client.rx_bytes));
        _ = writeln!(text, "{name:<24} {:<40} {sent:>12} {received:>12}", client.address);
    }
    text
}

pub(super) fn doctor(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { promise, kept, detail } in findings {
        let mark = if *kept { "ok  " } else { "FAIL" };
        _ = writeln!(text, "{mark} {promise:<12} {detail}");
    }
    text
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
    if let Some(uplink) = &status.uplink {
        _ = write!(text, "; uplink {}", uplink.interface);
    }
    text
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
    use super::*;

    #[test]
    fn bytes_are_told_in_the_largest_unit_that_fits() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
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
