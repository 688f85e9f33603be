//! Finds the parts of a text that are looked at: runs of letters, URLs, and what follows the name of a secret.

use alloc::string::String;

use super::SECRET;

/// What is a secret when something is assigned to it, in lower case.
const LABELS: [&str; 16] = [
    "psk",
    "password",
    "passphrase",
    "passwd",
    "secret",
    "token",
    "auth_key",
    "auth-key",
    "authkey",
    "privatekey",
    "private_key",
    "presharedkey",
    "preshared_key",
    "ssid",
    "cookie",
    "authorization",
];

/// Replaces each longest run of such letters for which `each` has something else.
pub(super) fn runs(
    text: &str,
    is_part: impl Fn(char) -> bool,
    mut each: impl FnMut(&str) -> Option<String>,
) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        match each(run) {
            Some(other) if !run.is_empty() => replaced.push_str(&other),
            Some(_) | None => replaced.push_str(run),
        }
        let next = after.find(&is_part).unwrap_or(after.len());
        replaced.push_str(&after[..next]);
        rest = &after[next..];
    }
    replaced
}

/// Of each URL scheme and host stay.
pub(super) fn urls(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("://") {
        let (before, after) = rest.split_at(begin + 3);
        replaced.push_str(before);
        let ends = |letter: char| letter.is_whitespace() || letter.is_control() || "\"'`<>".contains(letter);
        let end = after.find(ends).unwrap_or(after.len());
        let (url, after) = after.split_at(end);
        let (authority, path) = url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()));
        // Whoever logs in by a URL is in front of its host.
        match authority.rsplit_once('@') {
            Some((_, host)) => replaced.extend([SECRET, "@", host]),
            None => replaced.push_str(authority),
        }
        match path {
            "" | "/" => replaced.push_str(path),
            _ => replaced.push_str("/[path]"),
        }
        rest = after;
    }
    replaced + rest
}

/// What is assigned to the name of a secret: the quoted text, or all to the end of the line.
pub(super) fn labelled(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.split_at(line.trim_end_matches('\n').len());
        replaced.push_str(&labelled_line(line));
        replaced.push_str(end);
    }
    replaced
}

fn labelled_line(line: &str) -> String {
    let mut replaced = String::new();
    let mut rest = line;
    while let Some((label, value)) = first_assignment(rest) {
        replaced.push_str(&rest[..label]);
        let (before, after) = rest[label..].split_at(value - label);
        replaced.push_str(before);
        let Some(quote) = after.chars().next().filter(|letter| "\"'".contains(*letter)) else {
            return if after.is_empty() { replaced } else { replaced + SECRET };
        };
        let Some(length) = closing(&after[1..], quote) else { return replaced + SECRET };
        replaced.extend([&after[..1], SECRET, &after[..1]]);
        rest = &after[length + 2..];
    }
    replaced + rest
}

/// Where the first name of a secret ends that something is assigned to, and where that begins.
fn first_assignment(line: &str) -> Option<(usize, usize)> {
    // ASCII letters alone change, so places stay the same.
    let lower = line.to_ascii_lowercase();
    let ends = LABELS.iter().flat_map(|label| lower.match_indices(label).map(|(at, label)| at + label.len()));
    let mut ends = ends.filter_map(|end| Some((end, assigned(&lower, end)?)));
    let first = ends.next()?;
    Some(ends.fold(first, |first, other| if other.0 < first.0 { other } else { first }))
}

/// Where the value begins, if a quote, blanks, and `=` or `:` follow.
fn assigned(line: &str, end: usize) -> Option<usize> {
    let after = line[end..].trim_start_matches(['"', '\'', '\\']).trim_start();
    let value = after.strip_prefix(['=', ':'])?.trim_start_matches([' ', '\t', '\\']);
    Some(line.len() - value.len())
}

/// How long the text before the closing quote is.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices() {
        if letter == quote && !is_escaped {
            return Some(at);
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_longest_ones() {
        let upper = |run: &str| (run.len() == 3).then(|| run.to_uppercase());
        assert_eq!(runs("abc, ab abcd;abc", char::is_alphanumeric, upper), "ABC, ab abcd;ABC");
        assert_eq!(runs("\u{e4}bc", char::is_alphanumeric, |_| None), "\u{e4}bc");
    }

    #[test]
    fn urls_keep_their_hosts() {
        for (text, left) in [
            ("by https://dns.nextdns.io/abc123: no", "by https://dns.nextdns.io/[path] no"),
            ("\"https://hs.example/a?b#c\",\"tls://x\"", "\"https://hs.example/[path]\",\"tls://x\""),
            ("http://user:pass@host:80/", "http://[secret]@host:80/"),
            ("see https://host?key=1", "see https://host/[path]"),
            ("no :// url", "no :// url"),
        ] {
            assert_eq!(urls(text), left);
        }
    }

    #[test]
    fn what_is_assigned_to_a_secrets_name_goes() {
        for (text, left) in [
            ("psk = \"correct \\\" horse\" # mine", "psk = \"[secret]\" # mine"),
            ("{\"ssid\":\"Home\",\"psk\":'a b'}", "{\"ssid\":\"[secret]\",\"psk\":'[secret]'}"),
            ("PrivateKey = abc def\nnext", "PrivateKey = [secret]\nnext"),
            ("wpa_psk=a b c", "wpa_psk=[secret]"),
            ("Authorization: Bearer x", "Authorization: [secret]"),
            ("{\\\"token\\\":\\\"abc\\\"}", "{\\\"token\\\":\\[secret]"),
            ("psk = \"no end", "psk = [secret]"),
            ("the password is wrong: try another", "the password is wrong: try another"),
            ("psk =", "psk ="),
        ] {
            assert_eq!(labelled(text), left, "{text}");
        }
    }

    #[test]
    fn a_value_in_quotes_within_quotes_ends_the_line_at_worst() {
        assert!(!labelled("x {\\\"psk\\\": \\\"hunter22\\\", \\\"b\\\": 1}").contains("hunter22"));
    }
}
