//! Where the secrets of a `.conf` stand, whatever else is wrong with it.

use std::ops::Range;

use super::key::Key;

/// Each by its key's name, with the bytes of its value; one without a value is none.
pub fn secrets(text: &str) -> Vec<(&'static str, Range<usize>)> {
    let mut found = Vec::new();
    let mut begin = 0;
    for line in text.split_inclusive('\n') {
        found.extend(secret(line).map(|(name, Range { start, end })| (name, begin + start..begin + end)));
        begin += line.len();
    }
    found
}

fn secret(line: &str) -> Option<(&'static str, Range<usize>)> {
    let code = line.split('#').next()?;
    let (name, value) = code.split_once('=')?;
    let name = name.trim_start_matches('\u{feff}').trim();
    let key = [Key::Private, Key::Preshared].into_iter().find(|key| key.name().eq_ignore_ascii_case(name))?;
    let start = code.len() - value.trim_start().len();
    let end = start + value.trim().len();
    (end > start).then(|| (key.name(), start..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_them_as_people_write_them() {
        let text = "\u{feff}privatekey=a=\r\n[Interface]\r\n\tPRIVATEKEY =  b+/=   # mine: PrivateKey = no\r\n\
                    PublicKey = c\nPresharedKey\t= d\n# PrivateKey = e\nPrivateKey =\nPresharedKey = f";
        let found: Vec<(&str, &str)> =
            secrets(text).into_iter().map(|(name, span)| (name, &text[span])).collect();
        assert_eq!(
            found,
            [("PrivateKey", "a="), ("PrivateKey", "b+/="), ("PresharedKey", "d"), ("PresharedKey", "f")]
        );
    }
}
