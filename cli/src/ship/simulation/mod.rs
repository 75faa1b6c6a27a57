//! The protocol with everything that can go wrong at once, in memory.
//!
//! A run is a row of random steps of a writer, of shippers that are killed, of a destination that
//! loses, delays and doubles what it is sent, and of what people do to machines: restores of older
//! states, lost notes, copies of a machine, removed files. In the end faults cease, everybody
//! finishes, and the record at the destination is compared with the local one line by line.
//! `CDRLOG_SHIP_SIMULATIONS=100000` plays as many runs of each kind.

mod directory;
mod long;
mod memory;
mod mishaps;
mod process;
mod promises;
mod random;

use std::cell::RefCell;
use std::rc::Rc;

use super::header::{Block, Kind};
use super::shipper::Rules;
use directory::Files;
use memory::Server;
use process::Process;
use random::Random;

const RULES: Rules = Rules {
    block_bytes: 60,
    accept_gap: false,
    accept_rollback: false,
    keep: 0,
    opens: false,
    closes: false,
    new_node: false,
};

/// The name under which the first machine ships.
const NODE: &str = "node";

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
    /// Another server takes the place of the destination, which goes on answering.
    takeovers: bool,
    /// The destination loses blocks in the middle.
    holes: bool,
    /// Files that the pin does not hold are removed.
    pinned_retention: bool,
    /// The disk is full, and the oldest file is removed, for an optional destination.
    full_disk: bool,
    /// The machine is copied without its node file, and both go on.
    images: bool,
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
        let rules = Rules { accept_gap: hazards.accept_gap || hazards.full_disk, ..RULES };
        let count = if hazards.two_shippers { 2 } else { 1 };
        let processes = (0..count)
            .map(|index| Process::new(&format!("p{index}"), &files, &server, rules, random.next()))
            .collect();
        Self { random, server, processes, hazards, now: 1000 }
    }

    fn play(&mut self) {
        for _ in 0..200 {
            self.now += 1;
            self.processes.iter().for_each(|it| it.files.borrow_mut().now = self.now);
            let index = self.random.below(self.processes.len());
            match self.random.below(115) {
                0..30 => self.files(index).borrow_mut().write_line(&mut self.random),
                30..42 => self.files(index).borrow_mut().sync(),
                42..45 => self.files(index).borrow_mut().rotate(),
                45..85 => drop(self.processes[index].step(self.now)),
                85..88 => {
                    let luck = self.random.below(4);
                    self.processes[index].restart(luck == 0, luck == 1);
                }
                88..90 => self.processes[index].look_again(),
                90..94 => self.server.borrow_mut().deliver_late(),
                // Two shippers of one directory would take each other for copies.
                100..105 if !self.hazards.two_shippers => self.processes[index].mark(),
                other => self.mishap(other, index),
            }
            self.check_watermark();
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
            105..107 if self.hazards.takeovers => self.server.borrow_mut().take_over(),
            107..109 if self.hazards.holes => self.server.borrow_mut().lose_block(),
            109..112 if self.hazards.pinned_retention => {
                self.files(index).borrow_mut().retain_needed();
            }
            112 if self.hazards.full_disk => self.files(index).borrow_mut().remove_oldest(),
            113 if self.hazards.images && self.processes.len() == 1 => {
                if self.processes[0].acknowledged_file().is_some() {
                    let files = Rc::new(RefCell::new(self.files(0).borrow().copy("b")));
                    let image = self.processes[0].image("image", &files, self.random.next());
                    self.processes.push(image);
                }
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
            process.restart(false, false);
            process.stop = None;
            process.files.borrow_mut().sync();
        }
        for _ in 0..2 {
            for process in &mut self.processes {
                process.finish(self.now);
            }
        }
    }

    /// A reader who has read the chain up to the block of the watermark has every line that was taken
    /// before its time.
    fn check_watermark(&self) {
        let Hazards { retention, full_disk, copies, .. } = self.hazards;
        if retention || full_disk || copies {
            return;
        }
        let server = self.server.borrow();
        let Some(mark) = server.watermark(NODE) else { return };
        let seq = |block: &&Block| block.header.fields.seq;
        if server.blocks(NODE).all(|block| block.header.id != mark.id) {
            return;
        }
        let up_to: Vec<_> = server.blocks(NODE).take_while(|it| seq(it) <= mark.seq).collect();
        if up_to.len() as u64 != mark.seq {
            return;
        }
        let bodies: Vec<u8> = up_to.iter().flat_map(|block| block.body.clone()).collect();
        let lines = bodies.iter().filter(|&&byte| byte == b'\n').count();
        let files = self.processes[0].files.borrow();
        let taken = files.times.iter().filter(|&&time| time < mark.through).count();
        assert!(lines >= taken, "{taken} lines were taken before {mark:?}, {lines} are there");
    }

    /// The lines at the destination, and whether a gap is marked before each; and at the end.
    fn shipped(&self) -> (Vec<(String, bool)>, bool) {
        self.shipped_of(NODE)
    }

    fn shipped_of(&self, node: &str) -> (Vec<(String, bool)>, bool) {
        let server = self.server.borrow();
        let mut lines = Vec::new();
        let mut is_gap = false;
        for block in server.blocks(node) {
            let kind = block.header.fields.kind;
            // What was removed before the node registered was never promised.
            is_gap |= kind == Kind::Gap || (kind == Kind::Registered && self.hazards.full_disk);
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
