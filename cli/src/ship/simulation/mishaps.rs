//! Mishaps that last, one at a time.

use super::process::Outage;
use super::{Hazards, RULES, Run};
use crate::ship::shipper::{Rules, Step};

/// A run without faults.
fn run(rules: Rules) -> Run {
    let mut run = Run::new(7, Hazards::default());
    run.server.borrow_mut().has_faults = false;
    let process = &mut run.processes[0];
    process.end_faults();
    process.rules = rules;
    run
}

/// Writes a file of some lines, and ships it at the time `now`.
fn ship_file(run: &mut Run, now: i64) {
    let process = &mut run.processes[0];
    {
        let mut files = process.files.borrow_mut();
        files.now = now;
        (0..5).for_each(|_| files.write_line(&mut run.random));
        files.rotate();
    }
    process.finish(now);
}

fn expect_all(run: &Run) {
    assert_eq!(run.processes[0].stop, None);
    let written = run.processes[0].files.borrow().written.clone();
    assert_eq!(run.is_beginning_of(&written), Ok(true));
}

fn needed(run: &Run) -> Option<String> {
    run.processes[0].files.borrow().needed.clone()
}

/// Files are kept until they are shipped, so that a disk that is full would be full for ever.
#[test]
fn a_disk_without_room_for_notes_holds_up_no_line() {
    let mut run = run(Rules { block_bytes: 1, keep: i64::MAX / 2, ..RULES });
    ship_file(&mut run, 1);
    run.processes[0].set_outage(Some(Outage::Full));
    for now in 2..20 {
        ship_file(&mut run, now);
    }
    assert_eq!(run.processes[0].remarks, 1, "it is told once");
    expect_all(&run);
    // Whoever starts then knows what is there only from the destination.
    run.processes[0].restart(false, false);
    ship_file(&mut run, 20);
    expect_all(&run);
    // What was not noted is remembered,
    run.server.borrow_mut().roll_back_to(3);
    run.processes[0].look_again();
    ship_file(&mut run, 21);
    expect_all(&run);
    // and noted once there is room.
    run.processes[0].set_outage(None);
    ship_file(&mut run, 22);
    run.server.borrow_mut().roll_back_to(3);
    run.processes[0].restart(false, false);
    ship_file(&mut run, 23);
    expect_all(&run);
}

/// `cut` never goes back, so that all blocks after a wrong time are of that time.
#[test]
fn files_are_given_up_although_the_clock_was_ahead_once() {
    let mut run = run(Rules { keep: 100, ..RULES });
    ship_file(&mut run, 1_000_000);
    for now in [1_000, 1_050] {
        ship_file(&mut run, now);
    }
    assert_eq!(needed(&run), None);
    ship_file(&mut run, 1_099);
    assert_eq!(needed(&run), None, "it has them for a shorter time");
    ship_file(&mut run, 1_160);
    assert_eq!(needed(&run).as_deref(), Some("CDR.00001.log"), "the last one of then");
    ship_file(&mut run, 1_270);
    assert_eq!(needed(&run).as_deref(), Some("CDR.00004.log"));
    // By the right time again.
    ship_file(&mut run, 1_000_200);
    ship_file(&mut run, 1_000_400);
    assert_eq!(needed(&run).as_deref(), Some("CDR.00007.log"));
    expect_all(&run);
}

/// Without this, leave for a gap did not help a stream that had stopped for it.
#[test]
fn a_block_that_is_lost_here_and_there_is_told_and_passed_over_with_leave_for_gaps() {
    let mut run = run(Rules { keep: 10, ..RULES });
    for now in 1..5 {
        ship_file(&mut run, now);
    }
    run.server.borrow_mut().lose(2);
    run.processes[0].files.borrow_mut().retain_from("CDR.00002.log");
    ship_file(&mut run, 100);
    assert!(run.processes[0].stop.take().is_some_and(|it| it.to_string().contains("--accept-gap")));
    run.processes[0].rules.accept_gap = true;
    run.processes[0].restart(false, false);
    let told = run.processes[0].remarks;
    ship_file(&mut run, 101);
    ship_file(&mut run, 102);
    assert_eq!(run.processes[0].stop, None);
    assert_eq!(run.processes[0].remarks, told + 1, "it is told once");
    assert_eq!(needed(&run).as_deref(), Some("CDR.00004.log"));
}

/// Without this, the same block was sent as fast as the network allows, and nobody was told.
#[test]
fn a_destination_that_has_another_block_and_shows_none_is_asked_again_after_a_pause() {
    let mut run = run(RULES);
    ship_file(&mut run, 1);
    run.server.borrow_mut().refuses = true;
    let process = &mut run.processes[0];
    process.files.borrow_mut().write_line(&mut run.random);
    process.files.borrow_mut().sync();
    let steps: Vec<_> = (0..6).map(|_| process.step(2)).collect();
    let pauses = steps.iter().filter(|step| matches!(step, Step::Retry(_))).count();
    assert!((2..6).contains(&pauses), "{steps:?}");
    run.server.borrow_mut().refuses = false;
    ship_file(&mut run, 3);
    expect_all(&run);
}
