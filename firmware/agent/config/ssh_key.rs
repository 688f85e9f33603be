//! A public key that opens a shell, as OpenSSH writes them into `.pub` files (RFC 4253 6.6): of a kind that dropbear knows, whole,
//! and without options. Whose it is (the comment) is forgotten: nobody needs to know.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Each kind, and of how many fields it is made, its own name included.
const KINDS: [(&str, usize); 7] = [
    ("ssh-ed25519", 2),
    ("ssh-rsa", 3),
    ("ecdsa-sha2-nistp256", 3),
    ("ecdsa-sha2-nistp384", 3),
    ("ecdsa-sha2-nistp521", 3),
    ("sk-ssh-ed25519@openssh.com", 3),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 4),
];
/// dropbear reads no longer line (`MAX_AUTHKEYS_LINE`).
const LONGEST: usize = 4200;
const PASTE: &str = "paste the line of a .pub file, as `ssh-keygen -t ed25519` makes it";

/// Prints as `authorized_keys` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKey {
    kind: &'static str,
    base64: String,
}

impl FromStr for SshKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("PRIVATE KEY") {
            return Err(format!("that is the private half, which nobody else should have: {PASTE}"));
        }
        if text.trim().contains(['\n', '\r']) {
            return Err("a key is one line: write each between quotes of its own".to_owned());
        }
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or_default();
        let Some((kind, fields)) = KINDS.into_iter().find(|(kind, _)| *kind == first) else {
            return Err(not_a_kind(first));
        };
        let base64 = words.next().unwrap_or_default().to_owned();
        if kind.len() + base64.len() >= LONGEST {
            return Err(format!(
                "this {kind} key is too long for dropbear: make one by `ssh-keygen -t ed25519`"
            ));
        }
        let blob = STANDARD.decode(&base64).unwrap_or_default();
        let whole = fields_of(&blob).filter(|found| found.len() == fields);
        if whole.is_none_or(|found| found[0] != kind.as_bytes()) {
            return Err(format!("this {kind} key is not whole, or of another kind: {PASTE}"));
        }
        Ok(Self { kind, base64 })
    }
}

/// Of options, which stand first, the values may be anybody's.
fn not_a_kind(first: &str) -> String {
    let is_option = first.contains(['=', ',', '"']) || first.starts_with("no-") || first == "restrict";
    if is_option {
        return "options before a key are not taken: begin with its kind, as \"ssh-ed25519 AAAA..\""
            .to_owned();
    }
    if first.starts_with("AAAA") {
        return format!("the key's kind is missing before {:?}: {PASTE}", &first[..4]);
    }
    format!("dropbear knows no keys of the kind {first:?}: {PASTE}")
}

/// Each with its length before it; none where something is missing or left over.
fn fields_of(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, later) = rest.split_at_checked(length)?;
        fields.push(field);
        blob = later;
    }
    Some(fields)
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.base64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `ssh-keygen`, one of each kind that it makes without a token.
    const MADE: &str = include_str!("tests/keys.pub");

    #[test]
    fn takes_what_ssh_keygen_makes_and_forgets_whose_it_is() {
        assert_eq!(MADE.lines().count(), 5);
        for line in MADE.lines() {
            assert!(line.ends_with(" somebody@somewhere"), "{line}");
            let key: SshKey = line.parse().unwrap();
            assert_eq!(format!("{key} somebody@somewhere"), line);
            assert!(!format!("{key:?}").contains("somebody"));
        }
    }

    #[test]
    fn takes_the_key_of_a_token() {
        let kind = "sk-ssh-ed25519@openssh.com";
        let fields = [kind.as_bytes(), &[7; 32], b"ssh:"];
        assert!(token(kind, &fields).parse::<SshKey>().is_ok());
        assert!(token(kind, &fields[..2]).parse::<SshKey>().is_err());
    }

    #[test]
    fn a_key_that_lost_its_end_or_belongs_to_another_kind_is_none() {
        let line = MADE.lines().next().unwrap();
        let (kind, rest) = line.split_once(' ').unwrap();
        let base64 = rest.split_once(' ').unwrap().0;
        for wrong in [
            format!("{kind} {}", &base64[..base64.len() - 4]),
            format!("{kind} {base64}AAAA"),
            format!("{kind} {}", base64.replacen("AAAA", "AAAB", 1)),
            format!("ssh-rsa {base64}"),
            kind.to_owned(),
        ] {
            let message = wrong.parse::<SshKey>().unwrap_err();
            assert!(
                message.contains("is not whole, or of another kind") && message.ends_with(PASTE),
                "{message}"
            );
        }
        let long = format!("{kind} {base64}{}", "A".repeat(LONGEST));
        assert!(long.parse::<SshKey>().unwrap_err().contains("too long"));
    }

    fn token(kind: &str, fields: &[&[u8]]) -> String {
        let with_length =
            |field: &&[u8]| [&u32::try_from(field.len()).unwrap().to_be_bytes(), *field].concat();
        let blob: Vec<u8> = fields.iter().flat_map(with_length).collect();
        format!("{kind} {}", STANDARD.encode(blob))
    }
}
