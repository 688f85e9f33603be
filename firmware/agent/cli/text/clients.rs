//! Clients as a table of 80 columns: what does not fit beside one stands below it.

use std::fmt::Write as _;

use super::{ago, bytes, printable};
use crate::control::Client;

/// Longer names push the rest aside.
const NAME: usize = 15;

pub(in super::super) fn clients(clients: &[Client]) -> String {
    if clients.is_empty() {
        return "nobody has gone out since the boot\n".to_owned();
    }
    let mut text = row(["NAME", "SENT", "RECEIVED", "LAST SEEN", "FIRST SEEN", "PATH"]);
    for client in clients {
        let seen = |ago_s: Option<u64>| ago_s.map_or_else(|| "-".to_owned(), ago);
        text += &row([
            &printable(&client.called()),
            &bytes(client.tx_bytes),
            &bytes(client.rx_bytes),
            &seen(client.last_seen_s_ago),
            &seen(client.first_seen_s_ago),
            &path(client),
        ]);
        let addresses: Vec<String> = client.addresses.iter().map(ToString::to_string).collect();
        if client.name.is_some() {
            _ = writeln!(text, "  {}", addresses.join(", "));
        }
    }
    if let Some(mbit) = clients.iter().find_map(|client| client.limit_mbit) {
        _ = writeln!(text, "each may take {mbit} Mbit/s, either way");
    }
    text
}

/// Who has gone out within a minute, in a line; nobody: none.
pub(in super::super) fn lately(clients: &[Client]) -> Option<String> {
    let seen = |client: &&Client| client.last_seen_s_ago.is_some_and(|ago_s| ago_s < 60);
    let names: Vec<String> = clients.iter().filter(seen).map(|client| printable(&client.called())).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// For whom nothing is carried, in a line; nobody: none.
pub(in super::super) fn paused(clients: &[Client]) -> Option<String> {
    let paused = clients.iter().filter(|client| client.paused);
    let names: Vec<String> = paused.map(|client| printable(&client.called())).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn row([name, sent, received, last, first, path]: [&str; 6]) -> String {
    let line = format!("{name:<NAME$} {sent:>10} {received:>10}  {last:>10}  {first:>10}  {path}");
    format!("{}\n", line.trim_end())
}

fn path(client: &Client) -> String {
    if client.paused {
        return "paused".to_owned();
    }
    let by = client.relay.as_ref().map_or_else(String::new, |relay| format!(" by {relay}"));
    printable(&client.path.as_ref().map_or_else(|| "-".to_owned(), |path| format!("{path}{by}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> [Client; 2] {
        let phone = Client {
            name: Some("phone".to_owned()),
            addresses: ["100.64.0.1", "fd7a:115c:a1e0::1"].map(|it| it.parse().unwrap()).to_vec(),
            tx_bytes: 1 << 30,
            rx_bytes: 1000 << 30,
            first_seen_s_ago: Some(11 * 86_400),
            last_seen_s_ago: Some(59),
            path: Some("relayed".to_owned()),
            relay: Some("nue".to_owned()),
            paused: false,
            limit_mbit: None,
        };
        let stranger = Client {
            name: None,
            addresses: Vec::from(["100.64.0.9".parse().unwrap()]),
            tx_bytes: 60,
            rx_bytes: 0,
            first_seen_s_ago: None,
            last_seen_s_ago: None,
            path: None,
            relay: None,
            paused: false,
            limit_mbit: None,
        };
        [phone, stranger]
    }

    #[test]
    fn clients_are_a_table_with_addresses_below() {
        let text = clients(&some());
        assert_eq!(
            text,
            "NAME                  SENT   RECEIVED   LAST SEEN  FIRST SEEN  PATH\n\
             phone              1.0 GiB 1000.0 GiB    59 s ago    11 d ago  relayed by nue\n  \
               100.64.0.1, fd7a:115c:a1e0::1\n\
             100.64.0.9            60 B        0 B           -           -  -\n"
        );
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert_eq!(clients(&[]), "nobody has gone out since the boot\n");
    }

    #[test]
    fn a_limit_is_told_below() {
        let limited = some().map(|client| Client { limit_mbit: Some(20), ..client });
        assert!(
            clients(&limited).ends_with("-\neach may take 20 Mbit/s, either way\n"),
            "{}",
            clients(&limited)
        );
    }

    #[test]
    fn who_was_seen_within_a_minute_is_named() {
        assert_eq!(lately(&some()).as_deref(), Some("phone"));
        let [phone, _] = some();
        assert_eq!(lately(&[Client { last_seen_s_ago: Some(60), ..phone }]), None);
    }

    #[test]
    fn who_is_paused_is_named_and_told_in_the_table() {
        let [phone, stranger] = some();
        assert_eq!(paused(&[phone.clone(), stranger.clone()]), None);
        let both = [Client { paused: true, ..phone }, stranger];
        assert_eq!(paused(&both).as_deref(), Some("phone"));
        assert!(clients(&both).lines().nth(1).unwrap().ends_with("  paused"), "{}", clients(&both));
    }

    #[test]
    fn a_name_moves_no_cursor() {
        let [mut phone, _] = some();
        phone.name = Some("\u{1b}[2J".to_owned());
        phone.relay = phone.name.clone();
        assert!(
            !clients(&[phone.clone()]).contains('\u{1b}') && !lately(&[phone]).unwrap().contains('\u{1b}')
        );
    }
}
