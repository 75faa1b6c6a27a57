//! Made-up records with everything that can go wrong in them, three ways: `stats`, `sessions`, and
//! a naive program.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::naive::{self, Stay};
use super::{rows_of, told};
use crate::run::{cdrlog, run};

const HOUR: i64 = 3_600_000;

/// The first moment of a record.
const BEGIN: i64 = 1_700_000_000_000;

/// How late a line may be written, in milliseconds.
const DELAY_MAX: i64 = 240_000;

/// Numbers that are the same each time (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, end: i64) -> i64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end as u64) as i64
    }

    pub fn is(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

/// A record: its lines, each with the time at which it is written and the number of its directory.
pub struct Record {
    random: Random,
    lines: Vec<(i64, usize, String)>,
    events: usize,
    number: u64,
}

impl Record {
    /// About so many events, in two busy spans with a quiet one of more than a day between them:
    /// what is open at its begin is over at its end.
    pub fn new(seed: u64, events: usize) -> Self {
        let mut record =
            Self { random: Random::new(seed), lines: Vec::new(), events: 0, number: 0 };
        let mut room = 0;
        while record.events < events {
            room += 1;
            for begin in [BEGIN, BEGIN + 40 * HOUR] {
                record.add_room(room, begin);
            }
        }
        record.add_tail(0);
        record.lines.sort();
        record
    }

    /// With events two days later: what was open is over, and every day with a row is closed.
    #[cfg(feature = "export")]
    pub fn with_days_closed(mut self) -> Self {
        self.add_tail(48 * HOUR);
        self.lines.sort();
        self
    }

    /// Other events, so long after everything else.
    fn add_tail(&mut self, after: i64) {
        let last = self.lines.iter().map(|(at, ..)| *at).max().unwrap_or(BEGIN) + after;
        for number in 1..20 {
            let at = last + number * 60_000;
            for source in [0, 1] {
                let line = json!({"signalSent": {"timestamp": at, "from": source}}).to_string();
                self.lines.push((at, source, line));
            }
        }
    }

    /// Sessions of one name, one after the other.
    fn add_room(&mut self, room: i64, begin: i64) {
        let name = format!("room-{room}-{}", begin / HOUR);
        let is_livekit = self.random.is(50);
        let mut at = begin + self.random.below(3600) * 1000;
        while at < begin + 9 * HOUR {
            at = self.add_session(&name, at, is_livekit);
            at += (1 + self.random.below(1800)) * 1000;
        }
    }

    /// One session; gives the time of its end. No two events of it have the same time.
    fn add_session(&mut self, name: &str, begin: i64, is_livekit: bool) -> i64 {
        self.number += 1;
        let id = format!("{name}_{}", self.number);
        let mut times = Vec::new();
        for number in 0..1 + self.random.below(6) {
            let mut at = begin + (1 + self.random.below(600)) * 7000 + number * 1000;
            for _ in 0..1 + self.random.below(2) {
                let left = at + (1 + self.random.below(300)) * 7000;
                times.push((number, at, left));
                // The same participant comes again.
                at = left + 7000 * (1 + self.random.below(30));
            }
        }
        let end = times.iter().map(|(_, _, left)| *left).max().unwrap_or(begin) + 6000;
        // A server that dies writes nothing any more.
        let dies =
            if self.random.is(5) { begin + self.random.below(end - begin) } else { i64::MAX };
        let session = Session { name: name.to_owned(), id, begin, is_livekit };
        self.add(
            begin,
            dies,
            session.line("sessionCreated", "room_started", begin, json!({}), json!({})),
        );
        for (number, joined, left) in times {
            let participant = format!("{}_{number}", self.number);
            let (line, leave) = session.stay(&participant, joined, left, &mut self.random);
            self.add(joined, dies, line);
            // Some never leave: the session ends.
            if !self.random.is(5) {
                self.add(left, dies, leave);
            }
            let (starts, ends) = session.track(&participant, joined, left);
            self.add(joined + 1000, dies, starts);
            self.add(left - 1000, dies, ends);
        }
        if self.random.is(30) {
            let bytes = self.random.below(1_000_000);
            for line in session.recording(self.number, begin, end, bytes) {
                self.add(end + 2000, dies, line);
            }
        }
        let told = session.began(&mut self.random);
        self.add(
            end,
            dies,
            session.line("sessionDestroyed", "room_finished", end, told, json!({})),
        );
        end
    }

    /// Writes a line, or loses it, or writes it twice, or late.
    fn add(&mut self, at: i64, dies: i64, line: String) {
        self.events += 1;
        if at >= dies || self.random.is(3) {
            return;
        }
        let source = usize::from(self.random.is(50));
        let delay = if self.random.is(20) { self.random.below(DELAY_MAX) } else { 0 };
        if self.random.is(5) {
            let again = at + self.random.below(DELAY_MAX);
            self.lines.push((again, usize::from(self.random.is(50)), line.clone()));
        }
        self.lines.push((at + delay, source, line));
    }

    /// The directories, each with some files, and some of them compressed.
    pub fn write(&self, directory: &Path) -> Vec<PathBuf> {
        let of_source = |source: usize| {
            let path = directory.join(format!("node{source}"));
            fs::create_dir(&path).unwrap();
            let lines: Vec<_> = self.lines.iter().filter(|line| line.1 == source).collect();
            for (number, lines) in lines.chunks(lines.len() / 3 + 1).enumerate() {
                let mut text = String::new();
                for (_, _, line) in lines {
                    writeln!(text, "{line}").unwrap();
                }
                let name = format!("CDR.2023-11-14_22-13-{:02}.log", 20 + number);
                if number == 1 {
                    let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
                    fs::write(path.join(format!("{name}.zst")), packed).unwrap();
                } else {
                    fs::write(path.join(name), text).unwrap();
                }
            }
            path
        };
        [0, 1].map(of_source).to_vec()
    }

    /// All lines, in the order of their texts.
    #[cfg(feature = "export")]
    pub fn sorted_lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.lines.iter().map(|line| line.2.clone()).collect();
        lines.sort();
        lines
    }

    pub fn expected(&self) -> naive::Expected {
        let lines: Vec<_> = self.lines.iter().map(|line| (line.1, line.2.clone())).collect();
        naive::expected(&lines, 20 * HOUR)
    }
}

struct Session {
    name: String,
    id: String,
    begin: i64,
    is_livekit: bool,
}

impl Session {
    fn line(&self, openvidu: &str, livekit: &str, at: i64, told: Value, members: Value) -> String {
        let (name, mut body) = if self.is_livekit {
            let mut room = json!({"sid": self.id, "name": self.name});
            room.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
            (livekit, json!({"room": room, "createdAt": (at / 1000).to_string()}))
        } else {
            let mut body =
                json!({"sessionId": self.name, "uniqueSessionId": self.id, "timestamp": at});
            body.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
            (openvidu, body)
        };
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({ name: body }).to_string()
    }

    /// Some ends tell when the session began.
    fn began(&self, random: &mut Random) -> Value {
        match (self.is_livekit, random.is(80)) {
            (_, false) => json!({}),
            (true, true) => json!({"creationTimeMs": self.begin.to_string()}),
            (false, true) => json!({"startTime": self.begin}),
        }
    }

    fn stay(&self, id: &str, joined: i64, left: i64, random: &mut Random) -> (String, String) {
        let (of_join, of_leave);
        if self.is_livekit {
            let told = if random.is(80) { json!(joined.to_string()) } else { json!("0") };
            of_join = json!({"participant": {"sid": id, "identity": "someone"}});
            of_leave = json!({"participant": {"sid": id, "joinedAtMs": told, "disconnectReason": "CLIENT_INITIATED"}});
        } else {
            of_join = json!({"connectionId": id, "platform": "Firefox"});
            of_leave = match random.below(4) {
                0 => json!({"connectionId": id, "reason": "disconnect"}),
                1 => json!({"connectionId": id, "startTime": joined}),
                2 => json!({"connectionId": id, "duration": (left - joined) / 1000}),
                _ => {
                    json!({"connectionId": id, "startTime": joined, "duration": (left - joined) / 1000})
                }
            };
        }
        (
            self.line("participantJoined", "participant_joined", joined, json!({}), of_join),
            self.line("participantLeft", "participant_left", left, json!({}), of_leave),
        )
    }

    fn track(&self, id: &str, joined: i64, left: i64) -> (String, String) {
        let of_track = if self.is_livekit {
            json!({"participant": {"sid": id}, "track": {"sid": format!("TR_{joined}_{id}")}})
        } else {
            json!({"connectionId": id, "streamId": format!("str_{joined}_{id}"), "connection": "OUTBOUND"})
        };
        let none = || json!({});
        (
            self.line(
                "webrtcConnectionCreated",
                "track_published",
                joined + 1000,
                none(),
                of_track.clone(),
            ),
            self.line(
                "webrtcConnectionDestroyed",
                "track_unpublished",
                left - 1000,
                none(),
                of_track,
            ),
        )
    }

    /// The end of a recording; with LiveKit also the same of OpenVidu Meet.
    fn recording(&self, number: u64, begin: i64, end: i64, bytes: i64) -> Vec<String> {
        if !self.is_livekit {
            let of_recording = json!({"id": format!("rec-{number}"), "status": "ready", "size": bytes, "duration": 7.5});
            return vec![self.line(
                "recordingStatusChanged",
                "",
                end + 2000,
                json!({}),
                of_recording,
            )];
        }
        let nanoseconds = |at: i64| (at * 1_000_000).to_string();
        let info = json!({"egressId": format!("EG_{number}"), "roomId": self.id, "roomName": self.name,
            "startedAt": nanoseconds(begin), "endedAt": nanoseconds(end),
            "fileResults": [{"size": bytes.to_string()}]});
        let egress = json!({"egressInfo": info, "createdAt": ((end + 2000) / 1000).to_string()});
        let meet = json!({"recordingId": format!("{}--EG_{number}--X", self.name), "roomId": self.name,
            "status": "complete", "size": bytes});
        vec![
            json!({ "egress_ended": egress }).to_string(),
            json!({"recordingEnded": {"creationDate": end + 2500, "data": meet}}).to_string(),
        ]
    }
}

/// The rows of `sessions` in the form of the naive program.
fn printed(rows: &[Value]) -> Vec<Stay> {
    let participants = rows.iter().filter(|row| row["type"] == "participant");
    let mut stays: Vec<_> = participants
        .map(|row| Stay {
            session: told(row, &["session_id"]),
            participant: told(row, &["participant"]),
            joined: row["joined_ms"].as_i64(),
            left: row["left_ms"].as_i64(),
            ms: (row["seconds"].as_f64().unwrap() * 1000.0).round() as i64,
            ended_by: match row["ended_by"].as_str() {
                None => "-",
                Some("leave") => "leave",
                Some("session_end") => "session_end",
                Some("inferred") => "inferred",
                Some(other) => panic!("{other}"),
            },
        })
        .collect();
    stays.sort();
    stays
}

/// Checks one record. Returns what ended its rows.
fn check(seed: u64, events: usize) -> BTreeSet<&'static str> {
    let directory = tempfile::tempdir().unwrap();
    let record = Record::new(seed, events);
    let paths = record.write(directory.path());
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let expected = record.expected();
    let (rows, summary) = rows_of(&[], &paths);
    for (row, expected) in printed(&rows).iter().zip(&expected.stays) {
        assert_eq!(row, expected, "seed {seed}");
    }
    assert_eq!(printed(&rows).len(), expected.stays.len(), "seed {seed}");
    let mut stats = cdrlog();
    stats.args(["stats", "--json"]).args(&paths);
    let stats: Value = serde_json::from_str(&run(&mut stats).expect(0, &[]).stdout).unwrap();
    let (_, by_session) = rows_of(&["--by", "session"], &paths);
    for found in [&stats, &summary, &by_session] {
        let minutes = found["participant_minutes"].as_f64().unwrap();
        assert_eq!((minutes * 60_000.0).round() as i64, expected.ms(), "seed {seed}: {found}");
        assert_eq!(found["participants"], expected.participants, "seed {seed}: {found}");
        assert_eq!(found["recordings"], expected.recordings, "seed {seed}: {found}");
        assert_eq!(found["recording_bytes"], expected.recording_bytes, "seed {seed}: {found}");
        assert_eq!(found["events_not_told_apart"], 0, "seed {seed}: {found}");
    }
    expected.stays.iter().map(|stay| stay.ended_by).collect()
}

#[test]
fn rows_of_random_records_are_those_of_a_naive_program_and_add_up_to_stats() {
    let ended_by: BTreeSet<_> = (0..10).flat_map(|seed| check(seed, 500)).collect();
    assert_eq!(ended_by, ["-", "inferred", "leave", "session_end"].into());
}

/// The seeds and the events of large records: ten of a million events, or `CDRLOG_RANDOM_RECORDS` of
/// `CDRLOG_RANDOM_EVENTS`.
pub fn large_records(first_seed: u64) -> (std::ops::Range<u64>, usize) {
    let number = |name, otherwise| std::env::var(name).map_or(otherwise, |it| it.parse().unwrap());
    let (records, events) =
        (number("CDRLOG_RANDOM_RECORDS", 10), number("CDRLOG_RANDOM_EVENTS", 1_000_000));
    (first_seed..first_seed + records, events as usize)
}

/// `cargo test --release -p cdrlog-cli --test program -- --ignored large_random`, some minutes.
#[test]
#[ignore = "a million events, ten times: some minutes"]
fn rows_of_large_random_records_are_those_of_a_naive_program_and_add_up_to_stats() {
    let (seeds, events) = large_records(100);
    for seed in seeds {
        let ended_by = check(seed, events);
        eprintln!("seed {seed}: {events} events, rows that ended by {ended_by:?}");
    }
}
