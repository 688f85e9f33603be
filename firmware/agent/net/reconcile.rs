//! Compares what should stand in the kernel with what does; each kind adds and removes for itself.

use std::fmt::Display;

/// One thing in the kernel: what it is, if it is of the kind that we make at all, and its message to name it by.
#[derive(Clone, Debug)]
pub(super) struct Standing<T, M> {
    pub(super) known: Option<T>,
    pub(super) message: M,
}

#[derive(Debug)]
pub(super) struct Gap<T, M> {
    pub(super) missing: Vec<T>,
    /// Also what stands twice.
    pub(super) foreign: Vec<Standing<T, M>>,
}

pub(super) fn gap<T: Clone + PartialEq, M>(wanted: &[T], standing: Vec<Standing<T, M>>) -> Gap<T, M> {
    let mut missing = wanted.to_vec();
    let mut foreign = Vec::new();
    for stands in standing {
        let place = missing.iter().position(|wanted| stands.known.as_ref() == Some(wanted));
        match place {
            Some(place) => drop(missing.remove(place)),
            None => foreign.push(stands),
        }
    }
    Gap { missing, foreign }
}

impl<T: Display, M> Gap<T, M> {
    /// Readable lines; `describe` tells of what is not of our kind.
    pub(super) fn lines(&self, describe: impl Fn(&M) -> String) -> Vec<String> {
        let missing = self.missing.iter().map(|item| format!("{item} is missing"));
        let foreign = self.foreign.iter().map(|stands| {
            let name = stands.known.as_ref().map_or_else(|| describe(&stands.message), ToString::to_string);
            format!("{name} does not belong there")
        });
        missing.chain(foreign).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stands(known: Option<u8>) -> Standing<u8, &'static str> {
        Standing { known, message: "odd" }
    }

    #[test]
    fn what_stands_twice_is_foreign_once() {
        let gap = gap(&[1, 2], vec![stands(Some(1)), stands(Some(1)), stands(None)]);
        let lines = gap.lines(|message| String::from(*message));
        assert_eq!(lines, ["2 is missing", "1 does not belong there", "odd does not belong there"]);
    }
}
