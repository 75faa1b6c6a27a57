//! A reader gives every line of a directory once, in order, whatever happens to the files
//! meanwhile.
//!
//! A tailer that opens the new file as soon as it sees it loses what was written to the old one
//! last; one that begins again whenever a file has another inode gives lines twice. A bill is made
//! from these lines.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{body, line, lines};
use cdrlog::reader::{Encoding, FileKind, ReadError, ReaderPosition, cdr_files};
use cdrlog::{Appender, Reader};

/// The name of the CDR file that was begun in second `second` of a minute.
fn name(second: u32) -> String {
    format!("CDR.2026-11-23_13-07-{second:02}.log")
}

fn zstd(path: &Path) {
    let content = fs::read(path).unwrap();
    let compressed = zstd::encode_all(&content[..], 1).unwrap();
    fs::write(format!("{}.zst", path.display()), compressed).unwrap();
    fs::remove_file(path).unwrap();
}

fn gzip(path: &Path) {
    let file = File::create(format!("{}.gz", path.display())).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    encoder.write_all(&fs::read(path).unwrap()).unwrap();
    encoder.finish().unwrap();
    fs::remove_file(path).unwrap();
}

/// Everything that a reader gives, each line with its end.
fn read(reader: &mut Reader) -> String {
    let mut text = String::new();
    while let Some(line) = reader.next_line().unwrap() {
        text.push_str(std::str::from_utf8(line.bytes_with_end()).unwrap());
    }
    text
}

/// Files of ten lines each, the first ones compressed.
fn three_files(directory: &Path) -> String {
    for second in 0..3 {
        let from = u64::from(second) * 10;
        let text: String = (from..from + 10).map(line).collect();
        fs::write(directory.join(name(second)), text).unwrap();
    }
    zstd(&directory.join(name(0)));
    gzip(&directory.join(name(1)));
    lines(30)
}

#[test]
fn the_lines_of_a_directory_come_in_the_order_of_writing() {
    let directory = tempfile::tempdir().unwrap();
    let expected = three_files(directory.path());
    fs::write(directory.path().join("CDR.2026-11-23_13-07-02.log.torn"), "no\n").unwrap();
    fs::write(directory.path().join("rejected.2026-11-23_13-07-00.jsonl"), "reject\n").unwrap();
    assert!(read(&mut Reader::open(directory.path()).unwrap()) == expected);
    let rejects = Reader::builder(directory.path()).kind(FileKind::Rejects);
    assert_eq!(read(&mut rejects.open().unwrap()), "reject\n");
}

#[test]
fn a_reader_goes_on_at_every_position_that_one_gave() {
    let directory = tempfile::tempdir().unwrap();
    let expected = three_files(directory.path());
    let mut reader = Reader::open(directory.path()).unwrap();
    let mut given = String::new();
    for number in 0..30 {
        let line = reader.next_line().unwrap().unwrap();
        given.push_str(std::str::from_utf8(line.bytes_with_end()).unwrap());
        let (at, after) = (line.position(), reader.position().unwrap());
        let from = |position| Reader::builder(directory.path()).begin_at(position).open().unwrap();
        assert!(given.clone() + &read(&mut from(after)) == expected, "after line {number}");
        assert!(
            read(&mut from(at)) == expected[given.len() - crate::support::line(number).len()..]
        );
    }
}

#[test]
fn a_position_outlives_compression_and_the_removal_of_its_file() {
    let directory = tempfile::tempdir().unwrap();
    for second in 0..2 {
        fs::write(directory.path().join(name(second)), lines(5)).unwrap();
    }
    let mut reader = Reader::open(directory.path()).unwrap();
    reader.next_line().unwrap();
    let position = reader.position().unwrap();
    let go_on =
        || read(&mut Reader::builder(directory.path()).begin_at(position.clone()).open().unwrap());
    let rest = lines(5)[line(0).len()..].to_owned() + &lines(5);
    assert!(go_on() == rest);
    zstd(&directory.path().join(name(0)));
    assert!(go_on() == rest);
    fs::remove_file(directory.path().join(name(0) + ".zst")).unwrap();
    assert!(go_on() == lines(5));
}

#[test]
fn a_position_that_is_none_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(name(0)), "one\ntwo\n").unwrap();
    for (file, offset, fault) in [
        (name(0), 2, "no line begins there"),
        (name(0), 9, "the file ends at byte 8"),
        ("other.log".to_owned(), 0, "not the name"),
    ] {
        let position = ReaderPosition { file: file.into(), offset };
        let error = Reader::builder(directory.path()).begin_at(position).open().unwrap_err();
        assert!(matches!(error, ReadError::NoSuchPosition { .. }), "{error}");
        assert!(error.to_string().contains(fault), "{error}");
    }
}

#[test]
fn half_a_line_at_the_end_is_given_as_what_it_is_and_a_position_is_before_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(name(0)), "one\ntw").unwrap();
    let mut reader = Reader::open(directory.path()).unwrap();
    assert!(reader.next_line().unwrap().unwrap().is_whole());
    let half = reader.next_line().unwrap().unwrap();
    assert_eq!((half.bytes(), half.is_whole(), half.offset()), (&b"tw"[..], false, 4));
    assert_eq!(reader.position().unwrap().offset, 4);
    assert!(reader.next_line().unwrap().is_none());
}

#[test]
fn a_line_that_is_too_long_is_an_error_and_the_next_one_is_given() {
    let directory = tempfile::tempdir().unwrap();
    for long in [101, 1_000_000] {
        let text = format!("a\n{}\nb\n{}\n", "x".repeat(long), "y".repeat(100));
        fs::write(directory.path().join(name(0)), text).unwrap();
        let mut reader = Reader::builder(directory.path()).line_bytes_max(100).open().unwrap();
        assert_eq!(reader.next_line().unwrap().unwrap().bytes(), b"a");
        let error = reader.next_line().unwrap_err();
        assert!(matches!(error, ReadError::LineTooLong { offset: 2, .. }), "{error}");
        assert_eq!(reader.next_line().unwrap().unwrap().bytes(), b"b");
        assert_eq!(reader.next_line().unwrap().unwrap().bytes().len(), 100);
        assert!(reader.next_line().unwrap().is_none());
    }
}

#[test]
fn a_damaged_compressed_file_is_an_error_and_the_next_file_is_read() {
    let directory = tempfile::tempdir().unwrap();
    three_files(directory.path());
    let damaged = &cdr_files(directory.path()).unwrap()[..2];
    for file in damaged {
        let content = fs::read(&file.path).unwrap();
        fs::write(&file.path, &content[..content.len() / 2]).unwrap();
    }
    let mut reader = Reader::open(directory.path()).unwrap();
    let mut errors = Vec::new();
    let mut last = Vec::new();
    loop {
        match reader.next_line() {
            Ok(Some(line)) => last = line.bytes_with_end().to_vec(),
            Ok(None) => break,
            Err(error) => {
                assert!(error.to_string().contains("cannot read"), "{error}");
                errors.push(error.path().to_owned());
            }
        }
    }
    // As they are called on the disk, compressed.
    assert!(errors.iter().eq(damaged.iter().map(|file| &file.path)), "{errors:?}");
    assert_eq!(last, line(29).into_bytes());
}

#[test]
fn files_are_read_in_the_order_in_which_they_are_given() {
    let directory = tempfile::tempdir().unwrap();
    three_files(directory.path());
    let paths = [name(2), name(0) + ".zst", name(1)].map(|name| directory.path().join(name));
    let text = read(&mut Reader::of_files(&paths).open().unwrap());
    let expected: String = (20..30).chain(0..20).map(line).collect();
    assert!(text == expected);
    let missing = Reader::of_files([directory.path().join("missing")])
        .open()
        .unwrap()
        .next_line()
        .unwrap_err();
    assert!(missing.to_string().contains("missing"), "{missing}");
}

#[test]
fn lines_that_are_taken_together_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let expected = three_files(directory.path()) + &lines(20_000) + "half";
    fs::write(directory.path().join(name(3)), &expected[lines(30).len()..]).unwrap();
    let mut reader = Reader::open(directory.path()).unwrap();
    let mut text = String::new();
    while let Some(lines) = reader.next_lines().unwrap() {
        let mut offset = lines.offset();
        for line in lines.iter() {
            assert_eq!(line.offset(), offset);
            offset += line.bytes_with_end().len() as u64;
            text.push_str(std::str::from_utf8(line.bytes_with_end()).unwrap());
        }
        assert_eq!(offset, lines.offset() + lines.bytes().len() as u64);
    }
    assert!(text == expected);
    // A line that is too long is passed over, and what is read with its end is given.
    let text = format!("a\n{}\nb\nc\n", "x".repeat(1_000_000));
    fs::write(directory.path().join(name(4)), text).unwrap();
    let reader = Reader::of_files([directory.path().join(name(4))]).line_bytes_max(100);
    let mut reader = reader.open().unwrap();
    assert_eq!(reader.next_lines().unwrap().unwrap().bytes(), b"a\n");
    assert!(reader.next_lines().is_err());
    let lines = reader.next_lines().unwrap().unwrap();
    assert_eq!((lines.bytes(), lines.offset()), (&b"b\nc\n"[..], 1_000_003));
    assert!(reader.next_lines().unwrap().is_none());
}

#[test]
fn a_reader_may_go_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Reader>();
}

// ===== following =====

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
        let finished = files.split_last().map_or(&files[..0], |(_, finished)| finished);
        for file in finished.iter().step_by(2) {
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
