//! What sealed files must hold, together with what the manifest says of those that are gone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::maintenance::{EVENTS, body};
use crate::Rewriter;
use crate::manifest::{Manifest, Measure, SealedFile};
use crate::storage::Disk;

/// The contents of the CDR and rejects files by their plain names. None may be there twice.
pub(super) fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut contents = BTreeMap::new();
    for name in Disk::default().names(directory).unwrap() {
        if name.starts_with('.') || name.contains(".torn") {
            continue;
        }
        let bytes = fs::read(directory.join(&name)).unwrap();
        let (name, bytes) = match name.strip_suffix(".zst") {
            Some(plain) => (plain.to_owned(), zstd::decode_all(&bytes[..]).unwrap()),
            None => (name, bytes),
        };
        assert!(contents.insert(name.clone(), bytes).is_none(), "{name} is there twice");
    }
    contents
}

/// The numbers in the files whose names begin with `prefix`, in the order of the files.
pub(super) fn numbers(contents: &BTreeMap<String, Vec<u8>>, prefix: &str) -> Vec<u64> {
    let files = contents.iter().filter(|(name, _)| name.starts_with(prefix));
    files.flat_map(|(_, bytes)| numbers_of(bytes)).collect()
}

/// The numbers of the events in a file.
fn numbers_of(content: &[u8]) -> Vec<u64> {
    let number = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let event = match value["body"].as_str() {
            Some(body) => serde_json::from_str(body).unwrap(),
            None => value["e"].clone(),
        };
        event["n"].as_u64().unwrap()
    };
    std::str::from_utf8(content).unwrap().lines().map(number).collect()
}

pub(super) fn measure(name: &str, content: &[u8]) -> SealedFile {
    let mut measure = Measure::new();
    measure.update(content);
    measure.finish(name)
}

/// Goes through the files in the order of their names, those that the manifest says were removed
/// included: of both streams they must hold the events 0, 1, 2, ... up to some number that is not
/// below `synced`.
pub(super) fn account_for_lines(directory: &Path, synced: u64, what: &str) {
    let contents = contents(directory);
    let manifest = Manifest::read(directory).unwrap_or_else(|error| panic!("{what}: {error}"));
    for (prefix, is_reject) in [("CDR.", false), ("rejected.", true)] {
        let of_kind = |end| (0..end).filter(move |number| (number % 8 == 5) == is_reject);
        let mut expected = of_kind(EVENTS);
        let listed = manifest.files().map(|file| &file.sealed.name);
        let mut names: Vec<_> = listed.chain(contents.keys()).collect();
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        names.dedup();
        let mut count = 0;
        for name in names {
            let listed = manifest.file(name);
            if let Some(content) = contents.get(name) {
                let found = numbers_of(content);
                count += found.len();
                let due: Vec<_> = expected.by_ref().take(found.len()).collect();
                assert_eq!(found, due, "{what}: {name}");
                let is_as_listed = |content| listed.is_none_or(|file| file.sealed == content);
                assert!(is_as_listed(measure(name, content)), "{what}: {name}");
            } else {
                let listed = listed.unwrap_or_else(|| panic!("{what}: {name} is not listed"));
                assert!(listed.removed_at.is_some(), "{what}: {name} is missing");
                let lines = listed.sealed.lines as usize;
                count += lines;
                let removed: Vec<_> = expected.by_ref().take(lines).collect();
                let is_theirs = is_reject || listed.sealed == measure(name, &lines_of(&removed));
                assert!(is_theirs, "{what}: {name} had something else");
            }
        }
        let synced = of_kind(synced).count();
        assert!(count >= synced, "{what}: {count} of {prefix}, {synced} synced");
    }
}

fn lines_of(numbers: &[u64]) -> Vec<u8> {
    let mut lines = Vec::new();
    for &number in numbers {
        Rewriter::new().rewrite(body(number).as_bytes(), &mut lines).unwrap();
    }
    lines
}
