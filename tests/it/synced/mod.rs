//! Who ships a directory gets what a power loss cannot take back, once and in order, and is told
//! where something is missing.
//!
//! A shipper that reads what is merely written sends lines that a power loss takes back, after which
//! other lines come to lie at the same places. One that goes by names and lengths alone misses what
//! was truncated, renamed or removed, and does not know.

mod blocks;
mod floor;
mod gone;
mod pins;
mod through;
mod waits;

use std::path::Path;
use std::time::Duration;

use cdrlog::synced::{NextBlock, Stream, SyncedBlock, SyncedCursor, Wait};
use cdrlog::{Appender, Builder, SyncPolicy};

use crate::support::body;

/// An appender that syncs when it is told to.
fn builder(directory: &Path) -> Builder {
    Appender::builder(directory).sync_policy(SyncPolicy::Interval(Duration::from_secs(3600)))
}

fn cursor(directory: &Path) -> SyncedCursor {
    SyncedCursor::open(directory, Stream::Lines, None).unwrap()
}

/// Sends the events of these numbers.
fn send(appender: &Appender, numbers: std::ops::Range<u64>) {
    let producer = appender.producer();
    numbers.for_each(|number| producer.send_slice(body(number).as_bytes()).unwrap());
}

/// The next block, which there must be.
#[track_caller]
fn block(cursor: &mut SyncedCursor) -> SyncedBlock {
    match cursor.next_block(1 << 20).unwrap() {
        NextBlock::Block(block) => block,
        NextBlock::Wait(wait) => panic!("there is nothing: {wait:?}"),
    }
}

/// What the cursor waits for now; there must be no block.
#[track_caller]
fn wait(cursor: &mut SyncedCursor) -> Wait {
    match cursor.next_block(1 << 20).unwrap() {
        NextBlock::Block(block) => panic!("there is a block at {}", block.start_position()),
        NextBlock::Wait(wait) => wait,
    }
}

/// All blocks until the cursor waits. Each follows the one before.
fn take_all(cursor: &mut SyncedCursor, limit_bytes: usize) -> (Vec<SyncedBlock>, Wait) {
    let mut blocks: Vec<SyncedBlock> = Vec::new();
    loop {
        match cursor.next_block(limit_bytes).unwrap() {
            NextBlock::Wait(wait) => return (blocks, wait),
            NextBlock::Block(block) => {
                assert_eq!(block.end - block.start, block.bytes.len() as u64);
                assert_eq!(
                    block.lines,
                    block.bytes.split_inclusive(|byte| *byte == b'\n').count() as u64
                );
                assert_eq!(block.torn, !block.bytes.ends_with(b"\n"));
                assert_eq!(cursor.position(), Some(block.end_position()));
                if let Some(before) = blocks.last() {
                    let goes_on = before.end_position() == block.start_position();
                    let is_next = (&before.file, before.birth) != (&block.file, block.birth)
                        && before.file <= block.file
                        && block.start == 0;
                    assert!(goes_on || is_next, "{before:?} {block:?}");
                    assert!(!before.file_ends_here || is_next, "{before:?} {block:?}");
                }
                blocks.push(block);
            }
        }
    }
}

fn text(blocks: &[SyncedBlock]) -> String {
    blocks.iter().map(|block| std::str::from_utf8(&block.bytes).unwrap()).collect()
}
