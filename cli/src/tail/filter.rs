//! Which lines are printed.

use cdrlog::reader::Event;
use jiff::Timestamp;
use memchr::memmem::Finder;

/// The conditions for a line. Without any, every line is printed, an event or not.
#[derive(Debug)]
pub(crate) struct Filter {
    /// One of these names; any if it is empty.
    events: Vec<String>,
    session: Option<Session>,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
}

#[derive(Debug)]
struct Session {
    id: String,
    finder: Finder<'static>,
}

impl Filter {
    /// Events from `since` on and before `until`.
    pub(crate) fn new(
        events: &[String],
        session: Option<&str>,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Self {
        let session = session.map(|id| {
            let finder = Finder::new(id.as_bytes()).into_owned();
            Session { id: id.to_owned(), finder }
        });
        let since_ms = since.map(Timestamp::as_millisecond);
        let until_ms = until.map(Timestamp::as_millisecond);
        Self { events: events.to_vec(), session, since_ms, until_ms }
    }

    /// `line` is without its line feed.
    pub(crate) fn matches(&self, line: &[u8]) -> bool {
        self.may_match(line)
            && (self.is_sure(line)
                || Event::from_line(line).is_ok_and(|event| self.matches_event(&event)))
    }

    /// False if searching the text is enough to see that it does not match. A text with an escape
    /// may contain anything.
    fn may_match(&self, line: &[u8]) -> bool {
        let session = self.session.as_ref();
        let may_be_session = session
            .is_none_or(|session| session.finder.find(line).is_some() || line.contains(&b'\\'));
        may_be_session && plain_name(line).is_none_or(|name| self.wants_event(name))
    }

    /// Whether nothing more needs checking, once the text may match.
    fn is_sure(&self, line: &[u8]) -> bool {
        self.session.is_none()
            && self.since_ms.is_none()
            && self.until_ms.is_none()
            && (self.events.is_empty() || plain_name(line).is_some())
    }

    fn matches_event(&self, event: &Event) -> bool {
        let session = self.session.as_ref();
        self.wants_event(event.name().as_bytes())
            && session.is_none_or(|session| event.session_id() == Some(session.id.as_str()))
            && self.since_ms.is_none_or(|since| event.timestamp_ms().is_some_and(|at| at >= since))
            && self.until_ms.is_none_or(|until| event.timestamp_ms().is_some_and(|at| at < until))
    }

    fn wants_event(&self, name: &[u8]) -> bool {
        self.events.is_empty() || self.events.iter().any(|event| event.as_bytes() == name)
    }
}

/// The name of the event, if the line has it as the writer writes it and without an escape.
fn plain_name(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"{\"")?;
    let name = rest.get(..memchr::memchr2(b'"', b'\\', rest)?)?;
    (rest.get(name.len()) == Some(&b'"')).then_some(name)
}
