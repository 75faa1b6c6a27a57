//! A node that has shipped more blocks than are noted.

use super::process::{Outage, Process};
use super::{Hazards, RULES, Run};
use crate::ship::destination::AfterRollback;
use crate::ship::shipper::{Rules, Stop};

/// More than `notes.rs` keeps, so that the older half is dropped.
const LINES: i64 = 10_100;

const LINES_OF_FILE: i64 = 100;

/// Ships a block for each line, without faults. The line of number `n` is cut at the time `n`.
fn ship_lines() -> Run {
    ship_lines_with(None)
}

fn ship_lines_with(outage: Option<Outage>) -> Run {
    let mut run = Run::new(7, Hazards::default());
    run.server.borrow_mut().has_faults = false;
    let process = &mut run.processes[0];
    process.end_faults();
    process.set_outage(outage);
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

/// Without this, the shipper took the block after the last one for the first of the chain, and ended by a
/// panic.
#[test]
fn notes_that_cannot_be_shortened_for_want_of_room_hold_up_no_line() {
    let mut run = ship_lines_with(Some(Outage::FullForAll));
    let process = &mut run.processes[0];
    assert_eq!(process.first_noted(), 1);
    assert_eq!(process.remarks, 1, "it is told once");
    process.set_outage(None);
    process.restart(false, false);
    process.files.borrow_mut().write_line(&mut run.random);
    process.files.borrow_mut().sync();
    process.finish(LINES + 1);
    assert_eq!(process.stop, None);
    assert!(process.first_noted() > 1, "they are never shortened");
    let written = process.files.borrow().written.clone();
    assert_eq!(run.is_beginning_of(&written), Ok(true));
}

/// Without this, the older last block took the place of the notes before anybody asked, and the next
/// start knew of no rollback.
#[test]
fn an_archive_that_went_back_beyond_the_notes_gets_no_block_without_leave() {
    let mut run = ship_lines();
    run.server.borrow_mut().after_rollback = AfterRollback::Ask;
    run.server.borrow_mut().roll_back_to(100);
    let process = &mut run.processes[0];
    for _ in 0..2 {
        process.restart(false, false);
        process.stop = None;
        process.finish(LINES);
        assert!(matches!(process.stop, Some(Stop::WentBack(_))), "{:?}", process.stop);
        assert!(process.first_noted() > 3_000, "what was noted is lost");
    }
    process.rules = Rules { accept_rollback: true, block_bytes: 10_000, ..process.rules };
    process.restart(false, false);
    process.stop = None;
    process.finish(LINES);
    assert_eq!(process.stop, None);
    let written = process.files.borrow().written.clone();
    assert_eq!(run.is_beginning_of(&written), Ok(true));
}

/// Without this, the first block that was noted became the first one of the chain, whatever its number.
#[test]
fn a_chain_that_is_begun_again_never_begins_in_its_middle() {
    let mut run = ship_lines();
    run.server.borrow_mut().roll_back_to(0);
    let process = &mut run.processes[0];
    process.files.borrow_mut().retain_from("CDR.00020.log");
    process.rules = Rules { accept_gap: true, block_bytes: 10_000, ..process.rules };
    process.restart(false, false);
    process.set_outage(Some(Outage::ReadOnly));
    for _ in 0..3 {
        process.step(LINES);
    }
    assert_eq!(run.shipped().0.len(), 0);
    let process = &mut run.processes[0];
    process.set_outage(None);
    process.finish(LINES);
    assert_eq!(process.stop, None);
    let written = process.files.borrow().written.clone();
    assert_eq!(run.is_beginning_of(&written), Ok(true));
}
