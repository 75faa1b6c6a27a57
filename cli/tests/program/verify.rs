//! `cdrlog verify`: every kind of damage is found, and nothing else.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use cdrlog::manifest::{Measure, path_in};
use cdrlog::{Appender, EVENT_BYTES_MAX_DEFAULT};

use crate::common::{CDR, body, lines};
use crate::run::{Run, cdrlog, run};

pub fn verify(path: &Path) -> Command {
    let mut command = cdrlog();
    command.arg("verify").arg(path);
    command
}

pub const NAMES: [&str; 4] = [
    "CDR.2026-11-20_00-00-00.log",
    "CDR.2026-11-21_00-00-00.log",
    "CDR.2026-11-22_00-00-00.log",
    "CDR.2026-11-23_00-00-00.log",
];

/// Four files, of which all but the last are in the manifest.
pub fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in NAMES {
        fs::write(directory.path().join(name), CDR).unwrap();
    }
    let entries: Vec<_> = NAMES[..3].iter().map(|name| finished(name)).collect();
    write_manifest(directory.path(), &entries);
    directory
}

pub fn finished(name: &str) -> String {
    let mut measure = Measure::new();
    measure.update(CDR.as_bytes());
    let mut entry = serde_json::to_string(&measure.finish(name)).unwrap();
    entry.pop();
    entry
}

/// Writes entries, each an object without its end, as a chain.
pub fn write_manifest(directory: &Path, entries: &[String]) {
    let mut manifest = File::create(path_of_manifest(directory)).unwrap();
    let mut previous = "0".repeat(64);
    for entry in entries {
        let line = format!("{entry},\"previous\":\"{previous}\"}}");
        writeln!(manifest, "{line}").unwrap();
        previous = blake3::hash(line.as_bytes()).to_string();
    }
}

fn path_of_manifest(directory: &Path) -> std::path::PathBuf {
    let path = path_in(directory);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    path
}

fn edit(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut content = fs::read(path).unwrap();
    edit(&mut content);
    fs::write(path, content).unwrap();
}

/// The findings of a directory in which something is wrong: file, line, byte and reason.
#[track_caller]
pub fn findings(directory: &Path) -> Vec<(String, Option<u64>, Option<u64>, String)> {
    let run = run(verify(directory).arg("--json"));
    assert_eq!(run.code, Some(1), "{run:?}");
    let values = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let of = |value: &serde_json::Value| {
        let file = Path::new(value["file"].as_str().unwrap()).file_name().unwrap();
        let file = file.to_str().unwrap().to_owned();
        let reason = value["reason"].as_str().unwrap().to_owned();
        (file, value["line"].as_u64(), value["byte"].as_u64(), reason)
    };
    values
        .filter(|value: &serde_json::Value| value["type"] == "finding")
        .map(|value| of(&value))
        .collect()
}

#[track_caller]
pub fn expect_one(
    directory: &Path,
    file: &str,
    line: Option<u64>,
    byte: Option<u64>,
    reason: &str,
) {
    assert_eq!(findings(directory), [(file.to_owned(), line, byte, reason.to_owned())]);
}

#[track_caller]
pub fn expect_nothing(directory: &Path) -> Run {
    let run = run(&mut verify(directory)).expect(0, &["nothing is wrong"]);
    assert_eq!(run.stdout, "");
    run
}

#[test]
fn a_directory_in_which_nothing_is_wrong_is_told_so() {
    let directory = directory();
    let run = expect_nothing(directory.path());
    let count = 4 * CDR.lines().count();
    assert!(run.only_message().contains(&format!("4 files, {count} lines")), "{run:?}");
}

#[test]
fn what_an_appender_wrote_is_right_while_it_is_open_and_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(directory.path()).open().unwrap();
    for number in 0..2000 {
        appender.producer().send_slice(body(number).as_bytes()).unwrap();
        if number % 500 == 0 {
            appender.rotate().unwrap();
        }
    }
    let large = "x".repeat(EVENT_BYTES_MAX_DEFAULT - 50);
    for text in ["{", "\u{e9}\n\0", &format!("{{\"event\":\"x\",\"a\":\"{large}\"}}"), &large] {
        appender.producer().send_slice(text.as_bytes()).unwrap();
    }
    appender.producer().send_slice(b"\xff").unwrap();
    appender.flush().unwrap();
    expect_nothing(directory.path());
    appender.close().unwrap();
    expect_nothing(directory.path());
}

#[test]
fn half_a_line_is_a_finding_unless_somebody_is_writing_it() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(directory.path()).open().unwrap();
    let path = appender.cdr_path();
    fs::write(&path, lines(1) + "{\"half\"").unwrap();
    run(&mut verify(directory.path())).expect(0, &["being written", "nothing is wrong"]);
    // The same by the name of the file alone.
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut by_name = verify(Path::new(&name));
    run(by_name.current_dir(directory.path())).expect(0, &["being written", "nothing is wrong"]);
    appender.close().unwrap();
    let end = fs::metadata(&path).unwrap().len();
    expect_one(directory.path(), &name, Some(2), Some(end), "no_line_end");
}

#[test]
fn a_line_that_is_not_right_is_found_with_its_byte() {
    let directory = directory();
    let path = directory.path().join(NAMES[3]);
    let second = CDR.find('\n').unwrap() + 1;
    edit(&path, |content| content[second + 2] = 0);
    expect_one(directory.path(), NAMES[3], Some(2), Some(second as u64 + 2), "nul");
    let run = run(&mut verify(directory.path())).expect(1, &["1 finding"]);
    let expected = format!("{}: line 2, byte {}: a byte 0", path.display(), second + 2);
    assert!(run.stdout.starts_with(&expected), "{run:?}");
    // The same in a file by its own name, compressed.
    let compressed = format!("{}.zst", path.display());
    fs::write(&compressed, zstd::encode_all(&fs::read(&path).unwrap()[..], 1).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    expect_one(
        Path::new(&compressed),
        &format!("{}.zst", NAMES[3]),
        Some(2),
        Some(second as u64 + 2),
        "nul",
    );
}

#[test]
fn a_finished_file_that_was_changed_is_found_though_its_lines_are_right() {
    for (change, reason) in [
        ("altered", "content_differs"),
        ("a line removed", "bytes_differ"),
        ("a line inserted", "bytes_differ"),
        ("removed", "file_missing"),
        ("cut", "bytes_differ"),
    ] {
        let directory = directory();
        let path = directory.path().join(NAMES[1]);
        let first = CDR.find('\n').unwrap() + 1;
        match change {
            "altered" => edit(&path, |content| content[first - 10] ^= 1),
            "a line removed" => edit(&path, |content| drop(content.drain(..first))),
            "a line inserted" => {
                edit(&path, |content| content.extend_from_slice(&CDR.as_bytes()[..first]))
            }
            "cut" => edit(&path, |content| content.truncate(first)),
            _ => fs::remove_file(&path).unwrap(),
        }
        expect_one(directory.path(), NAMES[1], None, None, reason);
        if change != "removed" {
            expect_one(&path, NAMES[1], None, None, reason);
        }
    }
}

#[test]
fn a_finished_file_may_be_compressed_and_a_damaged_one_is_found() {
    let directory = directory();
    for (name, suffix) in [(NAMES[0], "zst"), (NAMES[1], "gz")] {
        let path = directory.path().join(format!("{name}.{suffix}"));
        if suffix == "zst" {
            fs::write(&path, zstd::encode_all(CDR.as_bytes(), 1).unwrap()).unwrap();
        } else {
            let compression = flate2::Compression::fast();
            let mut encoder =
                flate2::write::GzEncoder::new(File::create(&path).unwrap(), compression);
            encoder.write_all(CDR.as_bytes()).unwrap();
            encoder.finish().unwrap();
        }
        fs::remove_file(directory.path().join(name)).unwrap();
    }
    expect_nothing(directory.path());
    let path = directory.path().join(format!("{}.zst", NAMES[0]));
    edit(&path, |content| content.truncate(content.len() / 2));
    expect_one(directory.path(), &format!("{}.zst", NAMES[0]), None, None, "unreadable");
}

#[test]
fn a_chain_that_was_tampered_with_is_found() {
    let directory = directory();
    let path = path_in(&directory);
    let manifest = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = manifest.split_inclusive('\n').collect();
    let altered = lines[1].replace("\"lines\":", "\"lines\":9");
    for (text, line, reason) in [
        (lines[0].to_owned() + lines[2], 2, "manifest_chain"),
        (lines[1].to_owned() + lines[0] + lines[2], 1, "manifest_chain"),
        (lines[0].to_owned() + &altered + lines[2], 3, "manifest_chain"),
        (lines[0].to_owned() + "{}\n" + lines[2], 2, "manifest_entry"),
        (manifest[..manifest.len() - 5].to_owned(), 3, "manifest_torn"),
    ] {
        fs::write(&path, text).unwrap();
        let first = findings(directory.path()).remove(0);
        assert_eq!(first, ("manifest.jsonl".to_owned(), Some(line), None, reason.to_owned()));
    }
}

#[test]
fn a_file_that_is_not_in_the_chain_is_found_when_later_ones_are() {
    let directory = directory();
    write_manifest(directory.path(), &[finished(NAMES[0]), finished(NAMES[2])]);
    expect_one(directory.path(), NAMES[1], None, None, "entry_missing");
    write_manifest(directory.path(), &[finished(NAMES[0]), finished(NAMES[1])]);
    run(&mut verify(directory.path())).expect(0, &["note", NAMES[2], "not in the manifest yet"]);
}

#[test]
fn what_retention_removed_is_no_finding() {
    let directory = directory();
    let removed = format!("{{\"name\":\"{}\",\"removed_at\":1798000000000", NAMES[0]);
    let mut entries: Vec<_> = NAMES[..3].iter().map(|name| finished(name)).collect();
    entries.push(removed);
    write_manifest(directory.path(), &entries);
    fs::remove_file(directory.path().join(NAMES[0])).unwrap();
    expect_nothing(directory.path());
}

#[test]
fn findings_of_many_files_come_in_the_order_of_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for hour in 0..20 {
        let name = format!("CDR.2026-11-21_{hour:02}-00-00.log");
        fs::write(directory.path().join(&name), "no\n".repeat(100)).unwrap();
        expected.extend((1..=100).map(|line| (name.clone(), Some(line))));
    }
    let found = findings(directory.path());
    let found: Vec<_> = found.into_iter().map(|(file, line, ..)| (file, line)).collect();
    assert!(found == expected);
    let mut child = crate::run::start(&mut verify(directory.path()));
    // Nobody reads: it ends all the same, and quietly.
    drop(child.stdout.take());
    assert!(!crate::run::end(child).stderr.contains("cannot write"));
}

#[test]
fn records_of_rejects_are_checked_too() {
    let directory = tempfile::tempdir().unwrap();
    let name = "rejected.2026-11-21_00-00-00.jsonl";
    let record = "{\"reason\":\"empty\",\"offset\":0,\"at\":1,\"body\":\"\"}\n";
    fs::write(directory.path().join(name), format!("{record}{{\"x\":{{}}}}\n")).unwrap();
    let offset = record.len() as u64;
    expect_one(directory.path(), name, Some(2), Some(offset), "not_a_record");
}

#[test]
fn a_directory_of_others_and_one_that_is_not_there_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    run(&mut verify(directory.path())).expect(1, &["there is no CDR or rejects file in"]);
    run(&mut verify(&directory.path().join("missing"))).expect(1, &["does not exist"]);
    Appender::builder(directory.path()).open().unwrap().close().unwrap();
    expect_nothing(directory.path());
}

#[test]
fn a_manifest_that_cannot_be_read_is_a_finding_and_is_not_said_to_be_missing() {
    let directory = directory();
    let path = path_in(&directory);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let ended = run(&mut verify(directory.path())).expect(1, &["1 finding"]);
    assert!(ended.stdout.contains(&format!("{}: cannot be read: ", path.display())), "{ended:?}");
    assert_eq!(ended.stdout.matches("manifest.jsonl").count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("there is no manifest"), "{ended:?}");
}
