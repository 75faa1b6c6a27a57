//! Sealed files are compressed beside running events, and at no moment is there less than a whole
//! copy of a line.
//!
//! A file that is compressed in place, or whose plain form is removed before the other one is on
//! the disk and known to be readable, is lost with the first crash or bad sector.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::{body, files, lines};
use cdrlog::{Appender, Compression, MaintenanceError, Notice};

/// What a compressed file holds, by other means than those of cdrlog.
fn decoded(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().unwrap().to_str().unwrap() {
        "zst" => text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap(),
        "gz" => {
            flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        }
        _ => text = String::from_utf8(bytes).unwrap(),
    }
    text
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[test]
fn finished_files_are_compressed_and_the_open_ones_stay_plain() {
    for (compression, suffix) in [(Compression::Zstd, ".zst"), (Compression::Gzip, ".gz")] {
        let directory = tempfile::tempdir().unwrap();
        let builder = Appender::builder(&directory).rotate_bytes(20_000).compression(compression);
        let appender = builder.open().unwrap();
        let producer = appender.producer();
        for number in 0..1000 {
            producer.send_slice(body(number).as_bytes()).unwrap();
        }
        appender.flush().unwrap();
        appender.wait_for_maintenance().unwrap();
        let paths = files(directory.path(), "CDR.");
        let (open, sealed) = paths.split_last().unwrap();
        assert_eq!(*open, appender.cdr_path());
        assert!(sealed.iter().all(|path| path.to_str().unwrap().ends_with(suffix)), "{paths:?}");
        let text: String = paths.iter().map(|path| decoded(path)).collect();
        assert!(text == lines(1000), "the files together are not the lines in order");
        let stats = appender.close().unwrap();
        assert_eq!((stats.files_compressed, stats.maintenance_errors), (sealed.len() as u64, 0));
        assert!(!directory.path().join(".cdrlog/compressing").exists());
    }
}

/// A file that somebody left here long ago.
fn leave(directory: &Path, name: &str, content: &str, modified: SystemTime) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    path
}

/// One that an appender began and left here long ago.
fn leave_ours(directory: &Path, content: &str, modified: SystemTime) -> PathBuf {
    const NAME: &str = "CDR.2026-01-01_00-00-00.log";
    fs::create_dir_all(directory.join(".cdrlog")).unwrap();
    fs::write(directory.join(".cdrlog/begun"), format!("{NAME}\n")).unwrap();
    leave(directory, NAME, content, modified)
}

fn days_ago(days: u32) -> SystemTime {
    SystemTime::now() - days * Duration::from_secs(86_400)
}

#[test]
fn a_compressed_file_has_the_age_and_the_mode_of_the_plain_one() {
    let directory = tempfile::tempdir().unwrap();
    let modified = days_ago(3);
    let path = leave_ours(directory.path(), &lines(10), modified);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    let appender = Appender::builder(&directory).compression(Compression::Zstd).open().unwrap();
    appender.wait_for_maintenance().unwrap();
    let metadata = fs::metadata(with_suffix(&path, ".zst")).unwrap();
    assert_eq!(metadata.modified().unwrap(), modified);
    assert_eq!(metadata.permissions().mode() & 0o777, 0o604);
    assert!(!path.exists());
    appender.close().unwrap();
}

#[test]
fn a_file_that_another_server_may_still_have_open_is_left_alone_for_a_day() {
    let directory = tempfile::tempdir().unwrap();
    let path = leave(directory.path(), "CDR.2026-01-01_00-00-00.log", &lines(10), days_ago(1));
    let builder = Appender::builder(&directory).compression(Compression::Zstd).manage_foreign(true);
    let appender = builder.open().unwrap();
    appender.wait_for_maintenance().unwrap();
    assert!(path.exists());
    assert_eq!(appender.close().unwrap().files_compressed, 0);
}

#[test]
fn a_file_of_others_is_compressed_only_where_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = leave(directory.path(), "CDR.2026-01-01_00-00-00.log", &lines(10), days_ago(2));
    for manage_foreign in [false, true] {
        let builder = Appender::builder(&directory).compression(Compression::Zstd);
        let appender = builder.manage_foreign(manage_foreign).open().unwrap();
        appender.wait_for_maintenance().unwrap();
        appender.close().unwrap();
        assert_eq!(path.exists(), !manage_foreign);
    }
    assert_eq!(decoded(&with_suffix(&path, ".zst")), lines(10));
}

#[test]
fn the_file_of_an_earlier_process_is_compressed_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let builder = Appender::builder(&directory).compression(Compression::Gzip);
    let mut expected = String::new();
    for number in 0..3 {
        let appender = builder.clone().open().unwrap();
        appender.producer().send_slice(body(number).as_bytes()).unwrap();
        appender.wait_for_maintenance().unwrap();
        appender.close().unwrap();
        expected += &crate::support::line(number);
        let paths = files(directory.path(), "CDR.");
        assert_eq!(paths.iter().map(|path| decoded(path)).collect::<String>(), expected);
        let compressed = paths.iter().filter(|path| path.extension().unwrap() == "gz").count();
        assert_eq!(compressed as u64, number);
    }
}

#[test]
fn what_was_interrupted_after_the_renaming_is_only_compared() {
    let directory = tempfile::tempdir().unwrap();
    let content = lines(100);
    let path = leave_ours(directory.path(), &content, days_ago(2));
    let compressed = with_suffix(&path, ".zst");
    fs::write(&compressed, zstd::encode_all(content.as_bytes(), 19).unwrap()).unwrap();
    let before = fs::read(&compressed).unwrap();
    // Also where nothing is to be compressed any more.
    let appender = Appender::builder(&directory).open().unwrap();
    appender.wait_for_maintenance().unwrap();
    assert!(!path.exists());
    assert!(fs::read(&compressed).unwrap() == before);
    appender.close().unwrap();
}

#[test]
fn a_compressed_file_of_others_that_is_not_whole_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let content = lines(1000);
    let path = leave_ours(directory.path(), &content, days_ago(2));
    let compressed = with_suffix(&path, ".zst");
    let whole = zstd::encode_all(content.as_bytes(), 3).unwrap();
    let told = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let listener = {
        let told = told.clone();
        move |notice: &Notice| {
            assert!(matches!(notice, Notice::MaintenanceFails(_)), "{notice}");
            told.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    };
    let builder = Appender::builder(&directory).compression(Compression::Zstd).on_notice(listener);
    let other = zstd::encode_all(lines(999).as_bytes(), 3).unwrap();
    for wrong in [&whole[..whole.len() / 2], b"", b"not zstd", &other] {
        fs::write(&compressed, wrong).unwrap();
        told.store(0, std::sync::atomic::Ordering::SeqCst);
        let appender = builder.clone().open().unwrap();
        let first = appender.wait_for_maintenance().unwrap_err();
        let is_told =
            matches!(first, MaintenanceError::Differs { .. } | MaintenanceError::Io { .. });
        assert!(is_told && first.to_string().contains("CDR.2026-01-01"), "{first}");
        // Tried again, and told once.
        appender.wait_for_maintenance().unwrap_err();
        assert!(appender.close().unwrap().maintenance_errors >= 2);
        assert_eq!(told.load(std::sync::atomic::Ordering::SeqCst), 1);
        assert!(fs::read_to_string(&path).unwrap() == content);
        assert!(fs::read(&compressed).unwrap() == wrong);
    }
}

#[test]
fn half_a_compressed_file_of_a_killed_process_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    Appender::builder(&directory).open().unwrap().close().unwrap();
    let unfinished = directory.path().join(".cdrlog/compressing");
    fs::write(&unfinished, "half").unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    appender.wait_for_maintenance().unwrap();
    assert!(!unfinished.exists());
    appender.close().unwrap();
}
