//! What happened in each minute, and the words of events in each quarter of an hour.
//!
//! A quarter is the longest span that never lies on both sides of a midnight: all time zones of
//! today differ from UTC by whole quarters. So a viewer of any zone sums up the quarters of its day.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use crate::count::{Count, Level as Levels, Listener};
use crate::print::beginning;

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const QUARTER_MS: i64 = 15 * MINUTE_MS;

/// How many different words of a kind a quarter remembers; the others are counted together.
const WORDS_MAX: usize = 48;

/// A longer word is cut.
const WORD_BYTES_MAX: usize = 96;

/// The name of all words for which there was no room.
const OTHER_WORDS: &str = "(other)";

/// Something to count in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Events,
    Joined,
    Left,
    Began,
    Ended,
    Rejected,
}

const FIGURES: usize = 6;

/// The numbers of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Minute {
    figures: [u64; FIGURES],
    /// The most participants and rooms at once, and how many there were at its last event.
    participants: Level,
    rooms: Level,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Level {
    most: u64,
    last: u64,
}

/// What a word tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// The name of an event.
    Event,
    /// Why a participant left.
    Left,
    /// Why a session ended.
    Ended,
    /// Why a body was rejected.
    Rejected,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Left => "left",
            Self::Ended => "ended",
            Self::Rejected => "rejected",
        }
    }
}

/// How often each word was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words(BTreeMap<Box<str>, u64>);

impl Words {
    pub(super) fn add(&mut self, word: &str) {
        let word = beginning(word, WORD_BYTES_MAX);
        if let Some(count) = self.0.get_mut(word) {
            *count += 1;
            return;
        }
        let word = if self.0.len() < WORDS_MAX { word } else { OTHER_WORDS };
        *self.0.entry(word.into()).or_default() += 1;
    }

    #[cfg(test)]
    pub(super) fn count(&self, word: &str) -> u64 {
        self.0.get(word).copied().unwrap_or_default()
    }
}

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

/// What is counted as `stats` does: once nothing more is expected that changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Counted {
    sessions: u64,
    participants: u64,
    /// The time that participants were there, in milliseconds, when they left.
    stay_ms: u64,
    recordings: u64,
    recording_bytes: u64,
}

/// A quarter of an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Quarter {
    words: BTreeMap<Kind, Words>,
    counted: Counted,
}

/// The minutes and quarters of a span of event time.
#[derive(Debug)]
pub(super) struct Series {
    span: Range<i64>,
    /// By their numbers since 1970; those without an event are left out.
    minutes: BTreeMap<i64, Minute>,
    quarters: BTreeMap<i64, Quarter>,
    /// What has changed since [`Series::take_changes`].
    changed_minutes: BTreeSet<i64>,
    changed_quarters: BTreeSet<i64>,
}

impl Series {
    pub(super) fn new(span: Range<i64>) -> Self {
        Self {
            span,
            minutes: BTreeMap::new(),
            quarters: BTreeMap::new(),
            changed_minutes: BTreeSet::new(),
            changed_quarters: BTreeSet::new(),
        }
    }

    pub(super) fn span(&self) -> Range<i64> {
        self.span.clone()
    }

    /// Moves the span on, and forgets what is before it.
    pub(super) fn advance(&mut self, span: Range<i64>) {
        self.minutes = self.minutes.split_off(&span.start.div_euclid(MINUTE_MS));
        self.quarters = self.quarters.split_off(&span.start.div_euclid(QUARTER_MS));
        self.span = span;
    }

    pub(super) fn add(&mut self, at: i64, figure: Figure) {
        if let Some(minute) = self.minute(at) {
            minute.figures[figure as usize] += 1;
        }
    }

    pub(super) fn add_word(&mut self, at: i64, kind: Kind, word: &str) {
        if self.span.contains(&at) {
            let number = at.div_euclid(QUARTER_MS);
            let quarter = self.quarters.entry(number).or_default();
            quarter.words.entry(kind).or_default().add(word);
            self.changed_quarters.insert(number);
        }
    }

    fn add_counted(&mut self, at: i64, add: impl FnOnce(&mut Counted)) {
        if self.span.contains(&at) {
            let number = at.div_euclid(QUARTER_MS);
            add(&mut self.quarters.entry(number).or_default().counted);
            self.changed_quarters.insert(number);
        }
    }

    /// There are so many participants and rooms after an event of this time.
    pub(super) fn set_level(&mut self, at: i64, participants: u64, rooms: u64) {
        let Some(minute) = self.minute(at) else { return };
        for (level, now) in [(&mut minute.participants, participants), (&mut minute.rooms, rooms)] {
            *level = Level { most: level.most.max(now), last: now };
        }
    }

    fn minute(&mut self, at: i64) -> Option<&mut Minute> {
        if !self.span.contains(&at) {
            return None;
        }
        let number = at.div_euclid(MINUTE_MS);
        self.changed_minutes.insert(number);
        Some(self.minutes.entry(number).or_default())
    }

    /// Everything.
    pub(super) fn all(&self) -> Part<'_> {
        Part {
            minutes: self.minutes.iter().map(|(number, minute)| (*number, *minute)).collect(),
            quarters: self.quarters.iter().map(|(number, quarter)| (*number, quarter)).collect(),
        }
    }

    /// The whole minutes and quarters that have changed since the last call.
    pub(super) fn take_changes(&mut self) -> Part<'_> {
        let minutes = std::mem::take(&mut self.changed_minutes);
        let quarters = std::mem::take(&mut self.changed_quarters);
        let minute = |number| Some((number, *self.minutes.get(&number)?));
        Part {
            minutes: minutes.into_iter().filter_map(minute).collect(),
            quarters: quarters
                .into_iter()
                .filter_map(|number| Some((number, self.quarters.get(&number)?)))
                .collect(),
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self, figure: Figure) -> u64 {
        self.minutes.values().map(|minute| minute.figures[figure as usize]).sum()
    }
}

impl Listener for Series {
    fn count(&mut self, count: Count<'_>) {
        match count {
            Count::Session { at } => self.add_counted(at, |sums| sums.sessions += 1),
            Count::Participant { at } => self.add_counted(at, |sums| sums.participants += 1),
            Count::Stay { at, ms } => self.add_counted(at, |sums| {
                sums.stay_ms = sums.stay_ms.saturating_add(ms.max(0) as u64);
            }),
            Count::Recording { at, bytes } => self.add_counted(at, |sums| {
                sums.recordings += 1;
                sums.recording_bytes = sums.recording_bytes.saturating_add(bytes);
            }),
            // The words of events are counted when they come.
            Count::Left { .. }
            | Count::SessionEnd { .. }
            | Count::Missing(_)
            | Count::StayRecord(_)
            | Count::SessionRecord(_) => {}
        }
    }

    /// The page shows how many there are when an event comes.
    fn level(&mut self, _: Range<i64>, _: Levels) {}
}

/// Minutes and quarters, as they are sent.
///
/// A minute is an array: its number since 1970, the figures in the order of [`Figure`], then the
/// most and the last number of participants, and of rooms.
///
/// A quarter is its number and an object: the words of each kind with their counts, and what was
/// counted.
#[derive(Debug, Serialize)]
pub(super) struct Part<'a> {
    #[serde(serialize_with = "minutes")]
    minutes: Vec<(i64, Minute)>,
    #[serde(serialize_with = "quarters")]
    quarters: Vec<(i64, &'a Quarter)>,
}

impl Part<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.quarters.is_empty()
    }
}

fn minutes<S: Serializer>(minutes: &[(i64, Minute)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(minutes.len()))?;
    for (number, Minute { figures, participants, rooms }) in minutes {
        let [events, joined, left, began, ended, rejected] = figures;
        let levels = [participants.most, participants.last, rooms.most, rooms.last];
        list.serialize_element(&(number, events, joined, left, began, ended, rejected, levels))?;
    }
    list.end()
}

fn quarters<S: Serializer>(quarters: &[(i64, &Quarter)], serializer: S) -> Result<S::Ok, S::Error> {
    struct Named<'a>(&'a Quarter);
    impl Serialize for Named<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let Quarter { words, counted } = self.0;
            let mut map = serializer.serialize_map(None)?;
            for (kind, words) in words {
                map.serialize_entry(kind.as_str(), words)?;
            }
            if *counted != Counted::default() {
                map.serialize_entry("counted", counted)?;
            }
            map.end()
        }
    }
    serializer.collect_seq(quarters.iter().map(|(number, quarter)| (number, Named(quarter))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_own_figures_and_the_most_and_the_last_level() {
        let mut series = Series::new(0..10 * MINUTE_MS);
        series.add(1, Figure::Events);
        series.add(MINUTE_MS, Figure::Events);
        series.add(MINUTE_MS + 5, Figure::Joined);
        series.set_level(MINUTE_MS + 5, 7, 2);
        series.set_level(MINUTE_MS + 9, 3, 1);
        let told = serde_json::to_string(&series.all()).unwrap();
        assert_eq!(
            told,
            r#"{"minutes":[[0,1,0,0,0,0,0,[0,0,0,0]],[1,1,1,0,0,0,0,[7,3,2,1]]],"quarters":[]}"#
        );
    }

    #[test]
    fn only_what_has_changed_is_told_again() {
        let mut series = Series::new(0..100 * MINUTE_MS);
        series.add(1, Figure::Events);
        series.add_word(1, Kind::Left, "disconnect");
        assert!(!series.take_changes().is_empty());
        assert!(series.take_changes().is_empty());
        series.add_word(50 * MINUTE_MS, Kind::Left, "evicted");
        let told = serde_json::to_string(&series.take_changes()).unwrap();
        assert_eq!(told, r#"{"minutes":[],"quarters":[[3,{"left":{"evicted":1}}]]}"#);
    }

    #[test]
    fn what_is_before_or_after_the_span_is_not_counted_and_what_was_is_forgotten() {
        let mut series = Series::new(QUARTER_MS..2 * QUARTER_MS);
        series.add(QUARTER_MS - 1, Figure::Events);
        series.add(2 * QUARTER_MS, Figure::Events);
        assert_eq!(series.count(Figure::Events), 0);
        series.add(QUARTER_MS, Figure::Events);
        series.add_word(QUARTER_MS, Kind::Event, "x");
        series.advance(2 * QUARTER_MS..3 * QUARTER_MS);
        assert!(series.all().is_empty());
    }

    #[test]
    fn a_caller_who_makes_up_words_takes_bounded_memory_and_none_is_left_uncounted() {
        let mut words = Words::default();
        for number in 0..1000 {
            words.add(&format!("{number} {}", "é".repeat(1000)));
        }
        assert_eq!(words.0.len(), WORDS_MAX + 1);
        assert!(words.0.keys().all(|word| word.len() <= WORD_BYTES_MAX));
        assert_eq!(words.0.values().sum::<u64>(), 1000);
        assert_eq!(words.count(OTHER_WORDS), 1000 - WORDS_MAX as u64);
    }
}
