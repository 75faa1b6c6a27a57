//! `export`: every line once in the Parquet files, whatever happens to a run, and rows that add up to
//! `stats`.

#[cfg(feature = "ship")]
mod shipped;
mod sql;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};

use crate::audit::write;
use crate::run::{Run, cdrlog, end, run, start};
use crate::sessions::random::Record;

/// 2023-11-14 22:13:20 UTC, in milliseconds since 1970.
const BEGIN: i64 = 1_700_000_000_000;

const NAME: &str = "CDR.2023-11-14_22-13-20.log";

const PAGE: &str = include_str!("../../../../docs/sql.md");

fn export(target: &Path, directories: &[&Path]) -> Command {
    let mut command = cdrlog();
    command.args(["export", "--json", "--parquet"]).arg(target).args(directories);
    command
}

fn summary(ended: &Run) -> Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Without this, whoever named a directory by mistake lost the temporary files of other programs there, and
/// a server that compressed a file lost that.
#[test]
fn nothing_is_removed_from_a_directory_that_others_use() {
    let home = tempfile::tempdir().unwrap();
    let (directory, target) = (home.path().join("cdr"), home.path().join("target"));
    fs::create_dir_all(target.join("theirs")).unwrap();
    let theirs = ["theirs/0.tmp", "0.log.tmp", "CDR.log.zst.tmp"].map(|name| target.join(name));
    theirs.iter().for_each(|path| fs::write(path, "theirs").unwrap());
    fs::create_dir(&directory).unwrap();
    write(&directory, NAME, &[line("sessionCreated", BEGIN, json!({}))]);
    let ours = target.join("events/day=2023-11-14/7.tmp");
    fs::create_dir_all(ours.parent().unwrap()).unwrap();
    fs::write(&ours, "of a run that was killed").unwrap();
    run(&mut export(&target, &[&directory])).expect(0, &[]);
    for path in theirs {
        assert_eq!(fs::read(&path).unwrap(), b"theirs", "{}", path.display());
    }
    assert!(!ours.exists(), "what a killed run left stays");
    assert_eq!(rows(&target, "events").len(), 1);
}

#[test]
fn a_directory_of_a_cdr_is_no_place_for_an_export() {
    let home = tempfile::tempdir().unwrap();
    let written = home.path().join("written");
    run(crate::run::append(&written).arg("--sync=always")).expect(0, &[]);
    let plain = home.path().join("plain");
    fs::create_dir(&plain).unwrap();
    write(&plain, NAME, &[line("sessionCreated", BEGIN, json!({}))]);
    for directory in [&written, &plain] {
        let there = || {
            let names = fs::read_dir(directory).unwrap();
            let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let before = there();
        run(&mut export(directory, &[&plain])).expect(1, &["is the directory of a CDR", "another"]);
        assert_eq!(there(), before);
    }
}

/// The files of a table, with the names of their directories.
fn files(target: &Path, table: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for day in fs::read_dir(target.join(table)).into_iter().flatten() {
        let day = day.unwrap().path();
        files.extend(fs::read_dir(day).unwrap().map(|file| file.unwrap().path()));
    }
    files.sort();
    files
}

/// The rows of a table: texts and numbers by the name of their column, and the day.
fn rows(target: &Path, table: &str) -> Vec<BTreeMap<String, Value>> {
    let mut rows = Vec::new();
    for path in files(target, table) {
        assert_eq!(path.extension().unwrap(), "parquet", "{}", path.display());
        let day = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let cells = row.get_column_iter().map(|(name, field)| (name.clone(), value(field)));
            let day = ("day".to_owned(), json!(day.strip_prefix("day=").unwrap()));
            rows.push(cells.chain([day]).collect());
        }
    }
    rows
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Long(value) | Field::TimestampMillis(value) => json!(value),
        Field::Double(value) => json!(value),
        Field::Str(value) => json!(value),
        other => panic!("{other:?}"),
    }
}

fn line(name: &str, at: i64, members: Value) -> String {
    let mut body = json!({"sessionId": "s", "uniqueSessionId": "s_1", "timestamp": at});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!({ name: body }).to_string()
}

/// The lines that are exported, in the order of their places.
fn exported_lines(target: &Path) -> Vec<String> {
    let mut lines: Vec<_> = rows(target, "events")
        .into_iter()
        .map(|row| {
            let place = (row["file"].to_string(), row["offset"].as_i64().unwrap());
            (place, row["line"].as_str().unwrap().to_owned())
        })
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn an_event_is_its_exact_line_and_what_its_members_tell() {
    let [cdr, target] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let left = line("participantLeft", BEGIN, json!({"connectionId": "c", "reason": "disconnect"}));
    let spaced = r#"{"signalSent" : {"timestamp":1700000000001,  "sessionId":"ä"}}"#.to_owned();
    let recorded = r#"{"recordingEnded":{"creationDate":1700000000002,"data":{"recordingId":"r--EG_1--x","roomId":"r","status":"complete","size":7}}}"#;
    let lines = [left.clone(), "no event".to_owned(), spaced.clone(), recorded.to_owned()];
    write(cdr.path(), NAME, &lines);
    let ended = run(&mut export(target.path(), &[cdr.path()])).expect(0, &[]);
    assert_eq!(summary(&ended)["lines_bad"], 1);
    let rows = rows(target.path(), "events");
    let told = |index: usize, names: &[&str]| {
        let row: &BTreeMap<String, Value> = &rows[index];
        names.iter().map(|name| row[*name].to_string()).collect::<Vec<_>>().join(" ")
    };
    let names = ["day", "time", "event", "session", "session_id", "participant", "reason"];
    assert_eq!(
        told(0, &names),
        r#""2023-11-14" 1700000000000 "participantLeft" "s" "s_1" "c" "disconnect""#
    );
    assert_eq!(told(1, &names), r#""2023-11-14" 1700000000001 "signalSent" "ä" null null null"#);
    assert_eq!(
        told(2, &["event", "session", "activity", "recording_bytes"]),
        r#""recordingEnded" "r" "EG_1" 7"#
    );
    assert_eq!(exported_lines(target.path()), [left, spaced, recorded.to_owned()]);
    let offset = rows[1]["offset"].as_i64().unwrap() as usize;
    let text = fs::read_to_string(cdr.path().join(NAME)).unwrap();
    assert!(text[offset..].starts_with(rows[1]["line"].as_str().unwrap()));
}

#[test]
fn a_second_run_adds_what_is_new_and_doubles_nothing() {
    let [cdr, target] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut lines = Vec::new();
    for number in 0..5 {
        lines.push(line("signalSent", BEGIN + number * 1000, json!({ "number": number })));
        let text = lines.join("\n") + "\n";
        // Half a line is being written.
        fs::write(cdr.path().join(NAME), format!("{text}{{\"signal")).unwrap();
        for new in [1, 0] {
            let ended = run(&mut export(target.path(), &[cdr.path()])).expect(0, &[]);
            let found = summary(&ended);
            assert_eq!((&found["lines"], &found["files_created"]), (&json!(new), &json!(new)));
        }
        assert_eq!(exported_lines(target.path()), lines);
    }
    // A file that was compressed meanwhile has the same place.
    let text = fs::read(cdr.path().join(NAME)).unwrap();
    let packed = zstd::encode_all(&text[..text.len() - 8], 1).unwrap();
    fs::write(cdr.path().join(format!("{NAME}.zst")), packed).unwrap();
    fs::remove_file(cdr.path().join(NAME)).unwrap();
    let ended = run(&mut export(target.path(), &[cdr.path()])).expect(0, &[]);
    assert_eq!(summary(&ended)["lines"], 0);
}

#[test]
fn a_range_of_two_days_that_was_begun_is_completed_and_leftovers_are_removed() {
    let [cdr, target] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let midnight = 1_700_006_400_000;
    let lines: Vec<_> = (0..10)
        .map(|number| line("signalSent", midnight - 5000 + number * 1000, json!({})))
        .collect();
    write(cdr.path(), NAME, &lines);
    run(&mut export(target.path(), &[cdr.path()])).expect(0, &[]);
    let before = files(target.path(), "events");
    let [first, second] = &before[..] else { panic!("{before:?}") };
    assert!(first.to_str().unwrap().ends_with("-1of2.parquet"), "{before:?}");
    // As a kill between the two leaves it; and more lines came meanwhile.
    fs::remove_file(second).unwrap();
    fs::write(first.with_file_name("7.tmp"), "half").unwrap();
    let more = line("signalSent", midnight + 60_000, json!({}));
    let all: Vec<_> = lines.iter().cloned().chain([more]).collect();
    write(cdr.path(), NAME, &all);
    run(&mut export(target.path(), &[cdr.path()])).expect(0, &[]);
    assert_eq!(exported_lines(target.path()), all);
    assert!(files(target.path(), "events").contains(second));
    assert_eq!(files(target.path(), "events").len(), 3);
}

#[test]
fn a_run_that_is_killed_anywhere_loses_and_doubles_nothing() {
    let [cdr, target] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let record = Record::new(3, 3000);
    let paths = record.write(cdr.path());
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    for ms in [1, 5, 20, 60, 100, 150, 250] {
        let mut child = start(&mut export(target.path(), &paths));
        std::thread::sleep(Duration::from_millis(ms));
        // It may have ended by itself.
        child.kill().unwrap();
        end(child);
    }
    run(&mut export(target.path(), &paths)).expect(0, &[]);
    let mut exported = exported_lines(target.path());
    exported.sort();
    assert!(exported == record.sorted_lines(), "{} lines", exported.len());
}

#[test]
fn only_one_run_at_a_time_writes_and_all_runs_are_of_the_same_directories() {
    let [cdr, other, target] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    write(cdr.path(), NAME, &[line("signalSent", BEGIN, json!({}))]);
    run(&mut export(target.path(), &[cdr.path()])).expect(0, &[]);
    let path = cdr.path().to_str().unwrap();
    let both = [cdr.path(), other.path()];
    run(&mut export(target.path(), &both)).expect(1, &["cannot add to", "it was made from", path]);
    let mut zoned = export(target.path(), &[cdr.path()]);
    run(zoned.args(["--tz", "Europe/Madrid"])).expect(1, &["its days are those of UTC"]);
    let lock = File::open(target.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    run(&mut export(target.path(), &[cdr.path()])).expect(1, &["another export is writing"]);
    drop(lock);
    run(&mut export(target.path(), &[cdr.path()])).expect(0, &[]);
}

#[test]
fn the_page_lists_all_columns_of_all_tables() {
    let [cdr, target] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let record = Record::new(5, 300);
    let paths = record.write(cdr.path());
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    run(&mut export(target.path(), &paths)).expect(0, &[]);
    for table in ["events", "participants", "sessions"] {
        let (_, section) = PAGE.split_once(&format!("\n### {table}\n")).unwrap();
        let section = section.split("\n#").next().unwrap();
        let rows = rows(target.path(), table);
        for column in rows[0].keys() {
            assert!(section.contains(&format!("`{column}`")), "{table}: {column}");
        }
    }
}

/// What `stats` and `sessions` say of a record, for a day.
fn figures(paths: &[&Path], until: &str) -> Value {
    let mut stats = cdrlog();
    stats.args(["stats", "--json", "--utc", "--until", until]).args(paths);
    summary(&run(&mut stats).expect(0, &[]))
}

#[test]
fn rows_of_closed_days_are_exported_once_and_add_up_to_stats() {
    let [cdr, target] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let record = Record::new(11, 800);
    let paths = record.write(cdr.path());
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let ended = run(&mut export(target.path(), &paths)).expect(0, &[]);
    assert!(summary(&ended)["closed_before"].is_number(), "{ended:?}");
    let closed_before = summary(&ended)["closed_before"].as_i64().unwrap();
    let stats = figures(&paths, &closed_before.to_string());
    let participants = rows(target.path(), "participants");
    let seconds: f64 = participants.iter().map(|row| row["seconds"].as_f64().unwrap()).sum();
    let minutes = stats["participant_minutes"].as_f64().unwrap();
    assert!(minutes > 0.0 && (seconds / 60.0 - minutes).abs() < 1e-6, "{seconds} {minutes}");
    // The same through the other table.
    let sessions = rows(target.path(), "sessions");
    let stays: f64 = sessions.iter().map(|row| row["participant_seconds"].as_f64().unwrap()).sum();
    assert!(stays > 0.0);
    let again = run(&mut export(target.path(), &paths)).expect(0, &[]);
    assert_eq!(summary(&again)["files_created"], 0);
}
