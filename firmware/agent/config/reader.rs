//! Takes typed values out of parsed TOML and collects every mistake on the way, with its place. A mistaken value
//! reads like an absent one: whoever asks goes on, and finds all mistakes in one pass. Knows no meaning of any key.

use std::io;
use std::ops::RangeInclusive;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::keys;
use crate::mistake::Mistake;

/// A value and the byte of the file where it stands.
#[derive(Clone, Copy)]
pub(super) struct At<T> {
    pub(super) at: usize,
    pub(super) value: T,
}

/// Texts, each where it stands.
pub(super) type List<'a> = At<Vec<At<&'a str>>>;

/// One `[section]`; without a table it is not in the file.
pub(super) struct Section<'a> {
    name: &'static str,
    at: usize,
    table: Option<&'a DeTable<'a>>,
}

pub(super) struct Reader<'a> {
    text: &'a str,
    pub(super) mistakes: Vec<Mistake>,
    /// What should be there and is not. Apart, because in a file that is no TOML it may only look so.
    pub(super) missing: Vec<Mistake>,
}

impl Section<'_> {
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, mistakes: Vec::new(), missing: Vec::new() }
    }

    pub(super) fn mistake(&mut self, at: usize, message: impl Into<String>) {
        self.mistakes.push(Mistake::at(self.text, at, message));
    }

    /// Something that must be in this section is not.
    pub(super) fn missing(&mut self, section: &Section<'_>, message: impl Into<String>) {
        self.missing.push(Mistake::at(self.text, section.at, message));
    }

    /// Refuses every name at the top level that is no section.
    pub(super) fn check_sections(&mut self, file: &DeTable<'_>) {
        for name in file.keys() {
            if let Some(reason) = keys::refuse_section(name.get_ref()) {
                self.mistake(name.span().start, reason);
            }
        }
    }

    /// A section, with every key refused that it does not know.
    pub(super) fn section(&mut self, file: &'a DeTable<'a>, name: &'static str) -> Section<'a> {
        self.table(file, name, name).unwrap_or(Section { name, at: 0, table: None })
    }

    /// A section within a section, of this whole name; `None` where it is not in the file, or is none.
    pub(super) fn subsection(
        &mut self,
        section: &Section<'a>,
        key: &str,
        name: &'static str,
    ) -> Option<Section<'a>> {
        self.table(section.table?, key, name).filter(|found| found.table.is_some())
    }

    fn table(&mut self, parent: &'a DeTable<'a>, key: &str, name: &'static str) -> Option<Section<'a>> {
        let (key, value) = parent.get_key_value(key)?;
        let at = key.span().start;
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.mistake(
                at,
                format!("{name} is a section: write [{name}] on a line of its own, its keys below"),
            );
        }
        for key in table.into_iter().flat_map(|table| table.keys()) {
            if let Some(reason) = keys::refuse_key(name, key.get_ref()) {
                self.mistake(key.span().start, reason);
            }
        }
        Some(Section { name, at, table })
    }

    pub(super) fn text(&mut self, section: &Section<'a>, key: &str) -> Option<At<&'a str>> {
        self.typed(section, key, "a text in quotes", DeValue::as_str)
    }

    pub(super) fn flag(&mut self, section: &Section<'a>, key: &str) -> Option<At<bool>> {
        self.typed(section, key, "true or false", DeValue::as_bool)
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &mut self,
        section: &Section<'a>,
        key: &str,
        range: &RangeInclusive<u16>,
    ) -> Option<At<u16>> {
        let found = self.typed(section, key, "a whole number", DeValue::as_integer)?;
        let number = u16::from_str_radix(found.value.as_str(), found.value.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.mistake(
                found.at,
                format!("{key} cannot be {}: write a number from {least} to {most}", found.value),
            );
        }
        number.map(|value| At { at: found.at, value })
    }

    /// A list of texts; those of its values that are none are mistakes of their own.
    pub(super) fn texts(&mut self, section: &Section<'a>, key: &str) -> Option<List<'a>> {
        let list = self.typed(section, key, "a list", DeValue::as_array)?;
        Some(At { at: list.at, value: self.items(section, key, list.value) })
    }

    /// A table whose keys are the owner's own, each with a list of texts.
    pub(super) fn lists(&mut self, section: &Section<'a>, key: &str) -> Vec<(At<&'a str>, List<'a>)> {
        let Some(table) = self.typed(section, key, "a table", DeValue::as_table) else { return Vec::new() };
        let mut lists = Vec::new();
        for (name, list) in table.value {
            let name = At { at: name.span().start, value: name.get_ref().as_ref() };
            match list.get_ref().as_array() {
                Some(items) => {
                    let value = self.items(section, key, items);
                    lists.push((name, At { at: list.span().start, value }));
                }
                None => self.wrong_type(list, section, key, "a table of lists"),
            }
        }
        lists
    }

    fn items(&mut self, section: &Section<'a>, key: &str, list: &'a DeArray<'a>) -> Vec<At<&'a str>> {
        let mut texts = Vec::new();
        for item in list {
            match item.get_ref().as_str() {
                Some(value) => texts.push(At { at: item.span().start, value }),
                None => self.wrong_type(item, section, key, "a list of texts in quotes"),
            }
        }
        texts
    }

    /// A text that `T` can read.
    pub(super) fn parsed<T>(&mut self, section: &Section<'a>, key: &str) -> Option<T>
    where
        T: FromStr<Err = String>,
    {
        let text = self.text(section, key)?;
        text.value.parse().map_err(|message: String| self.mistake(text.at, message)).ok()
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        section: &Section<'a>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(section, key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let advice = keys::nearest(text.value, &known)
            .map_or_else(|| format!("\"{}\"", known.join("\" or \"")), |near| format!("{near:?}"));
        self.mistake(text.at, format!("{key} cannot be {:?}: write {advice}", text.value));
        None
    }

    /// What a file holds that the configuration names at `named`.
    pub(super) fn file(&mut self, named: At<&str>, read: io::Result<String>) -> Option<String> {
        let name = named.value;
        let message = match read {
            Ok(text) => return Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("{name:?} is not there: put it beside byway.toml, or correct its name")
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                format!("{name:?} is not text: save it as UTF-8")
            }
            Err(error) => format!("{name:?} cannot be read: {error}"),
        };
        self.mistake(named.at, message);
        None
    }

    fn typed<T>(
        &mut self,
        section: &Section<'a>,
        key: &str,
        wanted: &str,
        take: impl Fn(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<At<T>> {
        let found = section.table?.get(key)?;
        let Some(value) = take(found.get_ref()) else {
            self.wrong_type(found, section, key, wanted);
            return None;
        };
        Some(At { at: found.span().start, value })
    }

    fn wrong_type(&mut self, found: &Spanned<DeValue<'_>>, section: &Section<'_>, key: &str, wanted: &str) {
        let example = keys::example(section.name, key);
        let kind = match found.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        self.mistake(found.span().start, format!("{key} is {wanted}, not {kind}: write {key} = {example}"));
    }
}
