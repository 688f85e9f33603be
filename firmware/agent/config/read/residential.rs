//! Reads `[residential]`: what clients may do by the house's line.

use super::super::Residential;
use super::super::reader::{Reader, Section};

pub(super) fn read<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Residential {
    Residential {
        smtp: reader.flag(section, "smtp").is_some_and(|flag| flag.value),
        daily_gb: reader.number(section, "daily_gb", &(1..=u16::MAX)).map(|most| most.value),
    }
}
