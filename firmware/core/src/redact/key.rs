//! Knows keys by their form: what no word, name or number looks like.

use alloc::string::String;
use alloc::vec::Vec;

use super::SECRET;

/// Hex digits of 16 bytes; half of a key would still be one.
const HEX: usize = 32;
/// Letters of base64 that 32 bytes need, without the `=` at the end.
const BASE64: usize = 43;
/// Digits of a Mullvad account.
const ACCOUNT: usize = 16;
/// The website writes them in so many groups, with spaces between.
const GROUPS: usize = 4;
/// How keys for a tailnet begin.
const PREFIXES: [&str; 2] = ["tskey-", "hskey-"];

pub(super) fn is_part(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "+/_-".contains(letter)
}

/// Whether there is one in it.
pub(super) fn redact(run: &str) -> Option<()> {
    let parts = || run.split(['-', '_', '+', '/']);
    let is_hex = |part: &str| {
        part.len() >= HEX && part.trim_start_matches("0x").bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let is_account = |part: &str| part.len() == ACCOUNT && part.bytes().all(|byte| byte.is_ascii_digit());
    let mixed = run.bytes().any(|byte| byte.is_ascii_uppercase())
        && run.bytes().any(|byte| byte.is_ascii_lowercase());
    let is_key = PREFIXES.iter().any(|prefix| run.contains(prefix))
        || (run.len() >= BASE64 && mixed)
        || parts().any(is_hex)
        || parts().any(is_account);
    is_key.then_some(())
}

pub(super) fn is_of_groups(letter: char) -> bool {
    letter.is_ascii_digit() || letter == ' '
}

/// A number of an account in its groups, wherever it stands among other numbers.
pub(super) fn redact_groups(run: &str) -> String {
    let groups: Vec<&str> = run.split(' ').collect();
    let (mut told, mut rest) = (Vec::new(), groups.as_slice());
    while let Some((first, others)) = rest.split_first() {
        let is_account =
            rest.get(..GROUPS).is_some_and(|four| four.iter().all(|it| it.len() == ACCOUNT / GROUPS));
        told.push(if is_account { SECRET } else { *first });
        rest = if is_account { &rest[GROUPS..] } else { others };
    }
    told.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_an_account_s_number_from_other_numbers() {
        for (numbers, left) in [
            ("1234 5678 9012 3456", "[secret]"),
            (" 12 1234 5678 9012 3456 1234 5678 9012 3456 ", " 12 [secret] [secret] "),
            ("1234 5678 9012", "1234 5678 9012"),
            ("12345 6789 0123 4567", "12345 6789 0123 4567"),
            ("1234  5678 9012 3456", "1234  5678 9012 3456"),
            ("", ""),
        ] {
            assert_eq!(redact_groups(numbers), left, "{numbers}");
        }
    }

    #[test]
    fn tells_keys_from_words() {
        for key in [
            "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk",
            "hskey-auth-Ab_1-2",
            "tskey-auth-kX-1",
            "1234567890123456",
            "0123456789abcdef0123456789abcdef",
            "nodekey_0123456789abcdef0123456789ABCDEF0123456789abcdef",
            "account-1234567890123456",
        ] {
            assert!(redact(key).is_some(), "{key}");
        }
        for word in [
            "",
            "se-got-wg-001",
            "/sys/devices/platform/soc/soc/firmware/get_throttled",
            "12345678901234567",
            "3f2a7c1e-90ab-4cde-8f01-23456789abcd",
            "0xffffffc008",
        ] {
            assert!(redact(word).is_none(), "{word}");
        }
    }
}
