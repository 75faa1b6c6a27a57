//! What the tests of the appender share.

use std::fs;
use std::path::{Path, PathBuf};

/// The bodies of tests/data, a line each, and the CDR lines they must become.
pub const WEBHOOKS: &str = include_str!("../data/webhooks.jsonl");
pub const CDR: &str = include_str!("../data/cdr.jsonl");

/// The files of a directory whose names begin with `prefix`, in the order of their names.
pub fn files(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
        .filter(|path| !path.to_str().unwrap().contains(".torn"))
        .collect();
    paths.sort();
    paths
}

/// All CDR files of a directory, one after the other.
pub fn cdr(directory: &Path) -> String {
    files(directory, "CDR.").iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// All rejects files of a directory, one after the other, each record parsed.
pub fn rejects(directory: &Path) -> Vec<serde_json::Value> {
    let text: String = files(directory, "rejected.")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Event number `number` of a made-up stream, with padding so that lengths differ.
pub fn body(number: u64) -> String {
    let padding = "x".repeat((number * 7 % 300) as usize);
    format!(r#"{{"number":{number},"padding":"{padding}","event":"numbered"}}"#)
}

/// The line of [`body`].
pub fn line(number: u64) -> String {
    let padding = "x".repeat((number * 7 % 300) as usize);
    format!("{{\"numbered\":{{\"number\":{number},\"padding\":\"{padding}\"}}}}\n")
}

/// The lines of the events `0..count`.
pub fn lines(count: u64) -> String {
    (0..count).map(line).collect()
}
