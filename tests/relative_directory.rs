//! A directory that was given by a relative path stays the one that it was at the opening, wherever
//! the process goes. A daemon that goes to `/` after the opening would write its next file there.
//!
//! The current directory is one of the whole process: these tests have a program of their own,
//! and take turns.

mod support;

use std::path::Path;
use std::sync::Mutex;

use cdrlog::Appender;
use support::{body, cdr, files, lines};

static TURN: Mutex<()> = Mutex::new(());

#[test]
fn an_appender_that_was_opened_by_a_relative_path_stays_in_its_directory() {
    let _turn = TURN.lock().unwrap_or_else(|panicked| panicked.into_inner());
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::env::set_current_dir(home.path()).unwrap();
    let builder = Appender::builder("cdr");
    let appender = builder.open().unwrap();
    std::env::set_current_dir(elsewhere.path()).unwrap();
    let send = |number| appender.producer().send_slice(body(number).as_bytes()).unwrap();
    send(0);
    appender.rotate().unwrap();
    send(1);
    appender.flush().unwrap();
    assert!(appender.cdr_path().is_absolute());
    appender.close().unwrap();
    let directory = home.path().join("cdr");
    assert_eq!(cdr(&directory), lines(2));
    assert_eq!(files(&directory, "CDR.").len(), 2);
    let entries: Vec<_> = std::fs::read_dir(elsewhere.path()).unwrap().collect();
    assert!(entries.is_empty(), "{entries:?}");
    assert!(Appender::builder(Path::new("cdr")).plan_recovery().is_err());
}

#[cfg(feature = "reader")]
#[test]
fn a_reader_that_was_opened_by_a_relative_path_reads_on_in_its_directory() {
    use cdrlog::Reader;
    let _turn = TURN.lock().unwrap_or_else(|panicked| panicked.into_inner());
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::env::set_current_dir(home.path()).unwrap();
    let appender = Appender::builder("cdr").open().unwrap();
    let mut reader = Reader::builder("cdr").follow(true).open().unwrap();
    let of_files = Reader::of_files(["cdr/of_files.log", "cdr/of_files_2.log"]);
    std::fs::write("cdr/of_files.log", lines(1)).unwrap();
    std::fs::write("cdr/of_files_2.log", lines(1)).unwrap();
    let mut of_files = of_files.open().unwrap();
    std::env::set_current_dir(elsewhere.path()).unwrap();
    for number in 0..2 {
        appender.producer().send_slice(body(number).as_bytes()).unwrap();
        appender.flush().unwrap();
        let line = reader.next_line().unwrap().expect("the line is not found");
        assert_eq!(line.bytes(), support::line(number).trim_end().as_bytes());
        appender.rotate().unwrap();
    }
    assert!(of_files.next_line().unwrap().is_some() && of_files.next_line().unwrap().is_some());
    appender.close().unwrap();
}
