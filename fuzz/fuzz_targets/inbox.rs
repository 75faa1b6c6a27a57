//! Any bytes as the inbox of a killed process: its recovery never panics, takes whole lines only, never
//! more events than there were, and the same ones where it is killed and done again; what was journaled
//! stays as it was.
//!
//! The first byte of the input says what the rest is. Even: what to damage in an inbox of twelve events,
//! of which some are journaled: three bytes of an offset, one of a length, then so many bytes to be put
//! there. Odd: all of an inbox, of which only the names of its owner are replaced by those that are
//! looked for. Either way the checksum of the header is made to fit, so that the fuzzer gets behind it.

#![no_main]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cdrlog::fuzzing::{
    is_whole_line, is_whole_record, leave_accepted, mend_inbox_checksum, mend_inbox_header, recover,
};

const EVENTS: usize = 12;
const JOURNALED: usize = 4;

/// Where the chunks begin in an inbox of the smallest size: behind the header and a page of words.
const CHUNKS_BEGIN: usize = 8192;

/// The time of the first recovery, which may have been killed.
const RECOVERED_AT: std::ops::Range<usize> = 136..144;

fn event(number: usize) -> Vec<u8> {
    let padding = "p".repeat(number * 37 % 300);
    format!(r#"{{"n":{number},"event":"e","p":"{padding}"}}"#).into_bytes()
}

/// Gives whether only chunks were damaged.
fn damage(inbox: &mut [u8], mut damage: &[u8]) -> bool {
    let mut only_chunks = true;
    while let [o0, o1, o2, length, rest @ ..] = damage {
        let offset = u32::from_le_bytes([*o0, *o1, *o2, 0]) as usize % inbox.len();
        let count = usize::from(*length).min(rest.len()).min(inbox.len() - offset);
        let (bytes, later) = rest.split_at(count);
        inbox[offset..offset + count].copy_from_slice(bytes);
        only_chunks &= offset >= CHUNKS_BEGIN;
        damage = later;
    }
    only_chunks
}

fn write_private(path: &Path, bytes: &[u8]) {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.unwrap().write_all(bytes).unwrap();
}

/// The lines and the rejects, each file by itself.
fn texts(directory: &Path) -> [Vec<u8>; 2] {
    let of = |extension: &str| {
        let mut paths: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|found| found == extension));
        paths.sort();
        paths.iter().flat_map(|path| fs::read(path).unwrap()).collect()
    };
    [of("log"), of("jsonl")]
}

fn records(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == b'\n')
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&kind, rest)) = input.split_first() else { return };
    let home = tempfile::tempdir_in("/dev/shm").unwrap();
    let directory = home.path().join("cdr");
    fs::create_dir(&directory).unwrap();
    let events: Vec<_> = (0..EVENTS).map(event).collect();
    let path = leave_accepted(&directory, home.path(), &events, JOURNALED);
    let real = fs::read(&path).unwrap();
    let is_damaged = kind % 2 == 0;
    let (inbox, only_chunks) = if is_damaged {
        let mut inbox = real.clone();
        let only_chunks = damage(&mut inbox, rest);
        mend_inbox_checksum(&mut inbox);
        (inbox, only_chunks)
    } else {
        let mut inbox = rest.to_vec();
        mend_inbox_header(&mut inbox, &real);
        (inbox, false)
    };
    let mut inbox = inbox;
    if let Some(time) = inbox.get_mut(RECOVERED_AT) {
        // Both recoveries give their rejects the same time.
        time[0] |= 1;
    }
    write_private(&path, &inbox);
    let control = directory.join(".cdrlog/control");
    let killed = fs::read(&control).unwrap();

    let recovery = recover(&directory).unwrap();
    let [lines, rejects] = texts(&directory);
    assert!(records(&lines).all(is_whole_line), "{}", String::from_utf8_lossy(&lines));
    assert!(records(&rejects).all(is_whole_record), "{}", String::from_utf8_lossy(&rejects));
    let journaled = (0..JOURNALED).map(|number| format!("{{\"e\":{{\"n\":{number},"));
    for (begin, line) in journaled.zip(records(&lines)) {
        assert!(line.starts_with(begin.as_bytes()), "a journaled line is not there");
    }
    let count = records(&lines).count() + records(&rejects).count();
    assert!(count >= JOURNALED);
    if only_chunks && is_damaged {
        assert!(count <= EVENTS, "{count} records of {EVENTS} events");
        assert!(recovery.unusable_inbox.is_none(), "an inbox with its own header is not known");
    }
    if is_damaged && rest.len() < 4 {
        let found: Vec<_> = records(&lines).collect();
        let is_there = |(number, line): (usize, &&[u8])| {
            line.starts_with(format!("{{\"e\":{{\"n\":{number},").as_bytes())
        };
        assert!(count == EVENTS && found.iter().enumerate().all(is_there), "events are missing");
    }
    assert!(
        recovery.unusable_inbox.is_some() == path.exists(),
        "it was removed, or is still there"
    );

    // Killed before it said that all is done.
    write_private(&path, &inbox);
    let mut page = fs::read(&control).unwrap();
    page[8..16].copy_from_slice(&killed[8..16]);
    fs::write(&control, page).unwrap();
    recover(&directory).unwrap();
    assert!(texts(&directory) == [lines, rejects], "a second recovery made something else");
});
