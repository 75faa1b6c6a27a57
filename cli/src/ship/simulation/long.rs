//! A node that has shipped more blocks than are noted.

use super::process::Process;
use super::{Hazards, RULES, Run};
use crate::ship::shipper::Rules;

/// More than `notes.rs` keeps, so that the older half is dropped.
const LINES: i64 = 10_100;

const LINES_OF_FILE: i64 = 100;

/// Ships a block for each line, without faults. The line of number `n` is cut at the time `n`.
fn ship_lines() -> Run {
    let mut run = Run::new(7, Hazards::default());
    run.server.borrow_mut().has_faults = false;
    let process = &mut run.processes[0];
    process.end_faults();
    process.rules = Rules { block_bytes: 1, keep: i64::MAX / 2, ..RULES };
    for now in 1..=LINES {
        {
            let mut files = process.files.borrow_mut();
            files.now = now;
            files.write_line(&mut run.random);
            files.sync();
            if now % LINES_OF_FILE == 0 {
                files.rotate();
            }
        }
        process.finish(now);
    }
    run.now = LINES;
    run
}

/// Files are kept until their blocks are older than those that were cut at this time.
fn give_up_until(process: &mut Process, now: i64, cut: i64) {
    process.rules.keep = now - cut;
    process.restart(false, false);
    process.finish(now);
}

#[track_caller]
fn expect_needed(process: &Process, line: i64) {
    let file = (line - 1) / LINES_OF_FILE + 1;
    assert_eq!(process.files.borrow().needed, Some(format!("CDR.{file:05}.log")));
}

#[test]
fn old_files_are_given_up_also_where_their_blocks_are_not_noted_any_more() {
    let mut run = ship_lines();
    let now = 100_000;
    let process = &mut run.processes[0];
    assert_eq!(process.files.borrow().needed, None);
    assert!(process.first_noted() > 3_000, "what is searched for is noted");
    give_up_until(process, now, 2_950);
    expect_needed(process, 2_950);
    // It is not searched for again within an hour,
    process.finish(now + 200);
    expect_needed(process, 2_950);
    // but by whoever starts again; and between the first block of a file and the last one of the file before.
    give_up_until(process, now, 3_100);
    expect_needed(process, 3_100);
    give_up_until(process, now, 3_101);
    expect_needed(process, 3_101);
    // What is noted is not searched for.
    give_up_until(process, now, 9_950);
    expect_needed(process, 9_950);
    assert_eq!(process.stop, None);
    let written = process.files.borrow().written.clone();
    assert_eq!(run.is_beginning_of(&written), Ok(true));
}

#[test]
fn lost_notes_of_more_blocks_than_are_noted_double_no_line() {
    let mut run = ship_lines();
    let process = &mut run.processes[0];
    process.lose_notes();
    process.files.borrow_mut().write_line(&mut run.random);
    process.files.borrow_mut().sync();
    process.finish(LINES + 1);
    assert_eq!(process.stop, None);
    assert!(process.first_noted() > 1, "everything is noted");
    let written = process.files.borrow().written.clone();
    assert_eq!(run.is_beginning_of(&written), Ok(true));
}
