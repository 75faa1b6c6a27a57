//! Lines that are gone before they were returned are an error, and nothing else is.

use std::fs;
use std::path::Path;

use cdrlog::Appender;
use cdrlog::synced::{
    CursorError, GoneReason, NextBlock, Stream, SyncedBlock, SyncedCursor, SyncedPosition, Wait,
};

use super::{block, builder, cursor, send, take_all, text, wait};
use crate::support::{files, line, lines};

/// Three files of ten lines each.
fn three_files(directory: &Path) -> Vec<SyncedBlock> {
    for file in 0..3 {
        let appender = builder(directory).open().unwrap();
        send(&appender, file * 10..file * 10 + 10);
        appender.close().unwrap();
    }
    let (blocks, _) = take_all(&mut cursor(directory), 1 << 20);
    assert!(blocks.len() == 3 && text(&blocks) == lines(30));
    blocks
}

fn open_at(directory: &Path, from: &SyncedPosition) -> Result<SyncedCursor, CursorError> {
    SyncedCursor::open(directory, Stream::Lines, Some(from))
}

/// Why the position is gone, and where the next lines begin.
#[track_caller]
fn gone<T>(result: Result<T, CursorError>) -> (GoneReason, Option<SyncedPosition>) {
    match result {
        Err(CursorError::PositionGone { reason, next, .. }) => (reason, next.map(|next| *next)),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("nothing is gone"),
    }
}

#[test]
fn a_position_whose_file_was_removed_or_renamed_is_gone_and_the_next_lines_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = three_files(directory.path());
    let path = directory.path().join(&blocks[1].file);
    fs::rename(&path, directory.path().join(blocks[1].file.clone() + ".1")).unwrap();
    for position in [blocks[1].start_position(), blocks[1].end_position()] {
        let (reason, next) = gone(open_at(directory.path(), &position));
        assert_eq!((reason, &next), (GoneReason::Removed, &Some(blocks[2].start_position())));
        let mut cursor = open_at(directory.path(), &next.unwrap()).unwrap();
        assert_eq!(block(&mut cursor), blocks[2]);
    }
    let name = &blocks[1].file;
    let mut after = SyncedCursor::open_after_file(directory.path(), Stream::Lines, name).unwrap();
    assert_eq!(block(&mut after), blocks[2]);
    let error = SyncedCursor::open_after_file(directory.path(), Stream::Rejects, name).unwrap_err();
    assert!(matches!(error, CursorError::NoSuchName { .. }), "{error}");
}

#[test]
fn a_position_in_another_file_of_the_same_name_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = three_files(directory.path());
    let path = directory.path().join(&blocks[1].file);
    let position = SyncedPosition { offset: line(10).len() as u64, ..blocks[1].start_position() };
    fs::write(&path, lines(12)).unwrap();
    let (reason, next) = gone(open_at(directory.path(), &position));
    assert_eq!(reason, GoneReason::Replaced);
    let next = next.unwrap();
    assert!(next.file == position.file && next.birth != position.birth && next.offset == 0);
    fs::write(&path, "").unwrap();
    let (reason, next) = gone(open_at(directory.path(), &position));
    assert_eq!((reason, next), (GoneReason::Replaced, Some(blocks[2].start_position())));
}

#[test]
fn a_position_behind_the_end_of_its_file_or_within_a_line_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = three_files(directory.path());
    let within = SyncedPosition { offset: 3, ..blocks[1].start_position() };
    assert_eq!(gone(open_at(directory.path(), &within)).0, GoneReason::WithinLine);
    let bytes = line(10).len() as u64;
    let file = fs::File::options().write(true).open(directory.path().join(&blocks[1].file));
    file.unwrap().set_len(bytes).unwrap();
    let reason = gone(open_at(directory.path(), &blocks[1].end_position())).0;
    assert_eq!(reason, GoneReason::Shortened { bytes });
    let cursor = cursor(directory.path());
    let reason = gone(cursor.block_at(&blocks[1].start_position(), blocks[1].end)).0;
    assert_eq!(reason, GoneReason::Shortened { bytes });
    assert_eq!(gone(cursor.block_at(&blocks[0].start_position(), 5)).0, GoneReason::WithinLine);
}

/// Going on with the file after it is what `Reader` did.
#[test]
fn a_file_that_is_removed_before_its_turn_is_missed_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = three_files(directory.path());
    let mut cursor = cursor(directory.path());
    block(&mut cursor);
    fs::remove_file(directory.path().join(&blocks[1].file)).unwrap();
    for _ in 0..2 {
        let (reason, next) = gone(cursor.next_block(1 << 20));
        assert_eq!((reason, next), (GoneReason::NextRemoved, Some(blocks[2].start_position())));
    }
}

#[test]
fn an_empty_file_that_its_writer_removes_is_not_missed() {
    let directory = tempfile::tempdir().unwrap();
    three_files(directory.path());
    let mut cursor = cursor(directory.path());
    block(&mut cursor);
    let appender = builder(directory.path()).open().unwrap();
    fs::remove_file(appender.cdr_path()).unwrap();
    appender.close().unwrap();
    assert_eq!(take_all(&mut cursor, 1 << 20).1, Wait::Open);
}

fn truncate(path: &Path) {
    fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
}

#[test]
fn copytruncate_of_a_file_that_was_returned_to_its_end_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).open().unwrap();
    let mut cursor = cursor(directory.path());
    let mut found = Vec::new();
    for round in 0..5 {
        send(&appender, round * 10..round * 10 + 10);
        appender.sync().unwrap();
        found.extend(take_all(&mut cursor, 1 << 20).0);
        truncate(&appender.cdr_path());
        // The writer notices at its next write.
        assert_eq!(wait(&mut cursor), Wait::Writer);
    }
    assert!(text(&found) == lines(50));
    let births: std::collections::HashSet<_> = found.iter().map(|block| block.birth).collect();
    assert_eq!((births.len(), found[4].file == found[0].file), (5, true));
    appender.close().unwrap();
}

#[test]
fn copytruncate_of_a_file_that_was_not_returned_to_its_end_is_told() {
    for returned in [0, 10] {
        let directory = tempfile::tempdir().unwrap();
        let appender = builder(directory.path()).open().unwrap();
        let mut cursor = cursor(directory.path());
        send(&appender, 0..10);
        appender.sync().unwrap();
        let limit_bytes = if returned == 0 { 1 } else { 1 << 20 };
        assert!(matches!(cursor.next_block(limit_bytes), Ok(NextBlock::Block(_))));
        send(&appender, 10..20);
        appender.flush().unwrap();
        truncate(&appender.cdr_path());
        send(&appender, 20..30);
        appender.sync().unwrap();
        let (_, next) = gone(cursor.next_block(1 << 20));
        let mut cursor = open_at(directory.path(), &next.unwrap()).unwrap();
        let rest: String = (20..30).map(line).collect();
        assert!(text(&take_all(&mut cursor, 1 << 20).0) == rest);
        appender.close().unwrap();
    }
}

/// With more in the new file than there was in the old one, its length shows nothing.
#[test]
fn a_file_that_was_truncated_and_has_grown_beyond_the_position_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).open().unwrap();
    let mut cursor = cursor(directory.path());
    send(&appender, 0..10);
    appender.sync().unwrap();
    assert!(matches!(cursor.next_block(100), Ok(NextBlock::Block(_))));
    truncate(&appender.cdr_path());
    send(&appender, 10..100);
    appender.close().unwrap();
    assert_eq!(gone(cursor.next_block(1 << 20)).0, GoneReason::Replaced);
}

#[test]
fn a_file_that_logrotate_renames_is_returned_to_its_end_and_then_the_one_in_its_place() {
    for creates in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let appender = builder(directory.path()).open().unwrap();
        let mut cursor = cursor(directory.path());
        let mut found = Vec::new();
        for round in 0..4 {
            send(&appender, round * 20..round * 20 + 10);
            appender.sync().unwrap();
            found.extend(take_all(&mut cursor, 1 << 20).0);
            // Written, and synced only when the writer finds that the file was moved.
            send(&appender, round * 20 + 10..round * 20 + 20);
            appender.flush().unwrap();
            let path = appender.cdr_path();
            fs::rename(&path, path.with_extension(format!("log.{round}"))).unwrap();
            if creates {
                fs::write(&path, "").unwrap();
            }
            assert_eq!(wait(&mut cursor), Wait::Writer);
        }
        appender.close().unwrap();
        found.extend(take_all(&mut cursor, 1 << 20).0);
        let moved = files(directory.path(), "CDR.").len();
        assert!(text(&found) == lines(80) && moved >= 4, "{creates}: {moved}");
    }
}

#[test]
fn a_directory_that_was_emptied_begins_anew_and_the_old_position_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = three_files(directory.path());
    for path in files(directory.path(), "CDR.") {
        fs::remove_file(path).unwrap();
    }
    let appender = Appender::builder(&directory).open().unwrap();
    send(&appender, 30..40);
    appender.close().unwrap();
    let (reason, next) = gone(open_at(directory.path(), &blocks[2].end_position()));
    let next = next.unwrap();
    assert!(reason == GoneReason::Removed && next.file > blocks[2].file, "{next}");
    let rest: String = (30..40).map(line).collect();
    let mut cursor = open_at(directory.path(), &next).unwrap();
    assert!(text(&take_all(&mut cursor, 1 << 20).0) == rest);
}
