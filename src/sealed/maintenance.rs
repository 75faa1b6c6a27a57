//! A round of maintenance: everything that is due for the sealed files of a directory.
//!
//! A file that an appender created is ours. It is sealed unless it is one of the two open files:
//! the lock says that there is no other appender. Any other file may still be open elsewhere, for
//! example in OpenVidu's own server, which starts a file each day. It is sealed, and gets its line
//! in the manifest, once nobody has written to it for longer than a day. It is compressed and
//! removed only if we are to manage files that we did not create.
//!
//! Failures are reported and retried in the next round. A failure with one file does not stop the
//! others.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::age::{Jump, Watch};
#[cfg(feature = "compress")]
use super::compression::{Compression, Compressor};
use super::context::MaintenanceContext;
use super::directory::{self, Found};
use super::failures::Failures;
use super::retention::Retention;
use super::step::{Halt, Step};
#[cfg(feature = "manifest")]
use super::{listing::Listing, manifest_writer::ManifestWriter};
use crate::file::FileNamer;
use crate::notice::Notice;
use crate::pins::{self, Limit, Pins, UnreadablePin};

/// How long nobody may have written to a file of unknown origin: a day, and an hour for the day on
/// which summer time ends.
#[cfg(any(feature = "compress", feature = "manifest"))]
const FOREIGN_AGE_MIN: Duration = Duration::from_secs(25 * 3600);

/// The rules for sealed files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    #[cfg(feature = "compress")]
    pub(crate) compression: Compression,
    pub(crate) retention_age: Option<Duration>,
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) manage_foreign: bool,
}

pub(crate) struct Maintenance {
    directory: PathBuf,
    calendar: FileNamer,
    retention: Retention,
    manage_foreign: bool,
    watch: Watch,
    /// The clock has jumped, and that was reported.
    jump_told: bool,
    #[cfg(feature = "compress")]
    compressor: Compressor,
    #[cfg(feature = "manifest")]
    listing: Listing,
    context: MaintenanceContext,
    /// Plain names of files that are sealed because we know who wrote them.
    known: HashSet<String>,
    failures: Failures,
    /// The pins that could not be read, which was reported.
    unreadable_pins: Vec<UnreadablePin>,
}

impl Maintenance {
    /// The maintenance of `directory`. `known` are the names of the files that appenders created.
    pub(crate) fn new(
        directory: &Path,
        calendar: FileNamer,
        rules: Rules,
        known: HashSet<String>,
        context: MaintenanceContext,
    ) -> Self {
        let Rules { retention_age, retention_bytes, manage_foreign, .. } = rules;
        Self {
            directory: directory.to_owned(),
            retention: Retention { age_max: retention_age, bytes_max: retention_bytes },
            manage_foreign,
            watch: Watch::begin(time_of(&calendar)),
            jump_told: false,
            #[cfg(feature = "compress")]
            compressor: Compressor::new(&calendar.disk, directory, rules.compression),
            #[cfg(feature = "manifest")]
            listing: Listing::new(
                calendar.disk.clone(),
                ManifestWriter::new(&calendar.disk, directory),
                context.clone(),
            ),
            calendar,
            known,
            failures: Failures::new(context.counters.clone(), context.listener.clone()),
            context,
            unreadable_pins: Vec::new(),
        }
    }

    /// Does everything that is due. Returns the first failure, if any; everything that it does not
    /// concern is done.
    pub(crate) fn round(&mut self) -> Step<()> {
        self.known.extend(self.context.requests.take_sealed());
        self.each_step()?;
        self.failures.end_round()
    }

    /// Ends the maintenance: there is no further round.
    pub(crate) fn finish(&mut self) {
        #[cfg(feature = "manifest")]
        self.listing.finish(&mut self.failures);
    }

    fn each_step(&mut self) -> Step<()> {
        let Some(all) = self.find()? else { return Ok(()) };
        let names: HashSet<_> = all.iter().map(|file| file.plain_name.clone()).collect();
        self.known.retain(|name| names.contains(name));
        // Read after the files: one that was created since is not among them.
        let open = self.context.open_files.paths();
        // And this after those: a file of ours that is no longer open is known by now.
        self.known.extend(self.context.requests.take_sealed());
        let is_settled = |file: &&Found| !open.contains(&file.path);
        let settled: Vec<Found> = all.iter().filter(is_settled).cloned().collect();
        #[cfg(feature = "manifest")]
        let is_readable = self.listing.read(&names, &mut self.failures)?;
        #[cfg(all(feature = "compress", not(feature = "manifest")))]
        let is_readable = true;
        #[cfg(any(feature = "compress", feature = "manifest"))]
        if is_readable {
            let sealed = self.sealed_of(&settled);
            #[cfg(feature = "manifest")]
            self.listing.list(&sealed, &self.known, &mut self.failures)?;
            #[cfg(feature = "compress")]
            self.compress(&sealed, &all)?;
        }
        let Some(files) = self.find()? else { return Ok(()) };
        let files = self.retained(files);
        self.remove_surplus(&files, &settled)?;
        #[cfg(feature = "manifest")]
        self.listing.note_sync_failure(&mut self.failures)?;
        Ok(())
    }

    /// What is in the directory now; `None` if it cannot be read.
    fn find(&mut self) -> Step<Option<Vec<Found>>> {
        let found = directory::find(&self.calendar.disk, &self.directory);
        self.failures.note(&self.directory, found.map_err(Halt::from))
    }

    fn now(&self) -> SystemTime {
        time_of(&self.calendar)
    }

    /// Whether compression and retention apply to the file.
    fn is_managed(&self, file: &Found) -> bool {
        self.manage_foreign || self.known.contains(&file.plain_name)
    }

    /// Those of `files` that retention applies to: not the files of other programs, because none of
    /// them may be removed, whatever is counted. The open ones are ours too.
    fn retained(&self, files: Vec<Found>) -> Vec<Found> {
        let open = self.context.open_files.paths();
        let mut files = files;
        files.retain(|file| self.is_managed(file) || open.contains(&file.path));
        files
    }

    /// The time by which ages are measured; if the clock has jumped, this is reported.
    fn age_time(&mut self, files: &[Found]) -> SystemTime {
        let now = self.now();
        let Some(age_max) = self.retention.age_max else { return now };
        let time = self.watch.age_time(files.iter().map(|file| file.modified), now, age_max);
        let jump = time.jump.filter(|_| self.retention.spares_any(files, time.now, now));
        let was_told = std::mem::replace(&mut self.jump_told, jump.is_some());
        if let Some(Jump { skipped, believed_in }) = jump
            && !was_told
        {
            self.context.listener.tell(&Notice::ClockJumped { skipped, believed_in });
        }
        time.now
    }

    /// Removes those of `files` that are too old or too many. A file that was sealed in the
    /// meantime, and is not among `settled`, waits for the next round, when it has its line in the
    /// manifest.
    fn remove_surplus(&mut self, files: &[Found], settled: &[Found]) -> Step<()> {
        let settled: HashSet<_> = settled.iter().map(|file| file.plain_name.as_str()).collect();
        let Some(pins) = self.read_pins()? else { return Ok(()) };
        let is_kept = |file: &Found, limit: Limit| {
            !settled.contains(file.plain_name.as_str()) || pins.hold(file.name, limit)
        };
        let now = self.age_time(files);
        for (file, limit) in self.retention.surplus(files, now, is_kept) {
            if self.context.requests.is_stopping() {
                return Err(Halt::Stopped);
            }
            // Once more, just before: a pin may have been made since.
            if self.read_pins()?.is_none_or(|pins| pins.hold(file.name, limit)) {
                continue;
            }
            #[cfg(feature = "manifest")]
            self.listing.list_removal(file, self.now(), &mut self.failures)?;
            let removed = self.remove(file);
            self.failures.note(&file.path, removed)?;
        }
        Ok(())
    }

    /// What programs that ship the directory still need; `None` if that cannot be listed. A pin that
    /// cannot be read is reported once.
    fn read_pins(&mut self) -> Step<Option<Pins>> {
        let path = pins::path(&self.directory);
        let pins = Pins::read(&self.calendar.disk, &self.directory).map_err(Halt::from);
        let Some(pins) = self.failures.note(&path, pins)? else { return Ok(None) };
        for pin in pins.unreadable.iter().filter(|pin| !self.unreadable_pins.contains(pin)) {
            let UnreadablePin { path, fault } = pin.clone();
            self.context.listener.tell(&Notice::PinUnreadable { path, fault });
        }
        self.unreadable_pins.clone_from(&pins.unreadable);
        Ok(Some(pins))
    }

    fn remove(&mut self, file: &Found) -> Step<()> {
        self.known.remove(&file.plain_name);
        self.calendar.disk.remove(&file.path)?;
        let counters = &self.context.counters;
        counters.files_removed.add_alone(1);
        counters.bytes_removed.add_alone(file.bytes);
        let (path, bytes) = (file.path.clone(), file.bytes);
        self.context.listener.tell(&Notice::FileRemoved { path, bytes });
        Ok(())
    }
}

/// The time of the clock; if it is invalid, a time by which no file is old.
fn time_of(calendar: &FileNamer) -> SystemTime {
    calendar.now().timestamp().try_into().unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(any(feature = "compress", feature = "manifest"))]
impl Maintenance {
    /// Those of `settled` that are not being written.
    fn sealed_of(&self, settled: &[Found]) -> Vec<Found> {
        let now = self.now();
        settled.iter().filter(|file| self.is_sealed(file, now)).cloned().collect()
    }

    fn is_sealed(&self, file: &Found, now: SystemTime) -> bool {
        #[cfg(feature = "manifest")]
        if self.listing.has(&file.plain_name) {
            return true;
        }
        self.known.contains(&file.plain_name)
            || now.duration_since(file.modified).unwrap_or_default() > FOREIGN_AGE_MIN
    }
}

#[cfg(feature = "compress")]
impl Maintenance {
    fn compress(&mut self, sealed: &[Found], all: &[Found]) -> Step<()> {
        let cleaned = self.compressor.clean_up();
        self.failures.note(&self.directory, cleaned.map_err(Halt::from))?;
        for file in sealed {
            if !self.is_managed(file) {
                continue;
            }
            let compressed = self.compressor.compress(file, all, &self.context.requests);
            if self.failures.note(&file.path, compressed)? == Some(true) {
                self.context.counters.files_compressed.add_alone(1);
            }
        }
        Ok(())
    }
}
