//! Reads `[clients]`: what each of them may take.

use std::ops::RangeInclusive;

use super::super::Clients;
use super::super::reader::{Reader, Section};

/// No Pi moves more than the latter.
const LIMIT_MBIT: RangeInclusive<u16> = 1..=10_000;

pub(super) fn read<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Clients {
    Clients { limit_mbit: reader.number(section, "limit_mbit", &LIMIT_MBIT).map(|limit| limit.value) }
}
