//! A reader that follows a directory while others write to it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{gzip, name, read, zstd};
use crate::support::{body, line, lines};
use cdrlog::reader::{Encoding, ReaderPosition, cdr_files};
use cdrlog::{Appender, Reader};

/// Reads on until `expected` was given, or until it would take more than a minute.
#[track_caller]
fn follow(reader: &mut Reader, expected: &str) {
    let begin = Instant::now();
    let mut text = String::new();
    loop {
        while let Some(line) = reader.next_line().unwrap() {
            assert!(line.is_whole());
            text.push_str(std::str::from_utf8(line.bytes_with_end()).unwrap());
        }
        if text.len() >= expected.len() {
            assert!(text == expected, "a line is lost or doubled");
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{text:?} and no more came");
        reader.wait(Duration::from_secs(1));
    }
}

fn append(path: &Path, text: &str) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn following(directory: &Path) -> Reader {
    Reader::builder(directory).follow(true).open().unwrap()
}

#[test]
fn half_a_line_waits_for_its_other_half() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name(0));
    append(&path, "one\ntw");
    let mut reader = following(directory.path());
    follow(&mut reader, "one\n");
    assert!(reader.next_line().unwrap().is_none());
    append(&path, "o");
    assert!(reader.next_line().unwrap().is_none());
    append(&path, "\n");
    follow(&mut reader, "two\n");
}

#[test]
fn a_half_line_that_the_writer_took_back_is_not_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name(0));
    append(&path, "one\nhalf of a li");
    let mut reader = following(directory.path());
    follow(&mut reader, "one\n");
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(4).unwrap();
    append(&path, "two\n");
    follow(&mut reader, "two\n");
    append(&path, "half");
    assert!(reader.next_line().unwrap().is_none());
    file.set_len(8).unwrap();
    append(&directory.path().join(name(1)), "three\n");
    follow(&mut reader, "three\n");
}

#[test]
fn the_old_file_is_read_to_its_end_before_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let at = |second| directory.path().join(name(second));
    append(&at(0), "one\n");
    let mut reader = following(directory.path());
    follow(&mut reader, "one\n");
    // An empty one is no reason to leave the old one.
    append(&at(1), "");
    append(&at(0), "two\n");
    follow(&mut reader, "two\n");
    append(&at(0), "three\n");
    append(&at(1), "four\n");
    append(&at(2), "five\n");
    follow(&mut reader, "three\nfour\nfive\n");
}

#[test]
fn a_directory_without_files_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut reader = following(directory.path());
    assert!(reader.next_line().unwrap().is_none());
    append(&directory.path().join(name(0)), "one\n");
    follow(&mut reader, "one\n");
}

#[test]
fn a_file_that_is_renamed_is_read_to_its_end_and_then_the_one_in_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name(0));
    append(&path, "one\n");
    let mut reader = following(directory.path());
    follow(&mut reader, "one\n");
    let moved = directory.path().join(name(0) + ".1");
    for round in 0..3 {
        fs::rename(&path, &moved).unwrap();
        // As logrotate's `create` does; the writer writes on to the old one until it looks.
        append(&path, "");
        append(&moved, "old\n");
        if round == 1 {
            follow(&mut reader, "old\n");
            append(&path, "new\n");
            follow(&mut reader, "new\n");
        } else {
            append(&path, "new\n");
            follow(&mut reader, "old\nnew\n");
        }
    }
}

#[test]
fn a_file_that_is_truncated_is_read_from_its_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name(0));
    append(&path, "one\ntwo\n");
    let mut reader = following(directory.path());
    follow(&mut reader, "one\ntwo\n");
    let truncate = || File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    truncate();
    append(&path, "3\n");
    follow(&mut reader, "3\n");
    // Longer than before when the reader looks: its length does not tell.
    truncate();
    append(&path, "four\nfive\n");
    follow(&mut reader, "four\nfive\n");
}

#[test]
fn files_may_be_compressed_and_removed_while_they_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let at = |second| directory.path().join(name(second));
    for second in 0..5 {
        append(&at(second), &format!("a{second}\nb{second}\n"));
    }
    let mut reader = following(directory.path());
    assert_eq!(reader.next_line().unwrap().unwrap().bytes(), b"a0");
    zstd(&at(0));
    gzip(&at(1));
    fs::remove_file(at(2)).unwrap();
    zstd(&at(3));
    follow(&mut reader, "b0\na1\nb1\na3\nb3\na4\nb4\n");
    // The one that is followed.
    gzip(&at(4));
    append(&at(5), "a5\n");
    follow(&mut reader, "a5\n");
}

/// What a directory holds is read in several steps: a file whose plain name is removed before they
/// come to it, and whose compressed name is put where they have been, is in none of them. A reader
/// that goes on with the next file never comes back to it.
#[test]
fn a_file_that_is_compressed_while_the_directory_is_listed_is_in_the_list() {
    const FILES: usize = 3_000;
    let directory = tempfile::tempdir().unwrap();
    let name = |n: usize| {
        format!("CDR.2026-11-{:02}_13-{:02}-{:02}.log", n / 3600 + 1, n / 60 % 60, n % 60)
    };
    let paths: Vec<_> = (0..FILES).map(|n| directory.path().join(name(n))).collect();
    for path in &paths {
        fs::write(path, "").unwrap();
    }
    std::thread::scope(|scope| {
        let compressing = scope.spawn(|| {
            for path in &paths {
                fs::write(path.with_extension("log.zst"), "").unwrap();
                fs::remove_file(path).unwrap();
            }
        });
        while !compressing.is_finished() {
            assert_eq!(cdr_files(directory.path()).unwrap().len(), FILES);
        }
    });
}

#[test]
fn every_line_of_a_live_appender_is_given_once_across_rotations_and_compression() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(directory.path())
        .rotate_bytes(20_000)
        .flush_interval(Duration::from_millis(2))
        .open()
        .unwrap();
    const COUNT: u64 = 20_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let producer = appender.producer();
            for number in 0..COUNT {
                producer.send_slice(body(number).as_bytes()).unwrap();
            }
            appender.close().unwrap();
        });
        scope.spawn(|| compress_finished(directory.path()));
        follow(&mut following(directory.path()), &lines(COUNT));
    });
    // The same to somebody who comes later.
    assert!(read(&mut Reader::open(directory.path()).unwrap()) == lines(COUNT));
}

/// Compresses sealed files, every second one, until no more have come for a while.
fn compress_finished(directory: &Path) {
    let mut idle = 0;
    while idle < 20 {
        std::thread::sleep(Duration::from_millis(5));
        idle += 1;
        let files = cdr_files(directory).unwrap();
        let sealed = files.split_last().map_or(&files[..0], |(_, sealed)| sealed);
        for file in sealed.iter().step_by(2) {
            if file.encoding == Encoding::Plain {
                let beside = directory.join("beside");
                let content = fs::read(&file.path).unwrap();
                fs::write(&beside, zstd::encode_all(&content[..], 1).unwrap()).unwrap();
                fs::rename(&beside, format!("{}.zst", file.path.display())).unwrap();
                fs::remove_file(&file.path).unwrap();
                idle = 0;
            }
        }
    }
}

#[test]
fn a_reader_that_was_stopped_anywhere_goes_on_without_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(directory.path()).rotate_bytes(5000).open().unwrap();
    let producer = appender.producer();
    let (mut position, mut given, mut sent): (Option<ReaderPosition>, _, _) = (None, 0, 0);
    for round in 0..40 {
        for _ in 0..round {
            producer.send_slice(body(sent).as_bytes()).unwrap();
            sent += 1;
        }
        appender.flush().unwrap();
        let mut builder = Reader::builder(directory.path()).follow(round % 2 == 0);
        if let Some(position) = position.take() {
            builder = builder.begin_at(position);
        }
        let mut reader = builder.open().unwrap();
        // It stops before it has seen everything.
        while given + 3 < sent {
            let found = reader.next_line().unwrap().unwrap();
            assert!(found.bytes_with_end() == line(given).as_bytes());
            given += 1;
        }
        position = reader.position();
    }
    appender.close().unwrap();
}
