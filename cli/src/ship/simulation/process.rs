//! A shipper on a machine, which can be killed and started again.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::directory::{Disk, Files};
use super::memory::{Memory, Server};
use super::random::Random;
use crate::ship::destination::Failure;
use crate::ship::header::{Chain, Stream};
use crate::ship::notes::{NoteStore, Notes};
use crate::ship::shipper::{Rules, Shipper, Step, Stop};

/// Notes that survive the shipper, and whose writes fail at times.
#[derive(Clone)]
pub(super) struct SimNotes {
    bytes: Rc<RefCell<Vec<u8>>>,
    faults: Rc<RefCell<Option<Random>>>,
}

impl SimNotes {
    fn fault(&self, kinds: usize) -> usize {
        self.faults.borrow_mut().as_mut().map_or(0, |random| match random.once_in(12) {
            true => 1 + random.below(kinds),
            false => 0,
        })
    }
}

impl NoteStore for SimNotes {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.bytes.borrow().clone())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut noted = self.bytes.borrow_mut();
        let written = match self.fault(3) {
            0 => {
                noted.extend_from_slice(bytes);
                return Ok(());
            }
            1 => 0,
            2 => bytes.len() / 2,
            _ => bytes.len(),
        };
        noted.extend_from_slice(&bytes[..written]);
        Err(io::ErrorKind::StorageFull.into())
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.fault(2) {
            0 => *self.bytes.borrow_mut() = bytes.to_vec(),
            1 => return Err(io::ErrorKind::StorageFull.into()),
            _ => {
                *self.bytes.borrow_mut() = bytes.to_vec();
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        Ok(())
    }
}

/// A shipper that can be killed and started again.
pub(super) struct Process {
    pub(super) files: Rc<RefCell<Files>>,
    notes: SimNotes,
    server: Rc<RefCell<Server>>,
    connection: Memory,
    rules: Rules,
    shipper: Option<Shipper<SimNotes>>,
    starts: u64,
    name: String,
    pub(super) stop: Option<Stop>,
    pub(super) gap_was_told: bool,
}

impl Process {
    pub(super) fn new(
        name: &str,
        files: &Rc<RefCell<Files>>,
        server: &Rc<RefCell<Server>>,
        rules: Rules,
        seed: u64,
    ) -> Self {
        let notes =
            SimNotes { bytes: Rc::default(), faults: Rc::new(RefCell::new(Some(Random(seed)))) };
        Self {
            files: Rc::clone(files),
            notes,
            server: Rc::clone(server),
            connection: Memory::connect(server),
            rules,
            shipper: None,
            starts: 0,
            name: name.to_owned(),
            stop: None,
            gap_was_told: false,
        }
    }

    /// A copy of the machine, notes included.
    pub(super) fn copy(&self, name: &str, files: &Rc<RefCell<Files>>, seed: u64) -> Self {
        let copy = Self::new(name, files, &self.server, self.rules, seed);
        *copy.notes.bytes.borrow_mut() = self.notes.bytes.borrow().clone();
        copy
    }

    pub(super) fn kill(&mut self) {
        self.shipper = None;
        self.connection = Memory::connect(&self.server);
    }

    pub(super) fn lose_notes(&mut self) {
        self.kill();
        self.notes.bytes.borrow_mut().clear();
    }

    pub(super) fn end_faults(&mut self) {
        *self.notes.faults.borrow_mut() = None;
    }

    /// After a day of suspension.
    pub(super) fn look_again(&mut self) {
        if let Some(shipper) = &mut self.shipper {
            shipper.look_again();
        }
    }

    /// The file of the last acknowledged block.
    pub(super) fn acknowledged_file(&self) -> Option<String> {
        let header = self.shipper.as_ref()?.acknowledged()?;
        Some(header.fields.file.clone())
    }

    /// The outcome of one step; a chain that stopped stays stopped.
    pub(super) fn step(&mut self, now: i64) -> Step {
        if self.stop.is_some() {
            return Step::Idle;
        }
        if self.shipper.is_none() {
            self.starts += 1;
            let chain = Chain { node: "node".to_owned(), stream: Stream::Lines };
            let writer = format!("{}-{}", self.name, self.starts);
            let notes = Notes::open(self.notes.clone()).expect("notes are always whole lines");
            self.shipper = Some(Shipper::new(chain, writer, self.rules, notes));
        }
        let shipper = self.shipper.as_mut().unwrap();
        let mut disk = Disk(Rc::clone(&self.files));
        let stepped = shipper.step(&mut disk, &mut self.connection, now);
        stepped.unwrap_or_else(|stop| {
            self.gap_was_told |= matches!(stop, Stop::Gap(_));
            self.stop = Some(stop);
            Step::Retry(Failure("stopped".to_owned()))
        })
    }

    /// Steps until there is nothing left to do.
    pub(super) fn finish(&mut self, now: i64) {
        for _ in 0..10_000 {
            if matches!(self.step(now), Step::Idle | Step::Waiting(_)) {
                return;
            }
        }
        panic!("{} never becomes idle", self.name);
    }
}
