//! A reader gives every line of a directory once, in order, whatever happens to the files
//! meanwhile.
//!
//! A tailer that opens the new file as soon as it sees it loses what was written to the old one
//! last; one that begins again whenever a file has another inode gives lines twice. A bill is made
//! from these lines.

mod follow;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::support::{line, lines};
use cdrlog::Reader;
use cdrlog::reader::{FileKind, ReadError, ReaderPosition, cdr_files};

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
fn a_position_outlives_compression() {
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
}

/// Without the error, a program that reads on from where it stopped misses lines and does not know.
#[test]
fn a_position_whose_file_is_gone_is_an_error_that_names_the_next_file() {
    let directory = tempfile::tempdir().unwrap();
    for second in 0..2 {
        fs::write(directory.path().join(name(second)), lines(5)).unwrap();
    }
    let position = ReaderPosition { file: name(0).into(), offset: line(0).len() as u64 };
    for follow in [false, true] {
        for second in 0..2 {
            let path = directory.path().join(name(second));
            fs::rename(&path, directory.path().join(name(second) + ".1")).unwrap();
            let reader = Reader::builder(directory.path()).begin_at(position.clone());
            let error = reader.follow(follow).open().unwrap_err();
            let next_path = (second == 0).then(|| directory.path().join(name(1)));
            let ReadError::PositionGone { path, next, .. } = &error else { panic!("{error}") };
            assert_eq!((path.file_name(), next), (Some(name(0).as_ref()), &next_path));
            if let Some(file) = next {
                assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
                let position = ReaderPosition { file: file.clone(), offset: 0 };
                let mut reader =
                    Reader::builder(directory.path()).begin_at(position).open().unwrap();
                assert!(read(&mut reader) == lines(5));
            }
        }
        for second in 0..2 {
            let path = directory.path().join(name(second));
            fs::rename(directory.path().join(name(second) + ".1"), path).unwrap();
        }
    }
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
