//! Events that never came, as far as their sender says so.
//!
//! LiveKit gives up on an event after some tries, and says in the next one how many it gave up:
//! `numDropped`. The count is summed for `GET /metrics`, logged, and noted in a file of the CDR
//! directory. The CDR itself gets the event as it came, `numDropped` included, and nothing else.
//!
//! No event is refused, changed or delayed for this: a member that is not such a count is ignored,
//! and a thread that nobody waits for writes the file.

mod file;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use memchr::memmem::Finder;
use serde::Serialize;
use serde_json::{Map, Value};

use super::refusals::shortened;

use super::listen::UNIX_PEER;

/// The name of the member, as LiveKit writes it: without escapes.
static MEMBER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""numDropped""#));

/// LiveKit's events have a few kilobytes. A longer body is not parsed, because that takes a
/// multiple of its length.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Reports that wait to be written. More of them are counted and logged, but not noted in the file.
const WAITING_MAX: usize = 1024;

/// The time between two lines of the log.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// What one event says about others that its sender dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    count: u32,
    /// The name of the event that says so.
    event: String,
    id: Option<String>,
    room: Option<String>,
    room_sid: Option<String>,
}

impl Report {
    /// What a body says. `None` if it says nothing, as almost all do; that costs only a search for
    /// the name of the member.
    pub(super) fn of_body(body: &[u8]) -> Option<Self> {
        if body.len() > BODY_BYTES_MAX || MEMBER.find(body).is_none() {
            return None;
        }
        let event: Map<String, Value> = serde_json::from_slice(body).ok()?;
        // A member of the event itself, which has 32 bits.
        let count = u32::try_from(event.get("numDropped")?.as_u64()?).ok()?;
        // Whoever may post can make these texts as long as a body.
        let text = |value: Option<&Value>| Some(shortened(value?.as_str()?));
        let name = text(event.get("event"))?;
        let room = event.get("room");
        (count > 0).then(|| Self {
            count,
            event: name,
            id: text(event.get("id")),
            room: text(room.and_then(|room| room.get("name"))),
            room_sid: text(room.and_then(|room| room.get("sid"))),
        })
    }

    /// A line of the file.
    fn line(&self, time: Timestamp, peer: &str) -> String {
        let Self { count, event, id, room, room_sid } = self;
        let (at, dropped, session) = (time.as_millisecond(), *count, room);
        let line = Line { at, dropped, peer, event, id, session, room_sid };
        // Strings and numbers can always be written as JSON.
        let line = serde_json::to_string(&line).expect("a line of texts and numbers");
        format!("{line}\n")
    }
}

/// A line of the file, in the order of its members.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    /// Milliseconds since 1970.
    at: i64,
    dropped: u32,
    peer: &'a str,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: &'a Option<String>,
    /// The name of the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_sid: &'a Option<String>,
}

/// What senders said that they dropped.
#[derive(Debug)]
pub(super) struct Gaps {
    path: PathBuf,
    dropped: AtomicU64,
    waiting: Mutex<Waiting>,
    log: Mutex<Log>,
}

/// Lines that are to be written.
#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<String>,
    /// A thread is writing them, and looks for more before it ends.
    is_written: bool,
    /// Lines for which there was no room.
    left_out: u64,
}

/// What the log already says.
#[derive(Debug, Default)]
struct Log {
    told_at: Option<Instant>,
    /// How many they are, and the last report of them.
    untold: Option<(u64, Report, String)>,
}

impl Gaps {
    pub(super) fn new(directory: &Path) -> Arc<Self> {
        Arc::new(Self {
            path: directory.join(file::NAME),
            dropped: AtomicU64::new(0),
            waiting: Mutex::default(),
            log: Mutex::default(),
        })
    }

    /// The events that senders said they dropped, since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts and logs what a sender said, and has it written to the file soon.
    pub(super) fn note(self: &Arc<Self>, report: Report, peer: SocketAddr) {
        self.dropped.fetch_add(report.count.into(), Ordering::Relaxed);
        let is_unix = peer == UNIX_PEER;
        let peer = if is_unix { "unix".to_owned() } else { peer.ip().to_canonical().to_string() };
        let line = report.line(Timestamp::now(), &peer);
        self.tell(report, peer, Instant::now());
        if self.add(line) {
            let gaps = Arc::clone(self);
            tokio::task::spawn_blocking(move || gaps.write_waiting());
        }
    }

    /// Whether a thread has to be started to write.
    fn add(&self, line: String) -> bool {
        let mut waiting = self.waiting();
        if waiting.lines.len() >= WAITING_MAX {
            waiting.left_out += 1;
            return false;
        }
        waiting.lines.push(line);
        !std::mem::replace(&mut waiting.is_written, true)
    }

    /// Writes the waiting lines, and those that arrive meanwhile.
    fn write_waiting(&self) {
        loop {
            let (lines, left_out) = {
                let mut waiting = self.waiting();
                waiting.is_written = !waiting.lines.is_empty();
                if !waiting.is_written {
                    return;
                }
                (std::mem::take(&mut waiting.lines), std::mem::take(&mut waiting.left_out))
            };
            if left_out > 0 {
                tracing::warn!(reports = left_out, "the disk is too slow to note what never came");
            }
            if let Err(error) = file::append(&self.path, &lines.concat()) {
                let path = self.path.display();
                tracing::warn!(%path, %error, "cannot note what never came; the CDR has it too");
            }
        }
    }

    /// Logs what has waited long enough. Called about once a second.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut log = self.log();
        if log.told_at.is_some_and(|at| now.saturating_duration_since(at) >= TELL_INTERVAL) {
            log.told_at = log.untold.is_some().then_some(now);
            let untold = log.untold.take();
            drop(log);
            self.tell_all(untold);
        }
    }

    /// Logs everything that is not logged yet: the server ends.
    pub(super) fn tell_rest(&self) {
        let untold = self.log().untold.take();
        self.tell_all(untold);
    }

    fn tell(&self, report: Report, peer: String, now: Instant) {
        let mut log = self.log();
        let count = u64::from(report.count) + log.untold.as_ref().map_or(0, |(count, ..)| *count);
        if log.told_at.is_some_and(|at| now.saturating_duration_since(at) < TELL_INTERVAL) {
            log.untold = Some((count, report, peer));
            return;
        }
        log.told_at = Some(now);
        log.untold = None;
        drop(log);
        self.tell_all(Some((count, report, peer)));
    }

    fn tell_all(&self, untold: Option<(u64, Report, String)>) {
        let Some((dropped, report, peer)) = untold else { return };
        tracing::warn!(
            dropped,
            total = self.dropped(),
            %peer,
            event = report.event,
            room = report.room,
            "a sender says that it dropped events: they never came"
        );
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::Ipv4Addr;

    const PEER: &str = "192.0.2.7";

    fn count(body: &str) -> Option<u32> {
        Report::of_body(body.as_bytes()).map(|report| report.count)
    }

    #[test]
    fn a_count_is_a_number_and_a_member_of_the_event_itself() {
        assert_eq!(count(r#"{"event":"room_started","numDropped":3}"#), Some(3));
        // With the blanks that LiveKit's library sometimes inserts.
        assert_eq!(
            count("{\"event\": \"e\", \n\t\"numDropped\" : 2147483647 }"),
            Some(2_147_483_647)
        );
        for body in [
            r#"{"event":"e"}"#,
            r#"{"event":"e","numDropped":0}"#,
            r#"{"event":"e","numDropped":-1}"#,
            r#"{"event":"e","numDropped":1.5}"#,
            r#"{"event":"e","numDropped":4294967296}"#,
            r#"{"event":"e","numDropped":"3"}"#,
            r#"{"event":"e","numDropped":null}"#,
            r#"{"event":"e","room":{"numDropped":3}}"#,
            r#"{"event":"e","room":{"name":"\"numDropped\":3"}}"#,
            r#"{"event":"e","x":["numDropped",3]}"#,
            r#"{"event":"numDropped"}"#,
            r#"["numDropped"]"#,
            r#"{"event":"e","numDropped":3"#,
            r#"{"numDropped":3}"#,
            r#"{"event":3,"numDropped":3}"#,
            "\"numDropped\"",
        ] {
            assert_eq!(count(body), None, "{body}");
        }
        let deep = format!(r#"{{"event":"e","numDropped":3,"x":{}"#, "[".repeat(1 << 18));
        assert_eq!(count(&deep), None);
        let large =
            format!(r#"{{"event":"e","numDropped":3,"x":"{}"}}"#, "x".repeat(BODY_BYTES_MAX));
        assert_eq!(count(&large), None);
    }

    #[test]
    fn a_line_names_the_time_the_count_the_peer_and_what_the_event_has() {
        let time: Timestamp = "2026-11-26T10:00:00.1234Z".parse().unwrap();
        let line = |body: &str| Report::of_body(body.as_bytes()).unwrap().line(time, PEER);
        let parsed = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let whole = line(
            r#"{"event":"participant_left","id":"EV_x","room":{"sid":"RM_x","name":"De\nmo"},"numDropped":2}"#,
        );
        assert_eq!(whole.matches('\n').count(), 1, "{whole}");
        assert_eq!(
            parsed(&whole),
            serde_json::json!({
                "at": 1_795_687_200_123_i64, "dropped": 2, "peer": "192.0.2.7",
                "event": "participant_left", "id": "EV_x", "session": "De\nmo", "roomSid": "RM_x",
            })
        );
        let least = line(r#"{"event":"e","room":3,"id":{},"numDropped":1}"#);
        assert_eq!(
            parsed(&least),
            serde_json::json!({
                "at": 1_795_687_200_123_i64, "dropped": 1, "peer": "192.0.2.7", "event": "e",
            })
        );
    }

    fn report(count: u32) -> Report {
        let body = format!(r#"{{"event":"e","numDropped":{count}}}"#);
        Report::of_body(body.as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn all_reports_are_summed_and_noted_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let gaps = Gaps::new(directory.path());
        let peer = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 7), 4711));
        (1..=500).for_each(|count| gaps.note(report(count), peer));
        assert_eq!(gaps.dropped(), 500 * 501 / 2);
        while gaps.waiting().is_written {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let text = std::fs::read_to_string(directory.path().join(file::NAME)).unwrap();
        let noted = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["dropped"].as_u64().unwrap());
        assert!(noted.eq(1..=500));
    }

    #[test]
    fn more_reports_than_may_wait_are_left_out_and_counted() {
        let gaps = Gaps::new(Path::new("/nowhere"));
        let begun = (0..WAITING_MAX + 3).filter(|_| gaps.add("{}\n".to_owned())).count();
        assert_eq!((begun, gaps.waiting().left_out), (1, 3));
        // It is logged, and no line is left that would never be written.
        gaps.write_waiting();
        let waiting = gaps.waiting();
        assert_eq!((waiting.lines.len(), waiting.left_out, waiting.is_written), (0, 0, false));
    }

    #[test]
    fn the_first_is_told_at_once_and_those_of_a_minute_together() {
        let (gaps, begin) = (Gaps::new(Path::new("/nowhere")), Instant::now());
        let untold = || gaps.log().untold.as_ref().map(|(count, ..)| *count);
        gaps.tell(report(3), PEER.to_owned(), begin);
        assert_eq!(untold(), None);
        gaps.tell(report(4), PEER.to_owned(), begin + TELL_INTERVAL / 2);
        gaps.tell(report(5), PEER.to_owned(), begin + TELL_INTERVAL / 2);
        assert_eq!(untold(), Some(9));
        gaps.tell(report(6), PEER.to_owned(), begin + TELL_INTERVAL);
        assert_eq!((untold(), gaps.log().told_at), (None, Some(begin + TELL_INTERVAL)));
    }
}
