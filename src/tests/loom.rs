//! The hand-shake of the journal is right in every order that the memory model allows.
//!
//! With one `Relaxed` too many the flusher would read bytes that the rewriter is still storing, or
//! the rewriter would store into a segment that is still being read: on x86 hardly ever, on ARM
//! some day.
//!
//! Two threads hold the two ends of a real ring (`journal/ring.rs`) over plain memory. Each slice
//! that an end makes is noted for each of its bytes (`loom.rs`), and the model fails when two
//! threads use a byte without an order between them.
//!
//! Two preemptions are allowed in a run: all of them take too long for a test.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p cdrlog --release --lib loom`

use loom::thread;

use crate::journal::{RingReader, RingWriter, Segment, ring};

/// The rewriter and the flusher share two segments.
const SEGMENTS: usize = 2;

/// Stores the lines `0..lines`, each a byte, and publishes after each.
fn write(mut end: RingWriter, lines: u8) {
    for line in 0..lines {
        while !end.ensure_room(1) {
            thread::yield_now();
        }
        end.spare()[0] = line;
        end.advance(1);
        end.publish();
    }
}

/// Takes the lines `0..lines`. Of each batch that came together, the last line is given back once,
/// as after a write that was cut.
fn read(mut end: RingReader, lines: u8, gives_back: bool) {
    let (mut next, mut given_back) = (0, None);
    while next < lines {
        let pending = end.pending();
        for (line, &found) in (next..).zip(pending) {
            assert_eq!(found, line, "a line is missing or not the one it should be");
        }
        let taken = pending.len();
        if taken == 0 {
            thread::yield_now();
            continue;
        }
        end.consume(taken);
        next += taken as u8;
        if gives_back && given_back != Some(next) {
            end.rewind(1);
            given_back = Some(next);
            next -= 1;
        }
    }
}

fn model(lines: u8, segment_bytes: usize, gives_back: bool) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = runs.clone();
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let segments = (0..SEGMENTS).map(|_| Segment::plain(segment_bytes)).collect();
        let (write_end, read_end) = ring(segments, segment_bytes, 0, 0);
        let reader = thread::spawn(move || read(read_end, lines, gives_back));
        write(write_end, lines);
        reader.join().unwrap();
    });
    println!("{runs:?} orders");
}

#[test]
fn loom_segments_of_one_line_are_used_again() {
    model(3, 1, false);
}

#[test]
fn loom_segments_of_two_lines_are_read_line_by_line() {
    model(3, 2, false);
}

#[test]
fn loom_a_line_that_was_given_back_is_read_again() {
    model(3, 2, true);
}
