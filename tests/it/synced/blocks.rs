//! Blocks of synced lines.

use std::fs;
use std::path::Path;

use cdrlog::synced::{Birth, NextBlock, Stream, SyncedCursor, Wait};
use cdrlog::{Appender, Compression};

use super::{block, builder, cursor, send, take_all, text, wait};
use crate::support::{files, line, lines, rejects};

#[test]
fn only_synced_lines_are_returned_and_each_once() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).open().unwrap();
    let mut cursor = cursor(directory.path());
    for round in 0..5 {
        send(&appender, round * 10..round * 10 + 10);
        appender.flush().unwrap();
        assert_eq!(wait(&mut cursor), Wait::Writer, "written lines are not synced");
        appender.sync().unwrap();
        let block = block(&mut cursor);
        let expected: String = (round * 10..round * 10 + 10).map(line).collect();
        assert!(block.bytes == expected.as_bytes() && block.lines == 10 && !block.file_ends_here);
        assert_eq!(wait(&mut cursor), Wait::Writer);
    }
    appender.close().unwrap();
    assert_eq!(wait(&mut cursor), Wait::Open);
}

#[test]
fn a_closed_directory_is_returned_to_its_end_in_blocks_of_any_size() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let appender = builder(directory.path()).rotate_bytes(5000).open().unwrap();
        send(&appender, 0..100);
        appender.close().unwrap();
    }
    let expected = lines(100).repeat(3);
    for limit_bytes in [1, 100, 1000, 1 << 20] {
        let (blocks, wait) = take_all(&mut cursor(directory.path()), limit_bytes);
        assert!(text(&blocks) == expected && wait == Wait::Open, "{limit_bytes}");
        let is_within = |bytes: usize, lines| bytes <= limit_bytes || lines == 1;
        assert!(blocks.iter().all(|block| is_within(block.bytes.len(), block.lines)));
        let ends = blocks.iter().filter(|block| block.file_ends_here).count();
        let written = files(directory.path(), "CDR.").into_iter();
        assert_eq!(ends, written.filter(|path| fs::metadata(path).unwrap().len() > 0).count());
    }
}

#[test]
fn the_birth_of_a_file_is_the_hash_of_its_first_line() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).open().unwrap();
    send(&appender, 0..2);
    appender.close().unwrap();
    let mut cursor = cursor(directory.path());
    let birth = Birth::from_bytes(*blake3::hash(line(0).as_bytes()).as_bytes());
    assert_eq!(block(&mut cursor).birth, birth);
    let files = cursor.files().unwrap();
    assert_eq!((files.len(), files[0].birth), (1, Some(birth)));
}

#[test]
fn a_cursor_goes_on_at_the_end_of_every_block_whatever_the_files_were_compressed_to() {
    for compression in [Compression::None, Compression::Zstd, Compression::Gzip] {
        let directory = tempfile::tempdir().unwrap();
        let appender = builder(directory.path()).rotate_bytes(4000).open().unwrap();
        send(&appender, 0..100);
        appender.close().unwrap();
        let (blocks, _) = take_all(&mut cursor(directory.path()), 700);
        assert!(text(&blocks) == lines(100));
        let appender = builder(directory.path()).compression(compression).open().unwrap();
        appender.wait_for_maintenance().unwrap();
        appender.close().unwrap();
        for number in 0..blocks.len() {
            let from = blocks[number].end_position();
            let mut cursor =
                SyncedCursor::open(directory.path(), Stream::Lines, Some(&from)).unwrap();
            let (rest, _) = take_all(&mut cursor, 700);
            assert_eq!(rest, blocks[number + 1..], "{compression:?}");
            let again = cursor.block_at(&blocks[number].start_position(), blocks[number].end);
            assert_eq!(again.unwrap(), blocks[number], "{compression:?}");
        }
        let is_compressed =
            |path: &Path| path.extension().is_some_and(|suffix| suffix == "zst" || suffix == "gz");
        let compressed =
            files(directory.path(), "CDR.").iter().filter(|path| is_compressed(path)).count();
        assert_eq!(compressed > 0, compression != Compression::None);
    }
}

/// Without this, a compressed file that is read without a limit is over before its first line.
#[test]
fn a_block_without_a_limit_is_all_of_its_file_compressed_or_not() {
    for compression in [Compression::None, Compression::Zstd] {
        let directory = tempfile::tempdir().unwrap();
        let appender = builder(directory.path()).compression(compression).open().unwrap();
        send(&appender, 0..100);
        appender.rotate().unwrap();
        appender.wait_for_maintenance().unwrap();
        appender.close().unwrap();
        let (blocks, _) = take_all(&mut cursor(directory.path()), usize::MAX);
        assert_eq!(blocks.len(), 1, "{compression:?}");
        assert_eq!(text(&blocks), lines(100), "{compression:?}");
    }
}

#[test]
fn files_that_are_compressed_while_they_are_read_are_read_on() {
    let directory = tempfile::tempdir().unwrap();
    let options = builder(directory.path()).rotate_bytes(3000).compression(Compression::Zstd);
    let appender = options.open().unwrap();
    let mut cursor = cursor(directory.path());
    let mut found = Vec::new();
    for round in 0..20 {
        send(&appender, round * 10..round * 10 + 10);
        appender.sync().unwrap();
        // Half of it, so that a file is open while it is compressed.
        for _ in 0..3 {
            if let NextBlock::Block(block) = cursor.next_block(500).unwrap() {
                found.push(block);
            }
        }
        appender.wait_for_maintenance().unwrap();
    }
    appender.close().unwrap();
    found.extend(take_all(&mut cursor, 1 << 20).0);
    assert!(text(&found) == lines(200));
}

#[test]
fn what_a_file_that_is_over_ends_in_is_returned_and_called_torn() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).open().unwrap();
    send(&appender, 0..3);
    let path = appender.cdr_path();
    appender.close().unwrap();
    fs::write(&path, lines(2) + "half").unwrap();
    for limit_bytes in [1, 1000] {
        let (blocks, _) = take_all(&mut cursor(directory.path()), limit_bytes);
        assert_eq!(text(&blocks), lines(2) + "half");
        let last = blocks.last().unwrap();
        assert!(last.torn && last.file_ends_here);
        let from = last.end_position();
        let mut cursor = SyncedCursor::open(directory.path(), Stream::Lines, Some(&from)).unwrap();
        assert_eq!(wait(&mut cursor), Wait::Open);
    }
}

#[test]
fn rejects_are_a_stream_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).open().unwrap();
    let mut cursor = SyncedCursor::open(directory.path(), Stream::Rejects, None).unwrap();
    assert_eq!(wait(&mut cursor), Wait::Writer);
    send(&appender, 0..3);
    appender.producer().send_slice(b"no event").unwrap();
    appender.sync().unwrap();
    let block = block(&mut cursor);
    assert_eq!((block.lines, block.file.starts_with("rejected.")), (1, true));
    appender.close().unwrap();
    assert_eq!(wait(&mut cursor), Wait::Open);
    assert_eq!(rejects(directory.path()).len(), 1);
}

#[test]
fn files_of_other_programs_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2020-01-01_00-00-00.log"), "theirs\n").unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    send(&appender, 0..3);
    appender.close().unwrap();
    fs::write(directory.path().join("CDR.2030-01-01_00-00-00.log"), "theirs\n").unwrap();
    let (blocks, _) = take_all(&mut cursor(directory.path()), 1 << 20);
    assert_eq!(text(&blocks), lines(3));
}

#[test]
fn what_is_not_returned_yet_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).rotate_bytes(2000).open().unwrap();
    send(&appender, 0..50);
    appender.sync().unwrap();
    let mut cursor = cursor(directory.path());
    let mut left = lines(50).len() as u64;
    assert_eq!(cursor.lag_bytes().unwrap(), left);
    while let NextBlock::Block(block) = cursor.next_block(500).unwrap() {
        left -= block.bytes.len() as u64;
        assert_eq!(cursor.lag_bytes().unwrap(), left);
    }
    assert_eq!(left, 0);
    send(&appender, 50..51);
    appender.flush().unwrap();
    assert_eq!(cursor.lag_bytes().unwrap(), 0, "it is not synced");
    appender.close().unwrap();
}
