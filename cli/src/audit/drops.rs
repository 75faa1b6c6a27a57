//! Events that a sender says it dropped: `numDropped` of LiveKit's events, and `gaps.jsonl`, where
//! `cdrlog serve` notes the same.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use memchr::memmem::Finder;
use serde::Deserialize;

use crate::count::LATENESS_MS;
use crate::count::Source;
use crate::count::line::{Line, Members, number};

/// The files in a CDR directory: the previous one, and the current one.
const GAPS_FILES: [&str; 2] = ["gaps.1.jsonl", "gaps.jsonl"];

/// The maximum length of a line.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// So many events were dropped before a time, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drop {
    pub(super) source: Source,
    pub(super) at: i64,
    pub(super) count: u64,
    /// The session of the event that said so.
    pub(super) session: Option<String>,
}

/// Finds `numDropped` in events.
#[derive(Debug)]
pub(super) struct DropReader {
    finder: Finder<'static>,
}

impl DropReader {
    pub(super) fn new() -> Self {
        Self { finder: Finder::new(b"\"numDropped\"") }
    }

    /// How many events were dropped before this one.
    pub(super) fn count(&self, line: &Line<'_>) -> Option<u64> {
        self.finder.find(line.body)?;
        let told = Members::of_object(line.body).find(|(key, _)| key.as_ref() == b"numDropped");
        let count = number(told?.1)? as u64;
        (count > 0).then_some(count)
    }
}

/// A line of `gaps.jsonl`. It may have other members.
#[derive(Deserialize)]
struct Gap {
    at: i64,
    dropped: u64,
    #[serde(default)]
    session: Option<String>,
}

/// What a directory's `gaps.jsonl` and the previous file say; nothing if there are none.
///
/// # Errors
///
/// One cannot be read, or contains a line of another kind. A line that is still being written is
/// ignored.
pub(super) fn read_gaps(directory: &Path, source: Source) -> Result<Vec<Drop>, Box<dyn Error>> {
    let mut drops = Vec::new();
    for name in GAPS_FILES {
        drops.append(&mut read_file(&directory.join(name), source)?);
    }
    Ok(drops)
}

fn read_file(path: &Path, source: Source) -> Result<Vec<Drop>, Box<dyn Error>> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.map_err(failed)?,
    };
    let mut file = BufReader::new(file);
    let (mut drops, mut line) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        (&mut file).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(failed)?;
        if line.last() != Some(&b'\n') && (line.len() as u64) < LINE_BYTES_MAX {
            break;
        }
        let gap: Gap = serde_json::from_slice(&line)
            .map_err(|error| format!("{}: line {number}: {error}", path.display()))?;
        let Gap { at, dropped: count, session } = gap;
        if count > 0 {
            drops.push(Drop { source, at, count, session });
        }
    }
    Ok(drops)
}

/// All drops, each once: an event with `numDropped` and its note in `gaps.jsonl` count as one.
pub(super) fn merge(events: Vec<Drop>, gaps: Vec<Drop>) -> Vec<Drop> {
    let mut all = events;
    let mut is_matched = vec![false; all.len()];
    for gap in gaps {
        let known = all.iter().zip(&is_matched).position(|(event, is_matched)| {
            !is_matched
                && (event.source, event.count) == (gap.source, gap.count)
                && (gap.at - event.at).abs() <= LATENESS_MS
        });
        match known.and_then(|known| is_matched.get_mut(known)) {
            Some(is_matched) => *is_matched = true,
            None => {
                all.push(gap);
                is_matched.push(true);
            }
        }
    }
    all.sort_by_key(|drop| (drop.at, drop.source));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_that_an_event_and_a_note_tell_is_one() {
        let drop = |at, count| Drop { source: 0, at, count, session: None };
        let events = vec![drop(1_000, 3), drop(900_000, 1)];
        let gaps = vec![drop(1_900, 3), drop(2_000, 3), drop(5_000_000, 7)];
        let all = merge(events, gaps);
        let told: Vec<_> = all.iter().map(|drop| (drop.at, drop.count)).collect();
        assert_eq!(told, [(1_000, 3), (2_000, 3), (900_000, 1), (5_000_000, 7)]);
    }

    #[test]
    fn the_notes_of_a_directory_are_read_up_to_the_line_that_is_being_written() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_gaps(directory.path(), 0).unwrap(), []);
        let path = directory.path().join(GAPS_FILES[1]);
        // The first one has all the members that `serve` writes.
        let first = concat!(
            r#"{"at":7,"dropped":3,"peer":"192.0.2.7","event":"room_finished","id":"EV_e","#,
            r#""session":"Demo","roomSid":"RM_h"}"#,
            "\n{\"at\":8,\"dropped\":0}\n"
        );
        std::fs::write(&path, format!("{first}{{\"at\":9,")).unwrap();
        let drops = read_gaps(directory.path(), 4).unwrap();
        let session = Some("Demo".to_owned());
        assert_eq!(drops, [Drop { source: 4, at: 7, count: 3, session }]);
        std::fs::write(&path, format!("{first}nonsense\n")).unwrap();
        let error = read_gaps(directory.path(), 0).unwrap_err().to_string();
        assert!(error.contains("gaps.jsonl: line 3: "), "{error}");
    }
}
