//! A shipper on a machine, which can be killed and started again.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::NODE;
use super::directory::{Disk, Files};
use super::memory::{Memory, Server};
use super::random::Random;
use crate::ship::destination::Failure;
use crate::ship::header::{Chain, Stream};
use crate::ship::mark::Unmarked;
use crate::ship::notes::{NoteStore, Notes};
use crate::ship::shipper::{Rules, Shipper, Step, Stop};

/// Notes that survive the shipper, and whose writes fail at times.
#[derive(Clone)]
pub(super) struct SimNotes {
    bytes: Rc<RefCell<Vec<u8>>>,
    faults: Rc<RefCell<Option<Random>>>,
    outage: Rc<Cell<Option<Outage>>>,
}

/// Writes of notes that fail until somebody did something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    /// The disk is full.
    Full,
    /// The disk has no room for a file as long as all notes.
    FullForAll,
    /// The directory cannot be written to.
    ReadOnly,
}

impl Outage {
    fn error(self) -> io::Error {
        match self {
            Self::Full | Self::FullForAll => io::ErrorKind::StorageFull.into(),
            Self::ReadOnly => io::ErrorKind::ReadOnlyFilesystem.into(),
        }
    }
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
        if let Some(outage) = self.outage.get().filter(|it| *it != Outage::FullForAll) {
            return Err(outage.error());
        }
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
        if let Some(outage) = self.outage.get() {
            return Err(outage.error());
        }
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
    pub(super) node: String,
    pub(super) rules: Rules,
    shipper: Option<Shipper<SimNotes>>,
    starts: u64,
    name: String,
    pub(super) stop: Option<Stop>,
    /// How often an operator was told something.
    pub(super) remarks: usize,
}

impl Process {
    pub(super) fn new(
        name: &str,
        files: &Rc<RefCell<Files>>,
        server: &Rc<RefCell<Server>>,
        rules: Rules,
        seed: u64,
    ) -> Self {
        let faults = Rc::new(RefCell::new(Some(Random(seed))));
        let notes = SimNotes { bytes: Rc::default(), faults, outage: Rc::default() };
        Self {
            files: Rc::clone(files),
            notes,
            server: Rc::clone(server),
            connection: Memory::connect(server),
            node: NODE.to_owned(),
            rules,
            shipper: None,
            starts: 0,
            name: name.to_owned(),
            stop: None,
            remarks: 0,
        }
    }

    /// A copy of the machine, notes included.
    pub(super) fn copy(&self, name: &str, files: &Rc<RefCell<Files>>, seed: u64) -> Self {
        let copy = Self::new(name, files, &self.server, self.rules, seed);
        *copy.notes.bytes.borrow_mut() = self.notes.bytes.borrow().clone();
        copy
    }

    /// A copy of the machine that ships under a name of its own.
    pub(super) fn image(&self, node: &str, files: &Rc<RefCell<Files>>, seed: u64) -> Self {
        let image = Self::new(node, files, &self.server, self.rules, seed);
        Self { node: node.to_owned(), ..image }
    }

    pub(super) fn kill(&mut self) {
        self.shipper = None;
        self.connection = Memory::connect(&self.server);
    }

    /// Starts it again, perhaps to end the chain or to open it again.
    pub(super) fn restart(&mut self, closes: bool, opens: bool) {
        self.kill();
        self.rules = Rules { closes, opens, ..self.rules };
    }

    pub(super) fn lose_notes(&mut self) {
        self.kill();
        self.notes.bytes.borrow_mut().clear();
    }

    pub(super) fn end_faults(&mut self) {
        *self.notes.faults.borrow_mut() = None;
    }

    pub(super) fn set_outage(&self, outage: Option<Outage>) {
        self.notes.outage.set(outage);
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
        Some(header.fields.file.clone()).filter(|file| !file.is_empty())
    }

    /// The number of the oldest block that is noted.
    pub(super) fn first_noted(&self) -> u64 {
        let notes = Notes::open(self.notes.clone()).expect("notes are always whole lines");
        notes.headers().first().map_or(0, |first| first.fields.seq)
    }

    /// The outcome of one step; a chain that stopped stays stopped.
    pub(super) fn step(&mut self, now: i64) -> Step {
        if self.stop.is_some() {
            return Step::Idle;
        }
        if self.shipper.is_none() {
            self.starts += 1;
            let chain = Chain { node: self.node.clone(), stream: Stream::Lines };
            let writer = format!("{}-{}", self.name, self.starts);
            let notes = Notes::open(self.notes.clone()).expect("notes are always whole lines");
            self.shipper = Some(Shipper::new(chain, writer, self.rules, notes));
        }
        let shipper = self.shipper.as_mut().unwrap();
        let mut disk = Disk(Rc::clone(&self.files));
        let given_up = self.files.borrow().released().len();
        let stepped = shipper.step(&mut disk, &mut self.connection, now);
        self.remarks += shipper.remarks.drain(..).count();
        self.check_released(given_up);
        stepped.unwrap_or_else(|stop| {
            self.stop = Some(stop);
            Step::Retry(Failure("stopped".to_owned()))
        })
    }

    /// What the last step gave up is at the destination, as a new connection sees it. Gaps that an
    /// operator accepted are not, nor is what another node shipped.
    fn check_released(&self, given_up: usize) {
        if self.rules.accept_gap || self.node != NODE {
            return;
        }
        let (files, server) = (self.files.borrow(), self.server.borrow());
        for (name, bytes) in files.released().into_iter().skip(given_up) {
            let of_file = server.blocks(&self.node).filter(|it| it.header.fields.file == name);
            let shipped: Vec<u8> = of_file.flat_map(|block| block.body.clone()).collect();
            assert!(shipped == bytes, "{name} is given up, and is not at the destination");
        }
    }

    /// A minute without a block.
    pub(super) fn mark(&mut self) {
        let Some(shipper) = self.shipper.as_mut().filter(|_| self.stop.is_none()) else { return };
        if let Err(Unmarked::Stop(stop)) = shipper.mark(&mut self.connection) {
            self.stop = Some(stop);
        }
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
