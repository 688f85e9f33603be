//! Where secrets stand in the texts that an owner hands over, and the word that stands for one that the box has. Knows
//! texts alone.
//!
//! | in | after the join there is |
//! |---|---|
//! | `byway.toml` | no `auth_key`; `psk = "kept"`, `account = "kept"` |
//! | a `.conf` | `PrivateKey = kept`, `PresharedKey = kept` |
//! | the file of `auth_key_file` | nothing |

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::mistake::Mistake;
use crate::tailnet;
use crate::tunnel::conf;

/// In a secret's place: the one that the box has. No wi-fi password is so short, no account's number, and no key.
const KEPT: &str = "kept";

/// What a file is to byway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `byway.toml`
    Toml,
    /// One of `[mullvad] config`.
    Conf,
    /// That of `[tailnet] auth_key_file`.
    Key,
}

/// One that goes on to serve after the join.
struct Secret {
    /// Of the same name are those that may stand for each other.
    name: String,
    /// Quotes included.
    span: Range<usize>,
    is_kept: bool,
    /// What parses, and is nobody's.
    stand_in: &'static str,
}

/// A text with the box's secrets where it says `kept`.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) text: String,
    /// Of which secrets it says so.
    pub(super) kept: Vec<String>,
    /// Those that the box does not have: the text has others in their places, for nothing but finding its mistakes.
    pub(super) missing: Vec<Mistake>,
    stretches: Vec<Stretch>,
}

/// Where a line has become longer, and by how many characters.
#[derive(Debug)]
struct Stretch {
    line: usize,
    column: usize,
    by: usize,
}

/// `own`: the box's text of the same file.
pub(super) fn fill(form: Form, text: &str, own: Option<&str>) -> Filled {
    let own = own.unwrap_or_default();
    let owns = form.secrets(own);
    let of_box = |name: &str| {
        owns.iter().find(|secret| secret.name == name && !secret.is_kept).map(|it| &own[it.span.clone()])
    };
    let mut filled =
        Filled { text: String::new(), kept: Vec::new(), missing: Vec::new(), stretches: Vec::new() };
    let mut end = 0;
    for Secret { name, span, stand_in, .. } in form.secrets(text).into_iter().filter(|secret| secret.is_kept)
    {
        let place = |message| Mistake::at(text, span.start, message);
        let secret = of_box(&name).unwrap_or_else(|| {
            let message = format!("{name}: the box does not have it any more: write it again");
            filled.missing.push(place(message));
            stand_in
        });
        let Mistake { line, column, .. } = place(String::new());
        let by = secret.chars().count().saturating_sub(span.len());
        filled.stretches.push(Stretch { line, column, by });
        filled.text.extend([&text[end..span.start], secret]);
        filled.kept.push(name);
        end = span.end;
    }
    filled.text.push_str(&text[end..]);
    filled
}

impl Filled {
    /// A mistake in the filled text, where it stands in what the owner wrote.
    pub(super) fn lead_back(&self, mistake: Mistake) -> Mistake {
        let is_before = |it: &&Stretch| it.line == mistake.line && it.column < mistake.column;
        let column =
            self.stretches.iter().filter(is_before).fold(mistake.column, |column, stretch| {
                column.saturating_sub(stretch.by).max(stretch.column)
            });
        Mistake { column, ..mistake }
    }
}

impl Form {
    /// The text as it is after the join, every other byte as it was.
    pub(super) fn without_secrets(self, text: &str) -> String {
        let text = match self {
            Self::Toml => tailnet::without_auth_key(text).unwrap_or_else(|| text.to_owned()),
            Self::Conf => text.to_owned(),
            Self::Key => return String::new(),
        };
        let mut without = String::new();
        let mut end = 0;
        for Secret { span, .. } in self.secrets(&text).into_iter().filter(|secret| !secret.is_kept) {
            without.extend([&text[end..span.start], self.word()]);
            end = span.end;
        }
        without.push_str(&text[end..]);
        without
    }

    /// In the order in which they stand there.
    fn secrets(self, text: &str) -> Vec<Secret> {
        match self {
            Self::Toml => toml_secrets(text),
            Self::Conf => conf::secrets(text)
                .into_iter()
                .map(|(name, span)| Secret {
                    name: name.to_owned(),
                    is_kept: &text[span.clone()] == KEPT,
                    span,
                    stand_in: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                })
                .collect(),
            Self::Key => Vec::new(),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Toml => "\"kept\"",
            Self::Conf | Self::Key => KEPT,
        }
    }
}

/// The files that `byway.toml` names, by what they are to it; the auth key's first.
pub(super) fn named(text: &str) -> Vec<(String, Form)> {
    let Ok(document) = DeTable::parse(text) else { return Vec::new() };
    let document = document.get_ref();
    let list = value(document, &["mullvad", "config"]).and_then(|list| list.get_ref().as_array());
    let confs = list.into_iter().flatten().filter_map(|name| name.get_ref().as_str());
    let key = value(document, &["tailnet", "auth_key_file"]).and_then(|name| name.get_ref().as_str());
    let of = |form| move |name: &str| (name.to_owned(), form);
    key.map(of(Form::Key)).into_iter().chain(confs.map(of(Form::Conf))).collect()
}

fn toml_secrets(text: &str) -> Vec<Secret> {
    let Ok(document) = DeTable::parse(text) else { return Vec::new() };
    let document = document.get_ref();
    let mut secrets: Vec<Secret> = [psk(document), account(document)].into_iter().flatten().collect();
    secrets.sort_by_key(|secret| secret.span.start);
    secrets
}

/// The wi-fi's password, by the network's name.
fn psk(document: &DeTable<'_>) -> Option<Secret> {
    let wifi = value(document, &["uplink", "wifi"])?.get_ref().as_table()?;
    let ssid = wifi.get("ssid")?.get_ref().as_str()?;
    Secret::in_toml(format!("psk of {ssid:?}"), wifi.get("psk")?, "\"no password\"")
}

/// The number of the account with Mullvad.
fn account(document: &DeTable<'_>) -> Option<Secret> {
    Secret::in_toml("account".to_owned(), value(document, &["mullvad", "account"])?, "\"0000000000000000\"")
}

impl Secret {
    /// `None`: it is no text.
    fn in_toml(name: String, value: &Spanned<DeValue<'_>>, stand_in: &'static str) -> Option<Self> {
        let is_kept = value.get_ref().as_str()? == KEPT;
        Some(Self { name, span: value.span(), is_kept, stand_in })
    }
}

fn value<'a, 't>(document: &'a DeTable<'t>, path: &[&str]) -> Option<&'a Spanned<DeValue<'t>>> {
    let (key, sections) = path.split_last()?;
    let section = sections.iter().try_fold(document, |table, name| table.get(*name)?.get_ref().as_table());
    section?.get(*key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "\u{feff}# my box\r\n[uplink.wifi]\r\nssid = 'Home'\r\n  psk =\t'correct horse'  # psk = \"x\"\r\n\
                        country = 'SE'\r\n[tailnet]\r\nauth_key = \"k-1\"   # Anna's\r\n\
                        [mullvad]\r\naccount = '1234 5678 9012 3456'   # mine\r\n";
    const CONF: &str = "[Interface]\r\nPrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=  # old\r\n\
                        [Peer]\r\nPresharedKey=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\r\n";

    #[test]
    fn secrets_go_and_every_other_byte_stays() {
        let wiped = Form::Toml.without_secrets(TOML);
        let by_hand = TOML
            .replace("'correct horse'", "\"kept\"")
            .replace("'1234 5678 9012 3456'", "\"kept\"")
            .replace("auth_key = \"k-1\"", "");
        assert_eq!(wiped, by_hand);
        assert_eq!(Form::Toml.without_secrets(&wiped), wiped, "a second time");
        let wiped = Form::Conf.without_secrets(CONF);
        assert_eq!(wiped.lines().nth(1), Some("PrivateKey = kept  # old"));
        assert_eq!(wiped.lines().nth(3), Some("PresharedKey=kept"));
        assert_eq!(Form::Conf.without_secrets(&wiped), wiped, "a second time");
        assert_eq!(Form::Key.without_secrets("k-1\n"), "");
    }

    #[test]
    fn what_was_wiped_is_filled_with_what_the_box_has() {
        for (form, text) in [(Form::Toml, TOML), (Form::Conf, CONF)] {
            let own = match form {
                Form::Toml => text.replace("auth_key = \"k-1\"", ""),
                Form::Conf | Form::Key => text.to_owned(),
            };
            let filled = fill(form, &form.without_secrets(text), Some(&own));
            assert_eq!((filled.text, filled.missing), (own, Vec::new()));
        }
    }

    #[test]
    fn a_password_is_that_of_the_same_network_alone() {
        let other = TOML.replace("'Home'", "\"Cottage\"");
        let filled = fill(Form::Toml, &Form::Toml.without_secrets(&other), Some(TOML));
        let told: Vec<String> = filled.missing.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["4:9: psk of \"Cottage\": the box does not have it any more: write it again"]);
        assert!(!filled.text.contains("horse"));
    }

    #[test]
    fn an_account_s_number_is_kept_wherever_it_stands_and_never_told() {
        let account = "mullvad.account = '1234 5678 9012 3456'\n";
        let wifi = "[uplink.wifi]\nssid = 'Home'\npsk = 'correct horse'\n";
        let own = format!("{account}{wifi}");
        let wiped = Form::Toml.without_secrets(&own);
        assert_eq!(wiped.matches("\"kept\"").count(), 2, "{wiped}");
        assert_eq!(fill(Form::Toml, &wiped, Some(&own)).text, own);
        let new = "[mullvad]\naccount = 'kept'\nlocation = 'se'\n";
        let filled = fill(Form::Toml, new, Some(&own));
        assert_eq!(filled.text, new.replace("'kept'", "'1234 5678 9012 3456'"));
        let forgotten = fill(Form::Toml, new, Some(wifi));
        let told: Vec<String> = forgotten.missing.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["2:11: account: the box does not have it any more: write it again"]);
    }

    #[test]
    fn a_mistake_is_led_back_to_where_the_owner_wrote_it() {
        let text = "wifi.x = 1\nuplink = { wifi = { ssid = 'a', psk = 'kept', country = 'XX' } }";
        let filled = fill(Form::Toml, text, None);
        let at = |text: &str, word: &str| Mistake::at(text, text.find(word).unwrap(), "");
        for word in ["wifi.x", "ssid", "country", "XX"] {
            assert_eq!(filled.lead_back(at(&filled.text, word)), at(text, word), "{word}");
        }
    }

    #[test]
    fn finds_the_files_that_it_names() {
        let text = "mullvad.config = ['a.conf', 1, \"b.conf\"]\n[tailnet]\nauth_key_file = 'auth.key'\n";
        let of = |name: &str, form| (name.to_owned(), form);
        assert_eq!(
            named(text),
            [of("auth.key", Form::Key), of("a.conf", Form::Conf), of("b.conf", Form::Conf)]
        );
        assert_eq!(named("[mullvad\nconfig = ['a.conf']"), []);
    }
}
