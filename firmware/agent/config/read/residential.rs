//! Reads `[residential]`: what clients may do by the house's line.

use super::super::Residential;
use super::super::reader::{Reader, Section};

pub(super) fn read<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Residential {
    Residential { smtp: reader.flag(section, "smtp").is_some_and(|flag| flag.value) }
}
