//! The events of one room, as they are in the record.

use std::borrow::Cow;
use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use cdrlog::reader::{Event, FileKind};
use memchr::memmem::Finder;

use super::person::shown;
use super::record::read_span;
use super::view::parts;
use crate::count::event_reader;
use crate::count::line::Parser;

/// Events that are returned; the rest of a longer list is left out.
const LINES_MAX: usize = 2000;
const BYTES_MAX: usize = 4 << 20;

/// Which room. As in events, each of the two may be unknown.
#[derive(Debug)]
pub(super) struct Wanted {
    name: String,
    unique: String,
    /// Texts that a line of it contains, unless the line has an escape.
    finders: Vec<Finder<'static>>,
}

impl Wanted {
    pub(super) fn new(name: String, unique: String) -> Self {
        let finders = [&name, &unique].into_iter().filter(|text| !text.is_empty());
        let finders = finders.map(|text| Finder::new(text.as_bytes()).into_owned()).collect();
        Self { name, unique, finders }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.finders.is_empty()
    }

    fn may_be_in(&self, text: &[u8]) -> bool {
        self.finders.iter().any(|finder| finder.find(text).is_some())
            || memchr::memchr(b'\\', text).is_some()
    }

    /// The texts of a long name are cut in the list of rooms, so these are cut too.
    fn is_of(&self, name: &str, unique: Option<&str>) -> bool {
        let is_cut = |ours: &str, theirs: &str| ours == &*shown(Cow::Borrowed(theirs.as_bytes()));
        match unique {
            Some(unique) if !self.unique.is_empty() && !unique.is_empty() => {
                is_cut(&self.unique, unique)
            }
            _ => !self.name.is_empty() && is_cut(&self.name, name),
        }
    }
}

/// The events of a room in a span: a JSON object with the array `events`, and whether more are left
/// out. `None` if `stop` said so.
pub(super) fn read(
    directory: &Path,
    span: &Range<i64>,
    wanted: &Wanted,
    stop: &AtomicBool,
) -> Result<Option<String>, Box<dyn Error>> {
    let mut parser = Parser::default();
    let (mut lines, mut text, mut is_cut) = (0, String::from(r#"{"events":["#), false);
    let is_whole = read_span(directory, FileKind::Cdr, span, stop, |line| {
        let bytes = line.bytes();
        if line.is_whole()
            && wanted.may_be_in(bytes)
            && is_wanted(&mut parser, bytes, wanted, span)
            && let Ok(event) = str::from_utf8(bytes)
        {
            if lines >= LINES_MAX || text.len() + event.len() > BYTES_MAX {
                is_cut = true;
                return false;
            }
            if lines > 0 {
                text.push(',');
            }
            lines += 1;
            text.push_str(event);
        }
        true
    })?;
    text.push_str(if is_cut { r#"],"is_cut":true}"# } else { r#"],"is_cut":false}"# });
    Ok((is_whole || is_cut).then_some(text))
}

fn is_wanted(parser: &mut Parser, bytes: &[u8], wanted: &Wanted, span: &Range<i64>) -> bool {
    let Ok(line) = parser.parse(bytes) else { return false };
    let event = event_reader::read_all(&line);
    if event.at.is_some_and(|at| !span.contains(&at)) {
        return false;
    }
    match parts(&event.says).0 {
        Some(session) => {
            let unique = session.unique.as_deref().map(String::from_utf8_lossy);
            wanted.is_of(&String::from_utf8_lossy(&session.name), unique.as_deref())
        }
        // Signals, filters and the like.
        None => Event::from_line(bytes)
            .is_ok_and(|event| event.session_id().is_some_and(|id| wanted.is_of(id, None))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_has_its_own_events_and_not_those_of_another_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let lines = [
            r#"{"sessionCreated":{"sessionId":"a","uniqueSessionId":"a1","timestamp":10}}"#,
            r#"{"signalSent":{"sessionId":"a","timestamp":11,"data":"b1"}}"#,
            r#"{"sessionDestroyed":{"sessionId":"\u0061","uniqueSessionId":"a\u0031","timestamp":12}}"#,
            r#"{"sessionCreated":{"sessionId":"a","uniqueSessionId":"a2","timestamp":13}}"#,
            r#"{"sessionCreated":{"sessionId":"b","uniqueSessionId":"b1","timestamp":14}}"#,
            r#"{"signalSent":{"sessionId":"a","timestamp":90}}"#,
        ];
        let file = directory.path().join("CDR.1970-01-01_00-00-00.log");
        std::fs::write(file, lines.map(|line| format!("{line}\n")).concat()).unwrap();
        let of = |name: &str, unique: &str| {
            let wanted = Wanted::new(name.to_owned(), unique.to_owned());
            let read = read(directory.path(), &(0..50), &wanted, &AtomicBool::new(false));
            let json: serde_json::Value = serde_json::from_str(&read.unwrap().unwrap()).unwrap();
            let events = json["events"].as_array().unwrap().iter();
            events.map(|event| event.as_object().unwrap().keys().next().unwrap().clone()).collect()
        };
        let names: Vec<String> = of("a", "a1");
        assert_eq!(names, ["sessionCreated", "signalSent", "sessionDestroyed"]);
        let names: Vec<String> = of("b", "b1");
        assert_eq!(names, ["sessionCreated"]);
    }
}
