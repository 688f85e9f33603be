//! Knows keys by their form: what no word, name or number looks like.

/// Hex digits of 16 bytes; half of a key would still be one.
const HEX: usize = 32;
/// Letters of base64 that 32 bytes need, without the `=` at the end.
const BASE64: usize = 43;
/// Digits of a Mullvad account.
const ACCOUNT: usize = 16;
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

#[cfg(test)]
mod tests {
    use super::*;

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
