//! A CDR directory does not grow for ever, and nothing but the oldest CDR and rejects files goes.
//!
//! OpenVidu's own retention forgets the files of earlier starts of the server, so that a node that
//! is restarted each night fills its disk all the same. One that knows too many files would remove
//! what others put there.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::support::body;
use cdrlog::{Appender, Builder, Notice, OpenError};

const DAY: Duration = Duration::from_secs(86_400);

/// Files that have names like ours, from the oldest to the newest, of 100 bytes each.
const OURS: [&str; 6] = [
    "CDR.2020-01-01_10-00-00.log",
    "CDR.2020-01-01_10-00-00.1.log",
    "rejected.2020-01-02_10-00-00.jsonl",
    "CDR.2020-01-03_10-00-00.log.zst",
    "rejected.2020-01-04_10-00-00.jsonl.gz",
    "CDR.2020-01-05_10-00-00.log",
];

/// Files that are not, though some look like it.
const FOREIGN: [&str; 6] = [
    "CDR.log",
    "CDR.2020-01-01_10-00-00.log.1",
    "CDR.2020-01-01_10-00-00.log.torn",
    "CDR.2020-01-01_10-00-00.log.1.gz",
    "backup-CDR.2020-01-01_10-00-00.log",
    "rejected.2020-01-01.jsonl",
];

/// 100 bytes that can be read as what the name says, without a line in them.
fn content(name: &str) -> Vec<u8> {
    let mut content = match name.rsplit('.').next() {
        // A frame that is to be skipped.
        Some("zst") => [&0x184d_2a50_u32.to_le_bytes()[..], &92_u32.to_le_bytes()].concat(),
        // A comment of 79 bytes, and nothing.
        Some("gz") => {
            let header = [0x1f, 0x8b, 8, 0x10, 0, 0, 0, 0, 0, 0xff];
            [&header[..], &[b'x'; 79], &[0, 3, 0], &[0; 8]].concat()
        }
        _ => Vec::new(),
    };
    content.resize(100, b'x');
    content
}

fn fill(directory: &Path) {
    for name in OURS.iter().chain(&FOREIGN) {
        fs::write(directory.join(name), content(name)).unwrap();
    }
    fs::create_dir(directory.join("CDR.2019-01-01_10-00-00.log")).unwrap();
    let target = directory.join("CDR.log");
    std::os::unix::fs::symlink(target, directory.join("CDR.2019-01-02_10-00-00.log")).unwrap();
}

/// Makes `OURS` files that appenders began here.
fn note_as_begun(directory: &Path) {
    fs::create_dir(directory.join(".cdrlog")).unwrap();
    let plain = |name: &str| name.replace(".zst", "").replace(".gz", "") + "\n";
    fs::write(directory.join(".cdrlog/begun"), OURS.map(plain).concat()).unwrap();
}

/// Which of `OURS` are left; all others must be.
#[track_caller]
fn left(directory: &Path) -> Vec<&'static str> {
    for name in
        FOREIGN.iter().chain(&["CDR.2019-01-01_10-00-00.log", "CDR.2019-01-02_10-00-00.log"])
    {
        assert!(directory.join(name).exists(), "{name} was removed");
    }
    OURS.into_iter().filter(|name| directory.join(name).exists()).collect()
}

/// Nobody wrote to the file for so long.
fn age(directory: &Path, name: &str, age: Duration) {
    let file = fs::File::options().write(true).open(directory.join(name)).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

/// Opens, waits for the maintenance, and closes; gives what was told.
fn told_by_a_run(builder: Builder) -> Vec<Notice> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let told = told.clone();
        move |notice: &Notice| told.lock().unwrap().push(notice.clone())
    };
    let appender = builder.on_notice(listener).open().unwrap();
    appender.wait_for_maintenance().unwrap();
    appender.close().unwrap();
    std::mem::take(&mut *told.lock().unwrap())
}

fn unlimited(directory: &Path) -> Builder {
    Appender::builder(directory).retention_age(None).retention_bytes(None)
}

#[test]
fn the_oldest_files_go_by_size_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    note_as_begun(directory.path());
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let told = told.clone();
        move |notice: &Notice| told.lock().unwrap().push(notice.to_string())
    };
    let builder = unlimited(directory.path()).retention_bytes(Some(350)).on_notice(listener);
    let appender = builder.open().unwrap();
    appender.wait_for_maintenance().unwrap();
    assert_eq!(left(directory.path()), OURS[3..]);
    let stats = appender.close().unwrap();
    assert_eq!((stats.files_removed, stats.bytes_removed, stats.maintenance_errors), (3, 300, 0));
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 3);
    for (told, name) in told.iter().zip(OURS) {
        assert!(told.contains(name) && told.contains("100 bytes"), "{told}");
    }
}

#[test]
fn files_go_by_the_age_of_their_last_line() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    note_as_begun(directory.path());
    // The names say 2020, but nobody wrote to these for 31 days, 30 days and a second, 29 days.
    age(directory.path(), OURS[1], 31 * DAY);
    age(directory.path(), OURS[2], 30 * DAY + Duration::from_secs(1));
    age(directory.path(), OURS[0], 29 * DAY);
    age(directory.path(), OURS[3], 20 * DAY);
    age(directory.path(), OURS[4], 10 * DAY);
    // The default: 30 days.
    let appender = Appender::builder(&directory).open().unwrap();
    appender.wait_for_maintenance().unwrap();
    assert_eq!(left(directory.path()), [OURS[0], OURS[3], OURS[4], OURS[5]]);
    assert_eq!(appender.close().unwrap().files_removed, 2);
}

/// OpenVidu's own server writes to the default directory too, if its CDR is on.
#[test]
fn files_of_others_stay_and_are_told_of_at_the_first_opening() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    OURS.iter().for_each(|name| age(directory.path(), name, 1000 * DAY));
    let builder = Appender::builder(&directory).retention_bytes(Some(1));
    let opened = builder.clone().open().unwrap();
    assert_eq!(opened.foreign_files(), OURS.len() + 2);
    opened.close().unwrap();
    fs::remove_dir_all(directory.path().join(".cdrlog")).unwrap();
    let told = told_by_a_run(builder.clone());
    let [told] = &told[..] else { panic!("{told:?}") };
    // Among them the empty one of the opening that nobody knows of any more.
    let expected = "holds 9 CDR or rejects files that cdrlog did not create there";
    assert!(told.to_string().contains(expected), "{told}");
    let told = told_by_a_run(builder);
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(left(directory.path()), OURS);
}

#[test]
fn files_of_others_go_where_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let told =
        told_by_a_run(unlimited(directory.path()).retention_bytes(Some(350)).manage_foreign(true));
    assert_eq!((told.len(), left(directory.path())), (3, OURS[3..].to_vec()));
}

/// A clock that is wrong by 40 days made all files older than 30 days, and emptied the directory.
#[test]
fn a_clock_that_jumped_removes_nothing_until_it_has_gone_on_for_a_while() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    note_as_begun(directory.path());
    // As a clock sees it that is 40 days ahead.
    for (number, name) in OURS.iter().enumerate() {
        age(directory.path(), name, DAY * (50 - 2 * number as u32));
    }
    // By runs of a moment too, each of which leaves a file.
    for _ in 0..3 {
        let told = told_by_a_run(Appender::builder(&directory));
        assert!(matches!(told[..], [Notice::ClockJumped { .. }]), "{told:?}");
        assert_eq!(left(directory.path()), OURS);
    }
}

#[test]
fn without_limits_everything_stays() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let appender = unlimited(directory.path()).open().unwrap();
    appender.wait_for_maintenance().unwrap();
    assert_eq!(left(directory.path()), OURS);
    assert_eq!(appender.close().unwrap().files_removed, 0);
}

#[test]
fn the_files_that_are_written_to_stay_however_large_and_old_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let builder = Appender::builder(&directory).retention_bytes(Some(1));
    let appender = builder.open().unwrap();
    let producer = appender.producer();
    for round in 0..3 {
        producer.send_slice(body(round).as_bytes()).unwrap();
        producer.send_slice(b"no event").unwrap();
        appender.flush().unwrap();
        for path in [appender.cdr_path(), appender.rejects_path()] {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        appender.wait_for_maintenance().unwrap();
        assert!(appender.cdr_path().exists() && appender.rejects_path().exists());
    }
    let stats = appender.close().unwrap();
    assert_eq!((stats.files_removed, stats.files_changed_by_others), (0, 0));
}

#[test]
fn files_go_by_themselves_as_new_ones_are_begun() {
    let directory = tempfile::tempdir().unwrap();
    let builder = Appender::builder(&directory).rotate_bytes(2000).retention_bytes(Some(10_000));
    let appender = builder.open().unwrap();
    let producer = appender.producer();
    for number in 0..1000 {
        producer.send_slice(body(number).as_bytes()).unwrap();
    }
    appender.flush().unwrap();
    // Nobody asks for it: the thread is woken by each rotation.
    let end = Instant::now() + Duration::from_secs(60);
    let held = || {
        crate::support::files(directory.path(), "CDR.")
            .iter()
            .map(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()))
            .sum::<u64>()
    };
    while held() > 10_000 {
        assert!(Instant::now() < end, "{} bytes are left", held());
        std::thread::sleep(Duration::from_millis(5));
    }
    let stats = appender.close().unwrap();
    assert!(stats.files_removed > 50 && stats.maintenance_errors == 0, "{stats:?}");
    // The newest lines are there, whole.
    let text = crate::support::cdr(directory.path());
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    assert!(crate::support::lines(1000).ends_with(&text));
    assert!(lines.len() > 10);
}

#[test]
fn limits_that_would_keep_nothing_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let builder = || Appender::builder(&directory);
    for builder in
        [builder().retention_age(Some(Duration::ZERO)), builder().retention_bytes(Some(0))]
    {
        assert!(matches!(builder.open(), Err(OpenError::InvalidOption { .. })));
    }
}
