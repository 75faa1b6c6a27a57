//! The queries of the page, run by databases that others make.

use super::*;
use crate::sessions::random::large_records;
use crate::skip::skip;
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

/// The answers of all queries of the page, in their order.
fn answers(database: Database, python: &str, target: &Path) -> Vec<Vec<Vec<Value>>> {
    let queries = PAGE.split("```sql\n").skip(1);
    let queries = queries.map(|rest| database.query(rest.split("```").next().unwrap()));
    let queries: Vec<_> = queries.collect();
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
    let answers = answers(database, &python, target.path());
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

#[test]
fn sums_of_random_records_are_the_same_by_duckdb() {
    let Some(python) = python(Database::DuckDb) else { return };
    check_by_duckdb(&python, 21, 800);
}

/// `CDRLOG_PYTHON=python3 cargo test --release -p cdrlog-cli --test program -- --ignored large_random`.
#[test]
#[ignore = "a million events, ten times: some minutes"]
fn sums_of_large_random_records_are_the_same_by_duckdb() {
    let Some(python) = python(Database::DuckDb) else { return };
    let (seeds, events) = large_records(200);
    for seed in seeds {
        check_by_duckdb(&python, seed, events);
        eprintln!("seed {seed}: {events} events");
    }
}

fn check_by_duckdb(python: &str, seed: u64, events: usize) {
    let [cdr, target] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let record = Record::new(seed, events);
    let paths = record.write(cdr.path());
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let ended = run(&mut export(target.path(), &paths)).expect(0, &[]);
    let closed_before = summary(&ended)["closed_before"].as_i64().unwrap();
    let stats = figures(&paths, &closed_before.to_string());
    let answers = answers(Database::DuckDb, python, target.path());
    let minutes = stats["participant_minutes"].as_f64().unwrap();
    // Each day is rounded to a tenth.
    assert!(minutes > 0.0 && (sum(&answers[0], 2) - minutes).abs() < 0.2, "seed {seed}");
}
