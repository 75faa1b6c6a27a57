//! The manifest shows who reads it later that no sealed file was altered, removed or inserted.
//!
//! A CDR is what customers are billed by. Without a chain of hashes, a line that somebody changed a
//! month later looks like every other one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{body, copy_tree, files};
use cdrlog::Appender;
use cdrlog::manifest::{
    Entries, Manifest, ManifestEntry, ManifestError, Measure, SealedFile, path_in,
};

/// Makes files of some lines each; gives the directory after a close.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).rotate_bytes(5000).open().unwrap();
    let producer = appender.producer();
    for number in 0..200 {
        producer.send_slice(body(number).as_bytes()).unwrap();
    }
    producer.send_slice(b"no event").unwrap();
    appender.flush().unwrap();
    appender.wait_for_maintenance().unwrap();
    appender.close().unwrap();
    directory
}

fn measure(path: &Path) -> SealedFile {
    let mut measure = Measure::new();
    measure.update(&fs::read(path).unwrap());
    measure.finish(path.file_name().unwrap().to_str().unwrap())
}

/// Opens the directory once more, so that the last files are sealed too.
fn maintenance(directory: &Path) {
    let appender = Appender::builder(directory).open().unwrap();
    appender.wait_for_maintenance().unwrap();
    appender.close().unwrap();
}

#[test]
fn every_sealed_file_has_a_line_that_fits_and_the_open_ones_have_none() {
    let directory = directory();
    let paths = files(directory.path(), "CDR.");
    let manifest = Manifest::read(&directory).unwrap();
    let (open, sealed) = paths.split_last().unwrap();
    assert_eq!(manifest.files().count(), sealed.len());
    for (listed, path) in manifest.files().zip(sealed) {
        assert_eq!((&listed.sealed, listed.removed_at), (&measure(path), None));
        assert_eq!(listed.sealed.bytes, fs::metadata(path).unwrap().len());
        assert_eq!(
            listed.sealed.blake3.as_bytes(),
            blake3::hash(&fs::read(path).unwrap()).as_bytes()
        );
    }
    assert_eq!(manifest.file(open.file_name().unwrap().to_str().unwrap()), None);

    // The next opening finishes the last CDR file and the rejects file.
    maintenance(directory.path());
    let after = Manifest::read(&directory).unwrap();
    assert_eq!(after.entries(), manifest.entries() + 2);
    let rejects = files(directory.path(), "rejected.").remove(0);
    let listed = after.file(rejects.file_name().unwrap().to_str().unwrap()).unwrap();
    assert_eq!(listed.sealed, measure(&rejects));
    assert!(listed.sealed.first_timestamp.is_some());
}

#[test]
fn a_file_that_recovery_began_is_finished_by_the_same_opening() {
    let original = tempfile::tempdir().unwrap();
    // What a kill leaves before the first rejects file was made.
    let minute = Duration::from_secs(60);
    let appender = Appender::builder(&original).flush_interval(minute).open().unwrap();
    appender.producer().send_slice(b"no event").unwrap();
    while appender.stats().events_rejected == 0 {
        std::thread::yield_now();
    }
    let directory = tempfile::tempdir().unwrap();
    copy_tree(original.path(), directory.path());
    assert!(files(directory.path(), "rejected.").is_empty());
    maintenance(directory.path());
    let rejects = files(directory.path(), "rejected.").remove(0);
    let manifest = Manifest::read(&directory).unwrap();
    let listed = manifest.file(rejects.file_name().unwrap().to_str().unwrap());
    assert_eq!(listed.unwrap().sealed, measure(&rejects));
}

#[test]
fn first_and_last_timestamp_are_those_of_the_events() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    for timestamp in [1_538_481_330_577_i64, 5, 1_538_481_339_999] {
        let event = format!(r#"{{"x":{{"timestamp":1}},"event":"e","timestamp":{timestamp}}}"#);
        appender.producer().send_slice(event.as_bytes()).unwrap();
    }
    let name = appender.cdr_path().file_name().unwrap().to_str().unwrap().to_owned();
    appender.rotate().unwrap();
    appender.wait_for_maintenance().unwrap();
    appender.close().unwrap();
    let manifest = Manifest::read(&directory).unwrap();
    let sealed = &manifest.file(&name).unwrap().sealed;
    assert_eq!(sealed.lines, 3);
    assert_eq!(sealed.first_timestamp, Some(1_538_481_330_577));
    assert_eq!(sealed.last_timestamp, Some(1_538_481_339_999));
}

#[test]
fn a_file_that_is_changed_does_not_fit_its_line_any_more() {
    let directory = directory();
    let path = files(directory.path(), "CDR.").remove(0);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"number\":3,", "\"number\":4,", 1)).unwrap();
    maintenance(directory.path());
    let manifest = Manifest::read(&directory).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let (listed, found) = (&manifest.file(name).unwrap().sealed, measure(&path));
    assert_eq!((listed.lines, listed.bytes), (found.lines, found.bytes));
    assert_ne!(listed.blake3, found.blake3);
}

#[test]
fn a_line_that_is_altered_removed_or_inserted_breaks_the_chain_for_good() {
    let directory = directory();
    let path = path_in(&directory);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let without = |index: usize| [&lines[..index], &lines[index + 1..]].concat().concat();
    let twice = |index: usize| [&lines[..=index], &lines[index..]].concat().concat();
    let altered = |index: usize| {
        let line = lines[index].replacen("\"lines\":", "\"lines\":1", 1);
        [&lines[..index], &[&line[..]], &lines[index + 1..]].concat().concat()
    };
    for forged in [without(0), without(2), twice(1), altered(0), altered(1)] {
        fs::write(&path, forged).unwrap();
        for _ in 0..2 {
            let read = Manifest::read(&directory);
            assert!(matches!(read, Err(ManifestError::Broken { .. })), "{read:?}");
            // Files are still finished behind it; the break stays where it is.
            let appender = Appender::builder(&directory).open().unwrap();
            appender.producer().send_slice(body(0).as_bytes()).unwrap();
            appender.rotate().unwrap();
            appender.wait_for_maintenance().unwrap();
            appender.close().unwrap();
        }
    }
}

#[test]
fn a_line_that_a_power_loss_tore_is_written_anew() {
    let directory = directory();
    let before = Manifest::read(&directory).unwrap();
    let path = path_in(&directory);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
    let torn = Manifest::read(&directory).unwrap_err().to_string();
    assert!(torn.contains("manifest.jsonl is broken at line") && torn.contains("no end"), "{torn}");
    maintenance(directory.path());
    let after = Manifest::read(&directory).unwrap();
    for file in before.files() {
        assert_eq!(after.file(&file.sealed.name), Some(file));
    }
    assert!(fs::metadata(path.with_extension("torn")).unwrap().len() > 0);
}

#[test]
fn a_file_that_retention_removed_stays_in_the_manifest_and_is_said_to_be_removed() {
    let directory = directory();
    let before = Manifest::read(&directory).unwrap();
    let oldest = files(directory.path(), "CDR.").remove(0);
    let name = oldest.file_name().unwrap().to_str().unwrap();
    let total: u64 = [files(directory.path(), "CDR."), files(directory.path(), "rejected.")]
        .concat()
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    let appender = Appender::builder(&directory).retention_bytes(Some(total - 1)).open().unwrap();
    appender.wait_for_maintenance().unwrap();
    assert_eq!(appender.close().unwrap().files_removed, 1);
    assert!(!oldest.exists());
    let after = Manifest::read(&directory).unwrap();
    let listed = after.file(name).unwrap();
    assert_eq!(listed.sealed, before.file(name).unwrap().sealed);
    assert!(listed.removed_at.is_some());
    let removed = Entries::open(&directory)
        .unwrap()
        .filter(|entry| matches!(entry, Ok(ManifestEntry::Removed { .. })))
        .count();
    assert_eq!(removed, 1);
}

#[test]
fn a_directory_without_a_manifest_has_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = Manifest::read(&directory).unwrap();
    assert_eq!((manifest.entries(), manifest.files().count()), (0, 0));
    assert_eq!(manifest.last_hash().to_string(), "0".repeat(64));
}

#[test]
#[cfg(feature = "compress")]
fn compressing_a_file_changes_nothing_in_the_manifest() {
    let directory = directory();
    let before = Manifest::read(&directory).unwrap();
    let builder = Appender::builder(&directory).compression(cdrlog::Compression::Zstd);
    let appender = builder.open().unwrap();
    appender.wait_for_maintenance().unwrap();
    appender.close().unwrap();
    let after = Manifest::read(&directory).unwrap();
    for file in before.files() {
        let name = format!("{}.zst", file.sealed.name);
        assert_eq!(after.file(&name), Some(file));
        let content = zstd::decode_all(&fs::read(directory.path().join(&name)).unwrap()[..]);
        let mut measure = Measure::new();
        measure.update(&content.unwrap());
        assert_eq!(measure.finish(&name), file.sealed);
    }
}
