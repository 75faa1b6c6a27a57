//! The hand-shake of the journal is right in every order that the memory model allows.
//!
//! With one `Relaxed` too many the flusher would read bytes that the rewriter is still storing, or
//! the rewriter would store into a segment that is still being read: on x86 hardly ever, on ARM
//! some day.
//!
//! Two threads do with slots of the ring what `ring.rs` does with mapped segments, by the same
//! `Progress`. Each byte is a cell of loom's, which fails the model when it is used by two threads
//! without an order between them.
//!
//! Two preemptions are allowed in a run: all of them take too long for a test.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`

#![expect(unsafe_code, reason = "loom's cells hand out pointers")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::journal::Progress;

/// Two slots of one or two lines; a line is one byte.
struct Ring {
    progress: Progress,
    slots: [[UnsafeCell<u64>; 2]; 2],
}

impl Ring {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            progress: Progress::new(2, 0, 0),
            slots: std::array::from_fn(|_| std::array::from_fn(|_| UnsafeCell::new(u64::MAX))),
        })
    }

    fn cell(&self, sequence: u64, place: u64) -> &UnsafeCell<u64> {
        &self.slots[self.progress.slot(sequence)][place as usize]
    }
}

/// Stores the lines `0..lines`, `per_segment` in each segment, publishing after each; as `RingWriter`
/// does.
fn write(ring: &Ring, lines: u64, per_segment: u64) {
    let (mut sequence, mut used) = (0, 0);
    for line in 0..lines {
        if used == per_segment {
            ring.progress.publish(line);
            ring.progress.end_segment(sequence, line);
            while !ring.progress.begin_segment(sequence + 1) {
                thread::yield_now();
            }
            (sequence, used) = (sequence + 1, 0);
        }
        // SAFETY: loom checks it.
        ring.cell(sequence, used).with_mut(|cell| unsafe { *cell = line });
        used += 1;
        ring.progress.publish(line + 1);
    }
}

/// Takes the lines `0..lines`; as `RingReader` does.
fn read(ring: &Ring, lines: u64) {
    let (mut sequence, mut start, mut position) = (0, 0, 0);
    while position < lines {
        while ring.progress.segment_end(sequence, start) == Some(position) {
            sequence += 1;
            start = position;
            ring.progress.release(sequence);
        }
        let published = ring.progress.published();
        if published <= position {
            thread::yield_now();
            continue;
        }
        let end = ring.progress.segment_end(sequence, start).unwrap_or(published).min(published);
        for line in position..end {
            // SAFETY: loom checks it.
            let found = ring.cell(sequence, line - start).with(|cell| unsafe { *cell });
            assert_eq!(found, line, "a line is missing or not the one it should be");
        }
        position = end;
    }
}

fn model(lines: u64, per_segment: u64) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = runs.clone();
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let ring = Ring::new();
        let reader = {
            let ring = ring.clone();
            thread::spawn(move || read(&ring, lines))
        };
        write(&ring, lines, per_segment);
        reader.join().unwrap();
    });
    println!("{runs:?} orders");
}

#[test]
fn loom_segments_of_one_line_are_used_again() {
    model(3, 1);
}

#[test]
fn loom_segments_of_two_lines_are_read_line_by_line() {
    model(3, 2);
}
