//! Counts by a name from the events: bounded, whatever the events contain.

use std::collections::HashMap;

/// How many names are counted; further ones are counted as [`OTHERS`].
const NAMES_MAX: usize = 1000;
const OTHERS: &str = "(others)";

/// Assigns each name a number.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Box<[u8]>, usize>,
    /// The first names: each of the few that most events have is found faster by its length than by
    /// its hash.
    first: Vec<Box<[u8]>>,
    names: Vec<String>,
}

impl Names {
    /// How many names are compared before the hash is used.
    const FIRST: usize = 12;

    pub(super) fn number(&mut self, name: &[u8]) -> usize {
        if let Some(number) = self.first.iter().position(|first| **first == *name) {
            return number;
        }
        self.numbers.get(name).copied().unwrap_or_else(|| self.add(name))
    }

    /// The names, by their number.
    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }

    fn add(&mut self, name: &[u8]) -> usize {
        if self.names.len() > NAMES_MAX {
            return NAMES_MAX;
        }
        let number = self.names.len();
        if number == NAMES_MAX {
            self.names.push(OTHERS.to_owned());
        } else {
            self.names.push(String::from_utf8_lossy(name).into_owned());
            self.numbers.insert(name.into(), number);
            if number < Self::FIRST {
                self.first.push(name.into());
            }
        }
        number
    }
}

/// How often each name occurred.
#[derive(Debug, Default)]
pub(super) struct NameCounts {
    names: Names,
    counts: Vec<u64>,
}

impl NameCounts {
    pub(super) fn add(&mut self, name: &[u8]) {
        let number = self.names.number(name);
        if self.counts.len() <= number {
            self.counts.resize(number + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(number) {
            *count += 1;
        }
    }

    /// Most frequent first.
    pub(super) fn into_sorted(self) -> Vec<(String, u64)> {
        let mut counts: Vec<_> = self.names.into_names().into_iter().zip(self.counts).collect();
        counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        counts
    }
}
