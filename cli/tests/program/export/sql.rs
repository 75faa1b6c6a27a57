//! The queries of the page, run by databases that others make.

use super::*;
use crate::sessions::random::large_records;
use crate::skip::skip;
use std::collections::BTreeSet;
use std::process::Stdio;

/// A database that is a package of Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Database {
    DuckDb,
    /// ClickHouse.
    Chdb,
}

impl Database {
    const fn module(self) -> &'static str {
        match self {
            Self::DuckDb => "duckdb",
            Self::Chdb => "chdb",
        }
    }

    /// What asks it a query.
    const fn ask(self) -> &'static str {
        match self {
            Self::DuckDb => "duckdb.sql(sql).fetchall()",
            Self::Chdb => "json.loads(str(chdb.query(sql, 'JSONCompact')))['data']",
        }
    }

    /// A query of the page, as this database understands it: the page says how.
    fn query(self, sql: &str) -> String {
        if self == Self::DuckDb {
            return sql.to_owned();
        }
        let mut query = sql.to_owned();
        for table in ["events", "participants", "sessions"] {
            let path = format!("'{table}/*/*.parquet'");
            query = query.replace(&path, &format!("file({path})"));
        }
        query.replace(
            "json_extract_string(line, '$.participantJoined.platform')",
            "JSONExtractString(line, 'participantJoined', 'platform')",
        )
    }
}

/// A Python that has the database: `CDRLOG_PYTHON`, or the usual one. Says so if there is none.
fn python(database: Database) -> Option<String> {
    let named = std::env::var("CDRLOG_PYTHON").ok().filter(|name| !name.is_empty());
    let python = named.unwrap_or_else(|| "python3".to_owned());
    let mut command = Command::new(&python);
    command.args(["-c", &format!("import {}", database.module())]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        return Some(python);
    }
    let module = database.module();
    skip(&format!("there is no {module} for Python"), &format!("pip install {module}"));
    None
}

fn script(database: Database) -> String {
    let (module, ask) = (database.module(), database.ask());
    format!(
        "import {module}, json, os, sys\nos.chdir(sys.argv[1])\nfor sql in json.load(sys.stdin):\n    \
         print(json.dumps({ask}, default=str))\n"
    )
}

/// The queries of the page, in their order.
fn queries_of_page() -> Vec<&'static str> {
    PAGE.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The answers to queries, in their order.
fn answers(
    database: Database,
    python: &str,
    target: &Path,
    queries: &[&str],
) -> Vec<Vec<Vec<Value>>> {
    let queries: Vec<_> = queries.iter().map(|query| database.query(query)).collect();
    let mut command = Command::new(python);
    command.args(["-c", &script(database)]).arg(target);
    let mut child = start(&mut command);
    let stdin = child.stdin.take().unwrap();
    serde_json::to_writer(stdin, &queries).unwrap();
    let ended = end(child).expect(0, &[]);
    let answers: Vec<_> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), queries.len(), "{ended:?}");
    answers
}

/// The sum of a column of an answer.
fn sum(answer: &[Vec<Value>], column: usize) -> f64 {
    // ClickHouse writes large integers as texts.
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    answer.iter().map(|row| number(&row[column]).unwrap_or_default()).sum()
}

/// Two days in which everything came, and the begin of a third one. A participant drops out once.
fn clean_record() -> Vec<String> {
    let mut lines = Vec::new();
    for (number, begin) in [(1, BEGIN), (2, BEGIN + 60_000), (3, BEGIN + 86_400_000)] {
        let name = json!({"sessionId": format!("room-{number}"), "uniqueSessionId": format!("u_{number}")});
        let of = |more: Value| {
            let mut members = name.clone();
            members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            members
        };
        lines.push((begin, line("sessionCreated", begin, of(json!({})))));
        for (who, joined, left) in [("a", 0, 100), ("a", 130, 300), ("b", 50, 250), ("c", 250, 300)]
        {
            let about = json!({"connectionId": format!("{who}_{number}"), "platform": "Firefox"});
            let (joined, left) = (begin + joined * 1000, begin + left * 1000);
            lines.push((joined, line("participantJoined", joined, of(about.clone()))));
            lines.push((left, line("participantLeft", left, of(about))));
        }
        let ready =
            json!({"id": format!("rec_{number}"), "status": "ready", "size": 1000 * number});
        lines.push((begin + 300_500, line("recordingStatusChanged", begin + 300_500, of(ready))));
        lines.push((begin + 301_000, line("sessionDestroyed", begin + 301_000, of(json!({})))));
    }
    lines.extend((0..2).map(|number| {
        let at = BEGIN + 2 * 86_400_000 + number;
        (at, line("signalSent", at, json!({})))
    }));
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn the_queries_of_the_page_have_the_sums_of_stats_by_duckdb() {
    check_queries(Database::DuckDb);
}

#[test]
fn the_queries_of_the_page_have_the_sums_of_stats_by_clickhouse() {
    check_queries(Database::Chdb);
}

fn check_queries(database: Database) {
    let Some(python) = python(database) else { return };
    let [cdr, target] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    write(cdr.path(), NAME, &clean_record());
    run(&mut export(target.path(), &[cdr.path()])).expect(0, &[]);
    let stats = figures(&[cdr.path()], "2023-11-16");
    let answers = answers(database, &python, target.path(), &queries_of_page());
    let [by_day, rooms, recordings, peak, drops, reasons, events, platforms] = &answers[..] else {
        panic!("the page has other queries: {answers:?}");
    };
    let of_stats = |name: &str| stats[name].as_f64().unwrap();
    assert_eq!(by_day.len(), 2, "{by_day:?}");
    assert_eq!(sum(by_day, 1), of_stats("participants"));
    assert!((sum(by_day, 2) - of_stats("participant_minutes")).abs() < 0.06, "{by_day:?}");
    assert_eq!(sum(rooms, 1), of_stats("participants"));
    assert_eq!(sum(recordings, 1), of_stats("recordings"));
    assert_eq!(sum(recordings, 2), of_stats("recording_bytes"));
    assert_eq!(sum(peak, 0), of_stats("peak_participants"));
    assert_eq!(drops.len(), 3, "{drops:?}");
    assert_eq!(sum(reasons, 2), of_stats("participants"));
    // Two more begin the third day.
    assert_eq!(sum(events, 1), of_stats("events") + 2.0);
    assert_eq!(sum(platforms, 2), of_stats("participants"));
}

/// The databases that are here, each with its Python.
fn databases() -> Vec<(Database, String)> {
    let both = [Database::DuckDb, Database::Chdb].into_iter();
    both.filter_map(|database| Some((database, python(database)?))).collect()
}

#[test]
fn sums_of_random_records_are_the_same_by_stats_duckdb_clickhouse_and_a_naive_program() {
    check_sums(&databases(), 21, 800);
}

/// `CDRLOG_PYTHON=python3 cargo test --release -p cdrlog-cli --test program -- --ignored large_random`.
#[test]
#[ignore = "a million events, ten times: some minutes"]
fn sums_of_large_random_records_are_the_same_by_stats_duckdb_clickhouse_and_a_naive_program() {
    let databases = databases();
    let (seeds, events) = large_records(200);
    for seed in seeds {
        let sums = check_sums(&databases, seed, events);
        eprintln!("seed {seed}: {events} events, {sums:?}");
    }
}

/// What all ways must find.
#[derive(Debug, PartialEq, Eq)]
struct Sums {
    participants: u64,
    ms: i64,
    recordings: u64,
    recording_bytes: u64,
}

/// The sums of the rows of participants, of those of sessions, and the lines.
const SUMS: [&str; 3] = [
    "SELECT sum(participants), sum(seconds) FROM 'participants/*/*.parquet'",
    "SELECT sum(participants), sum(participant_seconds), sum(recordings), sum(recording_bytes) \
     FROM 'sessions/*/*.parquet'",
    "SELECT count(*), count(DISTINCT line) FROM 'events/*/*.parquet'",
];

/// Checks one record, all of whose days are closed. Returns its sums.
fn check_sums(databases: &[(Database, String)], seed: u64, events: usize) -> Sums {
    let [cdr, target] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let record = Record::new(seed, events).with_days_closed();
    let naive = record.expected();
    let expected = Sums {
        participants: naive.participants,
        ms: naive.ms(),
        recordings: naive.recordings,
        recording_bytes: naive.recording_bytes,
    };
    assert!(expected.participants > 0 && expected.ms > 0 && expected.recordings > 0, "seed {seed}");
    let paths = record.write(cdr.path());
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let ended = run(&mut export(target.path(), &paths)).expect(0, &[]);
    let closed_before = summary(&ended)["closed_before"].as_i64().unwrap();
    let stats = figures(&paths, &closed_before.to_string());
    assert_eq!(sums_of_stats(&stats), expected, "stats, seed {seed}");
    let lines = record.sorted_lines();
    let lines_read = lines.len();
    let distinct_lines = BTreeSet::from_iter(lines).len();
    for (database, python) in databases {
        let answers = answers(*database, python, target.path(), &SUMS);
        let [participants, sessions, events] = &answers[..] else { panic!("{answers:?}") };
        let whole = |answer: &[Vec<Value>], column| sum(answer, column) as u64;
        let ms = |answer: &[Vec<Value>]| (sum(answer, 1) * 1000.0).round() as i64;
        let found = Sums {
            participants: whole(sessions, 0),
            ms: ms(sessions),
            recordings: whole(sessions, 2),
            recording_bytes: whole(sessions, 3),
        };
        assert_eq!(found, expected, "{database:?}, seed {seed}");
        let of_participants = (whole(participants, 0), ms(participants));
        assert_eq!(of_participants, (expected.participants, expected.ms), "{database:?}");
        let of_events = (whole(events, 0) as usize, whole(events, 1) as usize);
        assert_eq!(of_events, (lines_read, distinct_lines), "{database:?}, seed {seed}");
    }
    expected
}

fn sums_of_stats(stats: &Value) -> Sums {
    let whole = |name: &str| stats[name].as_u64().unwrap();
    Sums {
        participants: whole("participants"),
        ms: (stats["participant_minutes"].as_f64().unwrap() * 60_000.0).round() as i64,
        recordings: whole("recordings"),
        recording_bytes: whole("recording_bytes"),
    }
}
