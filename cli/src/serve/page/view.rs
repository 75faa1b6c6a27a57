//! What the page shows of a span of event time: lines go in, numbers and rooms come out.
//!
//! What a line says is read by `count`, as for every command. Repeated events are not counted.

use std::ops::Range;

use cdrlog::LineFault;
use serde::Serialize;

use super::person::{Person, shown};
use super::room::{Change, Open};
use super::rooms::Rooms;
use super::series::{Figure, Kind, Series};
use crate::count::LATENESS_MS;
use crate::count::event::{Event, Says, SessionRef};
use crate::count::event_reader;
use crate::count::line::{Line, Parser};
use crate::count::line_reader::{Depth, LineReader};
use crate::count::{GIVEN_UP_MS, SessionTracker};

/// How far event time goes on before it is told to the tracker.
const ADVANCE_MS: i64 = 1000;

/// Events that are kept to be shown until the next message.
const SAMPLE_MAX: usize = 20;

/// One event, as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    at_ms: Option<i64>,
    event: Box<str>,
    room: Box<str>,
    participant: Box<str>,
    reason: Box<str>,
}

/// What did not get into the minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Outside {
    /// Events that occurred before.
    pub(super) repeated: u64,
    /// Events whose time is before or after the span.
    pub(super) other_time: u64,
    /// Lines that are not events.
    pub(super) not_an_event: u64,
}

#[derive(Debug)]
pub(super) struct View {
    pub(super) series: Series,
    pub(super) rooms: Rooms,
    pub(super) outside: Outside,
    /// The time of the newest event.
    pub(super) newest_ms: Option<i64>,
    /// Some of the events since [`View::take_sample`], and the number of all of them.
    sample: Vec<Shown>,
    sampled: u64,
    /// Counts as `stats` does, some minutes later than rooms show.
    tracker: SessionTracker,
    reader: LineReader,
    /// Everything up to this time was read, as far as the tracker was told.
    advanced_ms: i64,
    parser: Parser,
    /// The time of the event before: that of one which tells none.
    before_ms: Option<i64>,
    are_rooms_changed: bool,
}

impl View {
    pub(super) fn new(span: Range<i64>) -> Self {
        let tracker = SessionTracker::new();
        Self {
            reader: tracker.reader(Depth::Counts),
            tracker,
            advanced_ms: i64::MIN,
            series: Series::new(span),
            rooms: Rooms::default(),
            outside: Outside::default(),
            newest_ms: None,
            sample: Vec::new(),
            sampled: 0,
            parser: Parser::default(),
            before_ms: None,
            are_rooms_changed: true,
        }
    }

    /// Takes a line of the CDR. An error if it is not an event, which is counted too.
    pub(super) fn take(&mut self, text: &[u8]) -> Result<(), LineFault> {
        let mut parser = std::mem::take(&mut self.parser);
        let taken = parser.parse(text).map(|line| self.take_event(&line));
        self.parser = parser;
        if taken.is_err() {
            self.outside.not_an_event += 1;
        }
        taken
    }

    /// Counts a rejected body that came at this time.
    pub(super) fn take_rejected(&mut self, at: Option<i64>, reason: &[u8]) {
        let at = at.unwrap_or_else(|| self.series.span().end - 1);
        self.series.add(at, Figure::Rejected);
        self.series.add_word(at, Kind::Rejected, &String::from_utf8_lossy(reason));
    }

    /// Moves the span on to end at `end`, and gives up rooms that have long been silent.
    pub(super) fn advance(&mut self, end: i64) {
        let span = self.series.span();
        self.series.advance(span.start + (end - span.end)..end);
        self.rooms.give_up_before(end - GIVEN_UP_MS);
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self) {
        let mut tracker = std::mem::replace(&mut self.tracker, SessionTracker::new());
        tracker.end(&mut self.series);
    }

    /// Everything up to this time was read: what ended some minutes before it is counted.
    pub(super) fn note_read_up_to(&mut self, at: i64) {
        if at >= self.advanced_ms.saturating_add(ADVANCE_MS) {
            self.advanced_ms = at;
            self.tracker.advance(at, &mut self.series);
        }
    }

    /// What ended before this time is counted; `None` if nothing is yet.
    pub(super) fn counted_until_ms(&self) -> Option<i64> {
        self.advanced_ms.checked_sub(LATENESS_MS).filter(|until| *until > self.series.span().start)
    }

    pub(super) fn open(&self) -> Open {
        self.rooms.open()
    }

    /// Whether rooms have changed since the last call.
    pub(super) fn take_rooms_changed(&mut self) -> bool {
        std::mem::take(&mut self.are_rooms_changed)
    }

    /// Some of the events since the last call, and how many there were.
    pub(super) fn take_sample(&mut self) -> (Vec<Shown>, u64) {
        (std::mem::take(&mut self.sample), std::mem::take(&mut self.sampled))
    }

    fn take_event(&mut self, line: &Line<'_>) {
        let event = event_reader::read_all(line);
        let at = event.at.or(self.before_ms).unwrap_or(self.series.span().start);
        if !self.tracker.take(at, 0, self.reader.read_parsed(line)) {
            self.outside.repeated += 1;
            return;
        }
        self.before_ms = Some(at);
        self.note_newest(at);
        if !self.series.span().contains(&at) {
            self.outside.other_time += 1;
        }
        self.series.add(at, Figure::Events);
        self.series.add_word(at, Kind::Event, &String::from_utf8_lossy(&line.name));
        self.show(line, &event);
        let is_about_rooms = !matches!(event.says, Says::Nothing | Says::Recorded(_));
        self.follow(at, line, event.says);
        if is_about_rooms {
            let Open { rooms, participants, .. } = self.rooms.open();
            self.series.set_level(at, participants, rooms);
            self.are_rooms_changed = true;
        }
    }

    /// A time far ahead of the others is a fault, and does not make them all look repeated.
    fn note_newest(&mut self, at: i64) {
        if at < self.series.span().end && self.newest_ms.is_none_or(|newest| newest < at) {
            self.newest_ms = Some(at);
            self.note_read_up_to(at);
        }
    }

    fn follow(&mut self, at: i64, line: &Line<'_>, says: Says<'_>) {
        let person = || Person::of(line.body);
        match says {
            Says::SessionBegan(session) => {
                self.series.add(at, Figure::Began);
                self.rooms.began(at, &session);
            }
            Says::SessionEnded { session, reason, .. } => {
                self.series.add(at, Figure::Ended);
                if let Some(reason) = &reason {
                    self.series.add_word(at, Kind::Ended, &String::from_utf8_lossy(reason));
                }
                self.rooms.ended(at, &session, reason.as_ref());
            }
            Says::Joined { session, participant } => {
                self.series.add(at, Figure::Joined);
                self.rooms.joined(at, &session, &participant, person());
            }
            Says::Left(session, stay) => {
                self.series.add(at, Figure::Left);
                let reason = stay.reason.as_deref().unwrap_or(b"(none told)");
                self.series.add_word(at, Kind::Left, &String::from_utf8_lossy(reason));
                self.rooms.left(at, &session, &stay, person());
            }
            Says::ActivityBegan(activity) | Says::ActivityGoesOn(activity) => {
                self.rooms.activity(at, &activity, Change::Began);
            }
            Says::ActivityEnded { activity, began, .. } => {
                let bytes = recorded_bytes(line);
                self.rooms.activity(at, &activity, Change::Ended { began, bytes });
            }
            Says::JoinFailed { session, .. } => self.rooms.hear(at, &session),
            _ => {}
        }
    }

    fn show(&mut self, line: &Line<'_>, event: &Event<'_>) {
        self.sampled += 1;
        if self.sample.len() >= SAMPLE_MAX {
            return;
        }
        let (session, participant, reason) = parts(&event.says);
        let room = session.map(|session| {
            let name = if session.name.is_empty() { session.unique.clone() } else { None };
            shown(name.unwrap_or_else(|| session.name.clone()))
        });
        let person = Person::of(line.body);
        let participant = match (person.label.is_empty(), participant) {
            (true, Some(id)) => shown(id.clone()),
            _ => person.label,
        };
        self.sample.push(Shown {
            at_ms: event.at,
            event: shown(line.name.clone()),
            room: room.unwrap_or_default(),
            participant,
            reason: reason.map(|reason| shown(reason.clone())).unwrap_or_default(),
        });
    }
}

/// The bytes of a recording that this event says is complete.
fn recorded_bytes(line: &Line<'_>) -> Option<u64> {
    match event_reader::read(line).says {
        Says::Recorded(recorded) => Some(recorded.bytes),
        _ => None,
    }
}

type Id<'a> = crate::count::event::Id<'a>;

/// The session, the participant and the reason that an event names.
pub(super) fn parts<'a, 'b>(
    says: &'b Says<'a>,
) -> (Option<&'b SessionRef<'a>>, Option<&'b Id<'a>>, Option<&'b Id<'a>>) {
    match says {
        Says::SessionBegan(session) => (Some(session), None, None),
        Says::SessionEnded { session, reason, .. } => (Some(session), None, reason.as_ref()),
        Says::Joined { session, participant } | Says::JoinFailed { session, participant } => {
            (Some(session), Some(participant), None)
        }
        Says::Left(session, stay) => {
            (Some(session), stay.participant.as_ref(), stay.reason.as_ref())
        }
        Says::ActivityBegan(activity)
        | Says::ActivityGoesOn(activity)
        | Says::ActivityEnded { activity, .. } => {
            (Some(&activity.session), activity.participant.as_ref(), None)
        }
        _ => (None, None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 3_600_000;

    fn joined(at: i64, participant: &str) -> String {
        format!(
            r#"{{"participantJoined":{{"sessionId":"s","timestamp":{at},"participantId":"{participant}","clientData":"who"}}}}"#
        )
    }

    fn left(at: i64, participant: &str, reason: &str) -> String {
        format!(
            r#"{{"participantLeft":{{"sessionId":"s","timestamp":{at},"participantId":"{participant}","reason":"{reason}"}}}}"#
        )
    }

    #[test]
    fn events_are_counted_in_their_minute_once() {
        let mut view = View::new(0..DAY_MS);
        for line in [
            r#"{"sessionCreated":{"sessionId":"s","timestamp":1000}}"#.to_owned(),
            joined(2000, "p"),
            joined(2000, "p"),
            left(61_000, "p", "networkDisconnect"),
        ] {
            view.take(line.as_bytes()).unwrap();
        }
        assert!(view.take(b"{").is_err());
        assert_eq!(view.outside, Outside { repeated: 1, other_time: 0, not_an_event: 1 });
        let told = serde_json::to_value(view.series.take_changes()).unwrap();
        assert_eq!(
            told["minutes"],
            serde_json::json!([
                [0, 2, 1, 0, 1, 0, 0, [1, 1, 1, 1]],
                [1, 1, 0, 1, 0, 0, 0, [0, 0, 1, 1]]
            ])
        );
        assert_eq!(told["quarters"][0][1]["left"]["networkDisconnect"], 1);
        assert_eq!(told["quarters"][0][1]["event"]["participantJoined"], 1);
        let (sample, count) = view.take_sample();
        assert_eq!((sample.len(), count), (3, 3));
        assert_eq!((&*sample[1].participant, &*sample[2].reason), ("who", "networkDisconnect"));
        assert_eq!(view.open(), Open { rooms: 1, ..Open::default() });
    }

    #[test]
    fn a_recording_is_open_until_it_is_complete() {
        let mut view = View::new(0..DAY_MS);
        for (status, at, open) in [("started", 1000, 1), ("ready", 9000, 0)] {
            let line = format!(
                r#"{{"recordingStatusChanged":{{"sessionId":"s","timestamp":{at},"id":"s","status":"{status}","size":5}}}}"#
            );
            view.take(line.as_bytes()).unwrap();
            assert_eq!(view.open().recordings, open, "{status}");
        }
    }

    #[test]
    fn what_is_counted_is_what_stats_counts_once_nothing_more_is_expected() {
        let mut view = View::new(0..DAY_MS);
        for line in [
            joined(2000, "p"),
            left(62_000, "p", "disconnect"),
            // The same recording by LiveKit and by OpenVidu Meet.
            r#"{"egress_ended":{"egressInfo":{"egressId":"EG_1","roomName":"r","fileResults":[{"size":"7"}]},"createdAt":"70"}}"#.to_owned(),
            r#"{"recordingEnded":{"creationDate":71000,"data":{"recordingId":"r--EG_1--x","roomId":"r","status":"complete","size":7}}}"#.to_owned(),
        ] {
            view.take(line.as_bytes()).unwrap();
        }
        let counted = |view: &View| {
            serde_json::to_value(view.series.all()).unwrap()["quarters"][0][1]["counted"].clone()
        };
        assert_eq!(counted(&view), serde_json::Value::Null, "more may come");
        view.note_read_up_to(62_001 + LATENESS_MS);
        let mut expected = serde_json::json!({
            "sessions": 0, "participants": 1, "stay_ms": 60_000, "recordings": 0, "recording_bytes": 0
        });
        assert_eq!(counted(&view), expected, "the recording may still come");
        view.finish();
        expected["recordings"] = 1.into();
        expected["recording_bytes"] = 7.into();
        assert_eq!(counted(&view), expected);
    }

    #[test]
    fn all_events_are_counted_however_few_are_shown() {
        let mut view = View::new(0..DAY_MS);
        (0..5000).for_each(|at| view.take(joined(at, &at.to_string()).as_bytes()).unwrap());
        let (sample, count) = view.take_sample();
        assert_eq!((sample.len(), count), (SAMPLE_MAX, 5000));
        assert_eq!(view.series.count(Figure::Joined), 5000);
    }

    #[test]
    fn an_event_of_another_time_is_told_of_and_in_no_minute() {
        let mut view = View::new(DAY_MS..2 * DAY_MS);
        view.take(joined(5, "p").as_bytes()).unwrap();
        view.take(joined(5 * DAY_MS, "q").as_bytes()).unwrap();
        assert_eq!((view.outside.other_time, view.newest_ms), (2, Some(5)));
        assert!(view.series.all().is_empty());
    }
}
