//! The files of a machine, in memory.

use std::cell::RefCell;
use std::rc::Rc;

use cdrlog::manifest::Hash;

use super::random::Random;
use crate::ship::header::{Header, Missing, Position};
use crate::ship::source::{Cursor, Found, Held, Lines, Source, SourceError};

#[derive(Clone)]
struct SimFile {
    name: String,
    bytes: Vec<u8>,
    /// What a power loss leaves.
    synced: usize,
    is_over: bool,
    is_here: bool,
}

impl SimFile {
    /// What may be shipped.
    fn shippable(&self) -> &[u8] {
        &self.bytes[..if self.is_over { self.bytes.len() } else { self.synced }]
    }

    fn birth(&self) -> Option<Hash> {
        self.shippable().split_inclusive(|&byte| byte == b'\n').next().map(Hash::of)
    }
}

/// The directory of a machine.
#[derive(Clone)]
pub(super) struct Files {
    files: Vec<SimFile>,
    /// Every line that was written and not lost, in order.
    pub(super) written: Vec<String>,
    /// When each of them was taken.
    pub(super) times: Vec<i64>,
    /// What the clock shows.
    pub(super) now: i64,
    /// What the pin says: the files before this one are not needed any more.
    pub(super) needed: Option<String>,
    /// Tells the lines of one machine from those of its copy.
    tag: String,
    stamps: u64,
}

impl Files {
    pub(super) fn new(tag: &str) -> Self {
        Self {
            files: Vec::new(),
            written: Vec::new(),
            times: Vec::new(),
            now: 0,
            needed: None,
            tag: tag.to_owned(),
            stamps: 0,
        }
    }

    pub(super) fn copy(&self, tag: &str) -> Self {
        Self { tag: tag.to_owned(), ..self.clone() }
    }

    pub(super) fn write_line(&mut self, random: &mut Random) {
        if self.files.last().is_none_or(|file| file.is_over) {
            self.stamps += 1;
            let name = format!("CDR.{:05}.log", self.stamps);
            let (bytes, synced) = (Vec::new(), 0);
            self.files.push(SimFile { name, bytes, synced, is_over: false, is_here: true });
        }
        let line = format!("{}{}{}", self.tag, self.written.len(), "x".repeat(random.below(30)));
        let file = self.files.last_mut().unwrap();
        file.bytes.extend_from_slice(line.as_bytes());
        file.bytes.push(b'\n');
        self.written.push(line);
        self.times.push(self.now);
    }

    pub(super) fn sync(&mut self) {
        for file in &mut self.files {
            file.synced = file.bytes.len();
        }
    }

    pub(super) fn rotate(&mut self) {
        self.sync();
        if let Some(file) = self.files.last_mut() {
            file.is_over = true;
        }
    }

    /// Everything that was not synced is lost, and the next line begins a new file.
    pub(super) fn lose_power(&mut self) {
        let Some(file) = self.files.last_mut() else { return };
        let count = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
        let lost = count(&file.bytes[file.synced..]);
        file.bytes.truncate(file.synced);
        file.is_over = true;
        self.written.truncate(self.written.len() - lost);
        self.times.truncate(self.written.len());
        // A line of later must not look like one that was lost.
        self.tag.push('\'');
    }

    /// Removes the files before `name`.
    pub(super) fn retain_from(&mut self, name: &str) {
        for file in &mut self.files {
            file.is_here &= file.name.as_str() >= name;
        }
    }

    /// Removes what the pin does not hold.
    pub(super) fn retain_needed(&mut self) {
        if let Some(needed) = self.needed.clone() {
            self.retain_from(&needed);
        }
    }

    /// The disk is full, and the oldest file goes, wherever its lines are.
    pub(super) fn remove_oldest(&mut self) {
        if let Some(oldest) = self.files.iter_mut().find(|file| file.is_here && file.is_over) {
            oldest.is_here = false;
        }
    }

    /// The names and the bytes of the files that the pin does not hold any more.
    pub(super) fn released(&self) -> Vec<(&str, &[u8])> {
        let Some(needed) = &self.needed else { return Vec::new() };
        let released = self.files.iter().filter(|file| file.name < *needed);
        released.map(|file| (file.name.as_str(), file.bytes.as_slice())).collect()
    }

    /// The time before which everything that was taken may be shipped.
    fn through(&self) -> Option<i64> {
        let is_safe = self.files.iter().all(|file| file.shippable().len() == file.bytes.len());
        is_safe.then_some(self.now)
    }

    fn nothing(&self) -> Found {
        let is_closed = self.files.last().is_none_or(|file| file.is_over);
        Found::Nothing { waits_for: None, through: self.through(), is_closed }
    }

    fn file(&self, name: &str) -> &SimFile {
        self.files
            .iter()
            .find(|file| file.name == name)
            .expect("files of other machines are not asked for")
    }

    fn next(&self, after: Option<&Cursor>) -> Found {
        let mut later = self.files.as_slice();
        if let Some(Cursor { position: Position { file: name, offset, .. }, .. }) = after {
            let index = self.files.iter().position(|file| file.name == *name);
            let index = index.expect("the shipper is in a file of this machine");
            let file = &self.files[index];
            if file.is_here && file.shippable().len() as u64 > *offset {
                return lines(file, *offset);
            }
            if file.bytes.len() as u64 > *offset && !file.is_here {
                return self.gap(index, *offset);
            }
            if !file.is_over {
                return self.nothing();
            }
            later = &self.files[index + 1..];
        }
        for file in later {
            match (file.is_here, file.shippable().is_empty()) {
                (true, false) => return lines(file, 0),
                (true, true) if !file.is_over => break,
                (false, false) => {
                    let index = self.files.iter().position(|other| other.name == file.name);
                    return self.gap(index.unwrap(), 0);
                }
                _ => {}
            }
        }
        self.nothing()
    }

    fn gap(&self, index: usize, offset: u64) -> Found {
        let removed = self.files[index..].iter().take_while(|file| !file.is_here);
        let last = removed.last().unwrap();
        let (file, offset_end) = (last.name.clone(), last.bytes.len() as u64);
        let position = Position { file, birth: last.birth().unwrap(), offset: offset_end };
        let file = Some(self.files[index].name.clone());
        let missing =
            Missing { file, offset, reason: "it was removed".to_owned(), files: Vec::new() };
        Found::Gap { missing, resume: Cursor { position, file_end: true } }
    }
}

fn lines(file: &SimFile, offset: u64) -> Found {
    let position = Position { file: file.name.clone(), birth: file.birth().unwrap(), offset };
    let bytes = file.shippable()[offset as usize..].to_vec();
    Found::Lines(Lines { start: position, bytes, file_end: file.is_over, through: None })
}

/// The files as the shipper sees them.
pub(super) struct Disk(pub(super) Rc<RefCell<Files>>);

impl Source for Disk {
    fn beginning(&mut self) -> Result<Option<Cursor>, SourceError> {
        let files = self.0.borrow();
        let mut here = files.files.iter().filter(|file| file.is_here);
        let oldest = here.find_map(|file| {
            let (file, birth) = (file.name.clone(), file.birth()?);
            Some(Cursor { position: Position { file, birth, offset: 0 }, file_end: false })
        });
        let mut gone = files.files.iter().filter(|file| !file.is_here);
        Ok(oldest.or_else(|| {
            gone.next_back().map(|last| {
                let (file, offset) = (last.name.clone(), last.bytes.len() as u64);
                let position = Position { file, birth: Hash::NONE, offset };
                Cursor { position, file_end: true }
            })
        }))
    }

    fn next(&mut self, after: Option<&Cursor>, bytes_max: usize) -> Result<Found, SourceError> {
        let mut found = self.0.borrow().next(after);
        if let Found::Lines(Lines { bytes, file_end, .. }) = &mut found {
            let mut taken = 0;
            for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                if taken > 0 && taken + line.len() > bytes_max {
                    break;
                }
                taken += line.len();
            }
            *file_end &= taken == bytes.len();
            bytes.truncate(taken);
        }
        Ok(found)
    }

    fn find(&mut self, start: &Position, end: u64) -> Result<Held, SourceError> {
        let files = self.0.borrow();
        let Some(file) = files.files.iter().find(|file| file.name == start.file) else {
            return Ok(Held::Removed { bytes: None });
        };
        if !file.is_here {
            return Ok(Held::Removed { bytes: Some(file.bytes.len() as u64) });
        }
        if file.birth() != Some(start.birth) {
            return Ok(Held::Other("it begins with another line".to_owned()));
        }
        let bytes = file.bytes.get(start.offset as usize..end as usize);
        Ok(bytes.map_or_else(
            || Held::Other("it is shorter".to_owned()),
            |bytes| Held::Bytes(bytes.to_vec()),
        ))
    }

    fn waits_after(&mut self, _: &str) -> Result<Option<String>, SourceError> {
        Ok(None)
    }

    fn lacks_oldest(&mut self) -> Result<bool, SourceError> {
        Ok(self.0.borrow().files.iter().any(|file| !file.is_here))
    }

    fn hold(&mut self, block: &Header) -> Result<(), SourceError> {
        let files = self.0.borrow();
        if block.fields.lines == 0 {
            return Ok(());
        }
        let file = files.file(&block.fields.file);
        let is_safe = file.shippable().len() as u64 >= block.fields.end;
        assert!(is_safe, "lines are shipped that a power loss can take away");
        Ok(())
    }

    fn release(&mut self, position: &Position) -> Result<(), SourceError> {
        self.0.borrow_mut().needed = Some(position.file.clone());
        Ok(())
    }

    fn needed_file(&self) -> Option<String> {
        self.0.borrow().needed.clone()
    }

    fn births(&mut self) -> Result<Vec<(String, Hash)>, SourceError> {
        let files = self.0.borrow();
        let here = files.files.iter().filter(|file| file.is_here);
        Ok(here.filter_map(|file| Some((file.name.clone(), file.birth()?))).collect())
    }
}
