//! The shipped copy without what should not leave the machine.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{archive, record, ship};
use crate::run::{Run, append, run, run_with};

/// A directory, an archive, and a file with a key.
struct Case {
    parent: tempfile::TempDir,
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

impl Case {
    fn new() -> Self {
        let case = Self { parent: tempfile::tempdir().unwrap() };
        fs::write(case.key(), KEY).unwrap();
        case
    }

    fn directory(&self) -> PathBuf {
        self.parent.path().join("cdr")
    }

    fn archive(&self) -> PathBuf {
        self.parent.path().join("archive")
    }

    fn key(&self) -> PathBuf {
        self.parent.path().join("key")
    }

    fn append(&self, bodies: &str) -> Run {
        run_with(append(&self.directory()).args(["--sync", "always"]), bodies.as_bytes())
    }

    fn ship(&self, rules: &[&str]) -> Run {
        let to = format!("file://{}", self.archive().display());
        let mut command = ship(&self.directory(), &to);
        command.arg("--once").arg("--redact-key").arg(self.key());
        for rule in rules {
            command.args(["--redact", rule]);
        }
        run(&mut command)
    }

    fn lines(&self, stream: &str) -> String {
        String::from_utf8(archive::lines(&self.archive(), stream)).unwrap()
    }

    fn forget_notes(&self) {
        for place in fs::read_dir(self.directory().join(".cdrlog/ship")).unwrap() {
            for name in ["lines.jsonl", "rejects.jsonl"] {
                let notes = place.as_ref().unwrap().path().join(name);
                if notes.exists() {
                    fs::remove_file(notes).unwrap();
                }
            }
        }
    }
}

fn body(number: u32) -> String {
    format!(
        "{{\"sessionId\":\"s{number}\",\"ip\":\"10.0.0.{number}\",\"n\":1.50e1,\
         \"clientData\":\"user {number}\",\"location\":\"Paris\",\"event\":\"participantJoined\"}}\n"
    )
}

fn blocks(archive: &Path) -> Vec<Value> {
    let blocks = archive::blocks(archive, "lines").into_iter().map(|block| block.header);
    blocks.filter(|header| header["kind"] == "lines").collect()
}

#[test]
fn what_rules_name_is_not_shipped_and_everything_else_is_exactly_as_it_was() {
    let case = Case::new();
    case.append(&body(1)).expect(0, &[]);
    case.append("{\"ip\":\"10.9.9.9\"}\n").expect(3, &[]);
    let local = record(&case.directory(), "CDR.");
    case.ship(&["drop:ip,location", "hmac:clientData"]).expect(0, &[]);
    let shipped = case.lines("lines");
    let start = "{\"participantJoined\":{\"sessionId\":\"s1\",\"n\":1.50e1,\"clientData\":\"hmac:";
    assert!(shipped.starts_with(start) && shipped.ends_with("\"}}\n"), "{shipped}");
    assert_eq!(shipped.len(), start.len() + 64 + "\"}}\n".len());
    assert_eq!(record(&case.directory(), "CDR."), local);
    let rejects = case.lines("rejects");
    assert!(!rejects.contains("10.9.9.9") && rejects.contains("\"reason\""), "{rejects}");
    // The hashes give nothing away either: not of the line, nor of the first line.
    let header = &blocks(&case.archive())[0];
    assert_eq!(header["redaction"]["rules"], "drop:ip,location hmac:clientData");
    let plain = blake3::hash(&local).to_hex().to_string();
    assert!(header["local"] != plain && header["birth"] != plain, "{header}");
    assert!(!header.to_string().contains(&KEY[..16]));
}

#[test]
fn changed_rules_count_from_the_next_block_on_and_lost_notes_double_nothing() {
    let case = Case::new();
    case.append(&body(1)).expect(0, &[]);
    case.ship(&[]).expect(0, &[]);
    case.append(&body(2)).expect(0, &[]);
    case.ship(&["drop:ip"]).expect(0, &[]);
    case.append(&body(3)).expect(0, &[]);
    case.forget_notes();
    case.ship(&["drop:ip,location"]).expect(0, &[]);
    // Another key, with the old one after it.
    fs::write(case.key(), format!("fedcba9876543210\n{KEY}\n")).unwrap();
    case.forget_notes();
    case.append(&body(4)).expect(0, &[]);
    case.ship(&["drop:location"]).expect(0, &[]);
    let shipped = case.lines("lines");
    let lines: Vec<_> = shipped.lines().collect();
    assert_eq!(lines.len(), 4, "{shipped}");
    let has = |name: &str| lines.iter().map(|line| line.contains(name)).collect::<Vec<_>>();
    assert_eq!(has("10.0.0."), [true, false, false, true]);
    assert_eq!(has("Paris"), [true, true, false, false]);
    let keys = blocks(&case.archive()).into_iter().map(|header| header["redaction"]["key"].clone());
    let keys: Vec<_> = keys.collect();
    assert!(keys[0].is_null() && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
}

#[test]
fn without_the_key_nothing_is_taken_for_a_file_that_began_anew() {
    let case = Case::new();
    case.append(&body(1)).expect(0, &[]);
    case.ship(&["drop:ip"]).expect(0, &[]);
    case.append(&body(2)).expect(0, &[]);
    let to = format!("file://{}", case.archive().display());
    let without = run(ship(&case.directory(), &to).args(["--once", "--accept-gap"]));
    without.expect(1, &["was redacted with the key", "--redact-key"]);
    // The key alone is enough to go on without rules.
    case.ship(&[]).expect(0, &[]);
    assert_eq!(case.lines("lines").lines().count(), 2);
}

#[test]
fn blocks_that_were_lost_come_back_by_the_rules_of_their_time() {
    let case = Case::new();
    for number in 1..4 {
        case.append(&body(number)).expect(0, &[]);
        case.ship(&["drop:ip", "hmac:clientData"]).expect(0, &[]);
    }
    let before = archive::blocks(&case.archive(), "lines");
    fs::remove_file(&before[before.len() - 2].path).unwrap();
    fs::remove_file(&before[before.len() - 1].path).unwrap();
    let to = format!("file://{}", case.archive().display());
    let mut command = ship(&case.directory(), &to);
    command.args(["--once", "--accept-rollback", "--redact", "drop:location"]);
    run(command.arg("--redact-key").arg(case.key())).expect(0, &["gets them again"]);
    let after = archive::blocks(&case.archive(), "lines");
    assert!(after.iter().map(|it| &it.id).eq(before.iter().map(|it| &it.id)), "other blocks");
}

#[test]
fn rules_without_a_key_and_what_is_no_rule_are_refused() {
    let case = Case::new();
    case.append(&body(1)).expect(0, &[]);
    case.ship(&["ip"]).expect(2, &["is no rule", "drop:NAME"]);
    fs::write(case.key(), "short\n").unwrap();
    case.ship(&["drop:ip"]).expect(1, &["openssl rand"]);
    let to = format!("file://{}", case.archive().display());
    let without = run(ship(&case.directory(), &to).args(["--once", "--redact", "drop:ip"]));
    without.expect(2, &["--redact-key"]);
    // A key that is gone: what was shipped with it cannot be recognised, and nothing is guessed.
    fs::write(case.key(), KEY).unwrap();
    case.ship(&["drop:ip"]).expect(0, &[]);
    case.forget_notes();
    fs::write(case.key(), "fedcba9876543210").unwrap();
    case.append(&body(2)).expect(0, &[]);
    case.ship(&["drop:ip"]).expect(1, &["was redacted with the key", "--redact-key"]);
}
