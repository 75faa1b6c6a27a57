//! The protocol with everything that can go wrong at once, in memory.
//!
//! A run is a row of random steps of a writer, of shippers that are killed, of a destination that
//! loses, delays and doubles what it is sent, and of what people do to machines: restores of older
//! states, lost notes, copies of a machine, removed files. In the end faults cease, everybody
//! finishes, and the record at the destination is compared with the local one line by line.
//! `CDRLOG_SHIP_SIMULATIONS=100000` plays as many runs of each kind.

mod directory;
mod memory;
mod process;
mod random;

use std::cell::RefCell;
use std::rc::Rc;

use super::destination::AfterRollback;
use super::header::Kind;
use super::shipper::{Rules, Stop};
use directory::Files;
use memory::Server;
use process::Process;
use random::Random;

const RULES: Rules = Rules { block_bytes: 60, accept_gap: false, accept_rollback: false, keep: 0 };

/// What happens in a run.
#[derive(Clone, Copy, Debug, Default)]
struct Hazards {
    /// The destination is restored from an older copy.
    rollbacks: bool,
    /// The notes of the shipper are deleted.
    lost_notes: bool,
    /// Two shippers work on one directory, as if its lock did not hold.
    two_shippers: bool,
    /// Files that were acknowledged are removed.
    retention: bool,
    /// The machine loses what was not synced.
    power_losses: bool,
    /// The machine is copied, and both go on.
    copies: bool,
    /// The operator accepts gaps.
    accept_gap: bool,
}

struct Run {
    random: Random,
    server: Rc<RefCell<Server>>,
    processes: Vec<Process>,
    hazards: Hazards,
    now: i64,
}

impl Run {
    fn new(seed: u64, hazards: Hazards) -> Self {
        let mut random = Random(seed);
        let server = Rc::new(RefCell::new(Server::new(random.next())));
        let files = Rc::new(RefCell::new(Files::new("a")));
        let rules = Rules { accept_gap: hazards.accept_gap, ..RULES };
        let count = if hazards.two_shippers { 2 } else { 1 };
        let processes = (0..count)
            .map(|index| Process::new(&format!("p{index}"), &files, &server, rules, random.next()))
            .collect();
        Self { random, server, processes, hazards, now: 1000 }
    }

    fn play(&mut self) {
        for _ in 0..200 {
            self.now += 1;
            let index = self.random.below(self.processes.len());
            match self.random.below(100) {
                0..30 => self.files(index).borrow_mut().write_line(&mut self.random),
                30..42 => self.files(index).borrow_mut().sync(),
                42..45 => self.files(index).borrow_mut().rotate(),
                45..85 => drop(self.processes[index].step(self.now)),
                85..88 => self.processes[index].kill(),
                88..90 => self.processes[index].look_again(),
                90..94 => self.server.borrow_mut().deliver_late(),
                other => self.mishap(other, index),
            }
        }
        self.finish();
    }

    fn mishap(&mut self, which: usize, index: usize) {
        let Hazards { rollbacks, lost_notes, retention, power_losses, copies, .. } = self.hazards;
        match which {
            94 if rollbacks => self.server.borrow_mut().roll_back(),
            95 if lost_notes => self.processes[index].lose_notes(),
            96 if retention => {
                if let Some(name) = self.processes[index].acknowledged_file() {
                    self.files(index).borrow_mut().retain_from(&name);
                }
            }
            97 if power_losses => {
                self.files(index).borrow_mut().lose_power();
                self.processes[index].kill();
            }
            98 if copies && self.processes.len() == 1 => {
                let files = self.files(0).borrow().copy("b");
                let seed = self.random.next();
                let copy = self.processes[0].copy("copy", &Rc::new(RefCell::new(files)), seed);
                self.processes.push(copy);
            }
            // Whoever operates it starts it again.
            _ => self.processes[index].stop = None,
        }
    }

    fn files(&self, index: usize) -> Rc<RefCell<Files>> {
        Rc::clone(&self.processes[index].files)
    }

    /// Faults cease, and everybody ships what there is.
    fn finish(&mut self) {
        self.server.borrow_mut().has_faults = false;
        for process in &mut self.processes {
            process.end_faults();
            process.kill();
            process.stop = None;
            process.files.borrow_mut().sync();
        }
        for _ in 0..2 {
            for process in &mut self.processes {
                process.finish(self.now);
            }
        }
    }

    /// The lines at the destination, and whether a gap is marked before each; and at the end.
    fn shipped(&self) -> (Vec<(String, bool)>, bool) {
        let server = self.server.borrow();
        let mut lines = Vec::new();
        let mut is_gap = false;
        for block in server.blocks() {
            is_gap |= block.header.fields.kind == Kind::Gap;
            for line in String::from_utf8(block.body.clone()).unwrap().lines() {
                lines.push((line.to_owned(), is_gap));
                is_gap = false;
            }
        }
        (lines, is_gap)
    }

    /// Whether all lines of a machine are at the destination, before any others.
    fn begins_with(&self, written: &[String]) -> bool {
        let (lines, _) = self.shipped();
        let shipped = lines.iter().map(|(line, _)| line);
        lines.len() >= written.len() && shipped.zip(written).all(|(one, other)| one == other)
    }

    /// Whether the shipped record is a beginning of that of a machine, or all of it: each line once and
    /// in order, and none left out except where a gap says so.
    fn is_beginning_of(&self, written: &[String]) -> Result<bool, String> {
        let (lines, ends_in_gap) = self.shipped();
        let mut rest = written.iter();
        for (line, after_gap) in &lines {
            let skipped = rest.position(|written| written == line);
            match skipped {
                Some(0) => {}
                Some(_) if *after_gap => {}
                Some(count) => return Err(format!("{count} lines before {line} are missing")),
                None => return Err(format!("{line} is doubled, or not ours")),
            }
        }
        Ok(rest.next().is_none() || ends_in_gap)
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
fn lost_late_and_doubled_answers_lose_and_double_no_line() {
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
