//! The counting, tested on what is easily got wrong, and against a plain reference.

mod reference;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::figures::Report;
use super::period::{By, Divider};
use super::tally::Tally;

fn hourly() -> Divider {
    Divider { by: Some(By::Hour), zone: TimeZone::UTC }
}

/// Takes lines as one file has them.
struct Feed {
    tally: Tally,
    /// The time of the line before, and the time that two consecutive lines have reached.
    before: Option<i64>,
    watermark: i64,
}

impl Feed {
    fn new(divider: Divider, period: std::ops::Range<i64>) -> Self {
        Self { tally: Tally::new(divider, period), before: None, watermark: i64::MIN }
    }

    fn take(&mut self, line: &str) {
        let event = self.tally.reader().read(line.as_bytes()).unwrap();
        let at = event.at;
        self.tally.take(line.as_bytes(), Some(event), 0, self.before);
        if let (Some(at), Some(before)) = (at, self.before) {
            self.watermark = self.watermark.max(at.min(before));
            self.tally.advance(self.watermark);
        }
        self.before = at.or(self.before);
    }

    fn end(self) -> Report {
        self.tally.end()
    }
}

fn count(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Report {
    let mut feed = Feed::new(Divider { by: None, zone: TimeZone::UTC }, i64::MIN..i64::MAX);
    lines.into_iter().for_each(|line| feed.take(line.as_ref()));
    feed.end()
}

/// Sessions, participants, participant-milliseconds, peaks of sessions and participants.
fn figures(report: &Report) -> (u64, u64, u64, u64, u64) {
    let total = &report.total;
    let peaks = (total.peak_sessions, total.peak_participants);
    (total.sessions, total.participants, total.participant_ms, peaks.0, peaks.1)
}

fn line(name: &str, at: i64, session: &str, members: Value) -> String {
    let mut body = json!({"timestamp": at, "sessionId": session});
    let members = members.as_object().cloned().unwrap_or_default();
    body.as_object_mut().unwrap().extend(members);
    json!({ name: body }).to_string()
}

#[test]
fn events_of_livekit_are_counted_like_those_of_openvidu() {
    let room = r#""room":{"sid":"RM_1","name":"daily","creationTimeMs":"1700000000123"}"#;
    let alice = r#""participant":{"sid":"PA_1","identity":"alice","joinedAtMs":"1700000010456"}"#;
    let egress = r#""egressInfo":{"egressId":"EG_1","status":"EGRESS_COMPLETE","fileResults":[{"size":"7"},{"size":"8"}]}"#;
    let stream = r#""egressInfo":{"egressId":"EG_2","status":"EGRESS_COMPLETE","streamResults":[{"url":"rtmp://x"}]}"#;
    let report = count([
        format!(r#"{{"room_started":{{{room},"createdAt":"1700000001"}}}}"#),
        format!(r#"{{"participant_joined":{{{room},{alice},"createdAt":"1700000011"}}}}"#),
        format!(r#"{{"egress_ended":{{{egress},"createdAt":"1700000020"}}}}"#),
        format!(r#"{{"egress_ended":{{{stream},"createdAt":"1700000021"}}}}"#),
        r#"{"recordingEnded":{"creationDate":1700000022000,"data":{"recordingId":"daily--EG_1--X","roomId":"daily","status":"complete","size":15}}}"#.to_owned(),
        format!(r#"{{"participant_left":{{{room},{alice},"createdAt":"1700000071"}}}}"#),
        format!(r#"{{"room_finished":{{{room},"createdAt":"1700000080"}}}}"#),
    ]);
    assert_eq!(figures(&report), (1, 1, 60_544, 1, 1));
    assert_eq!((report.total.recordings, report.total.recording_bytes), (1, 15));
    assert_eq!((report.sessions_open, report.sessions_before), (0, 0));
}

#[test]
fn meetings_and_rooms_of_one_name_are_one_session() {
    let room = r#""room":{"sid":"RM_1","name":"daily"}"#;
    let report = count([
        format!(r#"{{"room_started":{{{room},"createdAt":"1700000001"}}}}"#),
        r#"{"meetingStarted":{"creationDate":1700000001500,"data":{"roomId":"daily"}}}"#.to_owned(),
        r#"{"meetingEnded":{"creationDate":1700000009000,"data":{"roomId":"daily"}}}"#.to_owned(),
        format!(r#"{{"room_finished":{{{room},"createdAt":"1700000009"}}}}"#),
    ]);
    assert_eq!(figures(&report), (1, 0, 0, 1, 0));
}

#[test]
fn a_session_whose_name_begins_again_has_ended_though_nothing_said_so() {
    let unique = |unique: &str| json!({ "uniqueSessionId": unique });
    let report = count([
        line("sessionCreated", 1000, "daily", unique("daily_1")),
        line(
            "participantJoined",
            2000,
            "daily",
            json!({"uniqueSessionId":"daily_1","connectionId":"a"}),
        ),
        line("sessionCreated", 5000, "daily", unique("daily_2")),
        // What comes later of the first one changes nothing, except for the time that it contains.
        line(
            "participantLeft",
            6000,
            "daily",
            json!({"uniqueSessionId":"daily_1","connectionId":"a","duration":2}),
        ),
        line("sessionDestroyed", 6500, "daily", unique("daily_1")),
        line("sessionDestroyed", 9000, "daily", unique("daily_2")),
    ]);
    assert_eq!(figures(&report), (2, 1, 2000, 1, 1));
    assert_eq!((report.sessions_given_up, report.sessions_open), (1, 0));
}

#[test]
fn an_event_that_two_servers_tell_is_that_of_the_first_whichever_was_read_first() {
    let unique = |id: &str| json!({"uniqueSessionId": id});
    let begins_again = line("sessionCreated", 600_000, "daily", unique("daily_2"));
    for sources in [[0, 1], [1, 0]] {
        let mut tally = Tally::new(Divider { by: None, zone: TimeZone::UTC }, i64::MIN..i64::MAX);
        let mut take = |line: &str, source| {
            let event = tally.reader().read(line.as_bytes()).unwrap();
            tally.take(line.as_bytes(), Some(event), source, None);
        };
        take(&line("sessionCreated", 1000, "daily", unique("daily_1")), 0);
        sources.into_iter().for_each(|source| take(&begins_again, source));
        let report = tally.end();
        // A name begins again on the server where it is: its session of before is over.
        assert_eq!((report.sessions_given_up, report.sessions_open), (1, 1), "{sources:?}");
        assert_eq!(report.events_repeated, 1);
    }
}

#[test]
fn a_session_of_a_dead_server_is_given_up_after_a_day_and_does_not_stay_in_the_peaks() {
    const HOUR: i64 = 3_600_000;
    let mut lines = vec![line("sessionCreated", 1000, "lost", json!({}))];
    lines.extend((1..60).flat_map(|hour| {
        let name = format!("ses_{hour}");
        [
            line("sessionCreated", hour * HOUR, &name, json!({})),
            line("sessionDestroyed", hour * HOUR + 60_000, &name, json!({})),
        ]
    }));
    let mut feed = Feed::new(hourly(), i64::MIN..i64::MAX);
    lines.iter().for_each(|line| feed.take(line));
    let report = feed.end();
    assert_eq!(report.rows[&Some(2 * HOUR)].peak_sessions, 2);
    assert_eq!(report.rows[&Some(50 * HOUR)].peak_sessions, 1);
    assert_eq!((report.sessions_given_up, report.sessions_open), (1, 0));
}

#[test]
fn one_event_with_a_time_of_its_own_ends_no_session() {
    let report = count([
        line("sessionCreated", 1000, "daily", json!({})),
        line("signalSent", 200_000_000_000_000, "daily", json!({})),
        line("signalSent", 2000, "daily", json!({})),
        line("sessionDestroyed", 3000, "daily", json!({})),
    ]);
    assert_eq!(figures(&report), (1, 0, 0, 1, 0));
    assert_eq!(report.sessions_given_up, 0);
}

#[test]
fn an_event_without_a_time_has_that_of_the_line_before() {
    let mut feed = Feed::new(hourly(), i64::MIN..i64::MAX);
    for line in [
        r#"{"signalSent":{}}"#.to_owned(),
        line("sessionCreated", 7_200_000, "daily", json!({})),
        r#"{"signalSent":{"timestamp":"soon"}}"#.to_owned(),
    ] {
        feed.take(&line);
    }
    let report = feed.end();
    let rows: Vec<_> = report.rows.iter().map(|(begin, row)| (*begin, row.events)).collect();
    assert_eq!(rows, [(None, 1), (Some(7_200_000), 2)]);
}

#[test]
fn members_that_are_missing_cost_the_figures_only_what_they_would_have_told() {
    let report = count([
        r#"{"sessionCreated":{"timestamp":1}}"#,
        r#"{"participantJoined":{"timestamp":1,"sessionId":"s"}}"#,
        r#"{"participantLeft":{"timestamp":60001,"duration":60}}"#,
        r#"{"participantLeft":{"timestamp":60001}}"#,
        r#"{"recordingStatusChanged":{"timestamp":5,"status":"ready"}}"#,
        r#"{"sessionDestroyed":{}}"#,
        r#"{"egress_ended":{}}"#,
    ]);
    assert_eq!(report.total.participant_ms, 60_000);
    assert_eq!((report.total.recordings, report.total.recording_bytes), (1, 0));
    assert_eq!(report.total.events, 7);
}

#[test]
fn a_hostile_number_of_kinds_takes_bounded_memory() {
    let report = count((0..5000).map(|kind| format!(r#"{{"kind_{kind}":{{"timestamp":1}}}}"#)));
    assert_eq!(report.kinds.len(), 1001);
    assert_eq!(report.kinds.last().unwrap(), "(others)");
    assert_eq!(report.total.kinds.iter().sum::<u64>(), 5000);
    assert_eq!(*report.total.kinds.last().unwrap(), 4000);
}

#[test]
fn ended_sessions_are_forgotten_after_some_minutes() {
    let mut feed = Feed::new(hourly(), i64::MIN..i64::MAX);
    let mut most = 0;
    for number in 0..20_000_i64 {
        let (name, at) = (format!("ses_{number}"), (number + 1) * 1000);
        let joined = json!({ "connectionId": number.to_string() });
        feed.take(&line("sessionCreated", at, &name, json!({})));
        feed.take(&line("participantJoined", at, &name, joined));
        feed.take(&line("sessionDestroyed", at + 500, &name, json!({})));
        most = most.max(feed.tally.sessions_held());
    }
    assert!(most <= 602, "{most} sessions are held");
    let report = feed.end();
    assert_eq!(figures(&report), (20_000, 20_000, 10_000_000, 1, 1));
}

/// Every order of the lines of one millisecond gives the same figures.
fn in_both_orders(lines: [String; 5]) -> [Report; 2] {
    let [first, second, one, other, last] = lines;
    let swapped = [&first, &second, &other, &one, &last].map(String::clone);
    [count([first, second, one, other, last]), count(swapped)]
}

#[test]
fn a_participant_who_leaves_and_joins_again_in_the_same_millisecond_is_two_stays() {
    let alice = json!({ "connectionId": "alice" });
    for report in in_both_orders([
        line("sessionCreated", 1000, "daily", json!({})),
        line("participantJoined", 2000, "daily", alice.clone()),
        line("participantLeft", 5000, "daily", alice.clone()),
        line("participantJoined", 5000, "daily", alice.clone()),
        line("participantLeft", 9000, "daily", alice),
    ]) {
        assert_eq!(figures(&report), (1, 2, 7000, 1, 1));
        assert_eq!((report.participants_open, report.participants_before), (0, 0));
    }
}

#[test]
fn a_name_that_ends_and_begins_in_the_same_millisecond_is_two_sessions() {
    for report in in_both_orders([
        line("signalSent", 500, "daily", json!({})),
        line("sessionCreated", 1000, "daily", json!({})),
        line("sessionDestroyed", 5000, "daily", json!({})),
        line("sessionCreated", 5000, "daily", json!({})),
        line("sessionDestroyed", 9000, "daily", json!({})),
    ]) {
        assert_eq!(figures(&report), (2, 0, 0, 1, 0));
        assert_eq!((report.sessions_open, report.sessions_given_up), (0, 0));
    }
}
