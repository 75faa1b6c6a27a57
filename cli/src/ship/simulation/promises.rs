//! What a run may never do, whatever happens in it.

use super::memory::Guard;
use super::process::Process;
use super::{Hazards, NODE, Run};
use crate::ship::destination::AfterRollback;
use crate::ship::header::Kind;
use crate::ship::shipper::Stop;

impl Run {
    /// A chain begins with the block that registers the node, unless its beginning was lost.
    fn check_beginning(&self, seed: u64) {
        let server = self.server.borrow();
        let kind = server.blocks(NODE).next().map(|first| first.header.fields.kind);
        assert!(
            !matches!(kind, Some(Kind::Lines | Kind::Closed)),
            "seed {seed}: a chain begins with {kind:?}"
        );
    }
}

fn runs() -> u64 {
    let given = std::env::var("CDRLOG_SHIP_SIMULATIONS").ok();
    given.map_or(100, |given| given.parse().expect("CDRLOG_SHIP_SIMULATIONS is a number"))
}

/// Plays runs with one writer, and checks that the record is whole, or that its gap was told.
fn check(hazards: Hazards) {
    let mut shipped = 0;
    for seed in 0..runs() {
        let mut run = Run::new(seed, hazards);
        run.play();
        run.check_beginning(seed);
        let written = run.processes[0].files.borrow().written.clone();
        let is_whole = match run.is_beginning_of(&written) {
            Ok(is_whole) => is_whole,
            Err(fault) => panic!("seed {seed} of {hazards:?}: {fault}"),
        };
        for Process { stop, .. } in &run.processes {
            match stop {
                None => assert!(is_whole, "seed {seed} of {hazards:?}: lines are left behind"),
                Some(Stop::Gap(_)) if hazards.retention && !hazards.accept_gap => {}
                Some(stop) => panic!("seed {seed} of {hazards:?}: {stop}"),
            }
        }
        shipped += run.shipped().0.len();
    }
    assert!(shipped as u64 > runs() * 10, "hardly anything was shipped: {shipped} lines");
}

#[test]
fn lost_late_doubled_and_wrong_answers_lose_and_double_no_line() {
    check(Hazards::default());
}

#[test]
fn a_destination_that_goes_back_gets_the_same_record_again() {
    check(Hazards { rollbacks: true, ..Hazards::default() });
}

#[test]
fn lost_notes_lose_and_double_no_line() {
    check(Hazards { lost_notes: true, ..Hazards::default() });
    check(Hazards { lost_notes: true, rollbacks: true, ..Hazards::default() });
}

#[test]
fn two_shippers_of_one_directory_ship_each_line_once() {
    check(Hazards { two_shippers: true, lost_notes: true, rollbacks: true, ..Hazards::default() });
}

#[test]
fn power_losses_take_no_line_that_was_shipped() {
    check(Hazards { power_losses: true, rollbacks: true, lost_notes: true, ..Hazards::default() });
}

#[test]
fn what_was_removed_and_is_not_at_the_destination_any_more_is_told() {
    check(Hazards { retention: true, rollbacks: true, ..Hazards::default() });
}

#[test]
fn an_accepted_gap_is_marked_where_lines_are_missing() {
    check(Hazards { retention: true, rollbacks: true, accept_gap: true, ..Hazards::default() });
}

#[test]
fn copies_of_a_machine_never_mix_their_lines() {
    let mut copied = 0;
    let mut stopped = 0;
    for seed in 0..runs() {
        let hazards = Hazards { copies: true, rollbacks: true, ..Hazards::default() };
        let mut run = Run::new(seed, hazards);
        run.play();
        let [one, other] = run.processes.as_slice() else { continue };
        copied += 1;
        let whole = |process: &Process| run.is_beginning_of(&process.files.borrow().written);
        let (of_one, of_other) = (whole(one), whole(other));
        for (process, whole) in [(one, &of_one), (other, &of_other)] {
            match &process.stop {
                // It has nothing to ship, and did not look what the other one shipped since.
                None if run.begins_with(&process.files.borrow().written) => {}
                None => panic!("seed {seed}: lines are left behind, {whole:?}"),
                Some(Stop::Foreign(_)) => stopped += 1,
                Some(stop) => panic!("seed {seed}: {stop}"),
            }
        }
        assert!(of_one.is_ok() || of_other.is_ok(), "seed {seed}: {of_one:?} {of_other:?}");
    }
    assert!(copied > 10 && stopped * 2 > copied, "{copied} were copied, {stopped} stopped");
}

#[test]
fn an_archive_that_lost_blocks_gets_them_again_only_if_an_operator_says_so() {
    let mut asked = 0;
    for seed in 0..runs() {
        let mut run = Run::new(seed, Hazards { rollbacks: true, ..Hazards::default() });
        run.server.borrow_mut().after_rollback = AfterRollback::Ask;
        run.play();
        let process = &run.processes[0];
        let written = process.files.borrow().written.clone();
        let is_whole = run.is_beginning_of(&written).unwrap();
        match &process.stop {
            Some(Stop::WentBack(_)) => asked += 1,
            other => assert!(is_whole && other.is_none(), "seed {seed}: {other:?}"),
        }
    }
    assert!(asked > 10, "only {asked} were asked");
}

/// Plays runs in which files go that the pin does not hold; each was at the destination when it was
/// given up, as a new connection sees it.
fn check_released(hazards: Hazards, guard: Guard) {
    let hazards = Hazards { pinned_retention: true, ..hazards };
    let (mut released, mut healed) = (0, 0);
    for seed in 0..runs() {
        let mut run = Run::new(seed, hazards);
        run.server.borrow_mut().guard = guard;
        // Only holes are filled without being asked.
        run.server.borrow_mut().after_rollback = AfterRollback::Ask;
        run.play();
        released += run.processes[0].files.borrow().released().len();
        healed += run.processes[0].remarks;
        if let Some(stop) = &run.processes[0].stop {
            assert!(matches!(stop, Stop::Gap(_) | Stop::WentBack(_)), "seed {seed}: {stop}");
        }
    }
    assert!(released as u64 > runs(), "hardly anything was given up: {released} files");
    assert!(healed as u64 > runs() / 4, "hardly anything was healed: {healed} times");
}

#[test]
fn no_file_is_given_up_before_a_new_connection_showed_all_of_it() {
    check_released(Hazards { holes: true, ..Hazards::default() }, Guard::Tail);
    let hazards = Hazards { holes: true, takeovers: true, ..Hazards::default() };
    for seed in 0..runs() {
        // A database is healed without being asked.
        Run::new(seed, Hazards { pinned_retention: true, ..hazards }).play();
    }
}

#[test]
fn a_hole_in_an_archive_is_filled_without_being_asked() {
    check_released(Hazards { holes: true, ..Hazards::default() }, Guard::Name);
}

#[test]
fn files_that_are_given_up_lose_no_line() {
    check(Hazards { pinned_retention: true, power_losses: true, ..Hazards::default() });
}

#[test]
fn what_an_optional_destination_lacks_when_the_disk_is_full_is_marked() {
    check(Hazards { full_disk: true, ..Hazards::default() });
    check(Hazards { full_disk: true, rollbacks: true, ..Hazards::default() });
}

#[test]
fn a_copy_without_a_name_is_refused_and_then_begins_after_what_was_shipped() {
    let (mut copied, mut shortened) = (0, 0);
    for seed in 0..runs() {
        let mut run = Run::new(seed, Hazards { images: true, ..Hazards::default() });
        run.play();
        let [original, image] = run.processes.as_mut_slice() else { continue };
        copied += 1;
        assert_eq!(original.stop, None, "seed {seed}");
        let refused = matches!(&image.stop, Some(Stop::Copied { owner, .. }) if owner == NODE);
        assert!(refused, "seed {seed}: {:?}", image.stop);
        image.stop = None;
        image.rules.new_node = true;
        image.restart(false, false);
        image.finish(run.now);
        assert_eq!(image.stop, None, "seed {seed}");
        let of_image: Vec<_> = run.shipped_of("image").0.into_iter().map(|it| it.0).collect();
        let of_node: Vec<_> = run.shipped().0.into_iter().map(|it| it.0).collect();
        let written = run.processes[1].files.borrow().written.clone();
        let common = written.strip_suffix(of_image.as_slice()).expect("the end of what it wrote");
        assert!(of_node.starts_with(common), "seed {seed}: {common:?} was not shipped before");
        shortened += u64::from(!common.is_empty());
    }
    assert!(copied > 10 && shortened * 2 > copied, "{copied} were copied, {shortened} began later");
}

#[test]
fn a_copy_that_only_says_how_far_it_is_stops() {
    let mut stopped = 0;
    for seed in 0..runs() {
        let mut run = Run::new(seed, Hazards::default());
        run.play();
        let files = std::rc::Rc::new(std::cell::RefCell::new(run.files(0).borrow().copy("b")));
        let copy = run.processes[0].copy("copy", &files, seed);
        run.processes.push(copy);
        for _ in 0..4 {
            for process in &mut run.processes {
                run.now += 60;
                process.files.borrow_mut().now = run.now;
                process.finish(run.now);
                process.mark();
            }
        }
        let stops: Vec<_> = run.processes.iter().filter_map(|it| it.stop.clone()).collect();
        assert!(stops.len() <= 1, "seed {seed}: {stops:?}");
        stopped += stops.iter().filter(|stop| matches!(stop, Stop::Foreign(_))).count();
    }
    assert!(stopped as u64 > runs() / 2, "{stopped} copies stopped");
}
