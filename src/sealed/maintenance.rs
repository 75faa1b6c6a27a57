//! The maintenance thread: sees to sealed files when there is one more, and every hour.
//!
//! A file that an appender began is ours. It is sealed unless it is one of the two that are
//! written to now: the lock says that there is no other appender. Any other file may still be open
//! elsewhere, in OpenVidu's own server for example, which begins a file each day. It is sealed,
//! and gets its line in the manifest, once nobody wrote to it for longer than a day. It is
//! compressed and removed only if we are told to manage files that we did not create, too.
//!
//! What fails is told and tried again, later and later. No file is given up for another one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::age::{Jump, Watch};
#[cfg(feature = "compress")]
use super::compression::{Compression, Compressor};
use super::directory::{self, Found};
use super::retention::Retention;
use super::step::{Halt, Step};
#[cfg(feature = "manifest")]
use super::{
    content::{BLOCK_BYTES, Content, can_decode},
    manifest::{ManifestEntry, Measure, SealedFile},
    manifest_writer::{Listed, ManifestWriter},
};
use crate::error::MaintenanceError;
use crate::file::FileNamer;
use crate::notice::Notice;
use crate::pipeline::Pipeline;
use crate::sync::EndGuard;

/// How often the age of files is looked at.
const ROUND_INTERVAL: Duration = Duration::from_secs(3600);

/// When a failed round is tried again at first; it doubles up to `ROUND_INTERVAL`.
const RETRY_INTERVAL_MIN: Duration = Duration::from_secs(60);

/// Since when nobody may have written to a file of unknown origin: a day, and an hour for the day
/// on which summer time ends.
#[cfg(any(feature = "compress", feature = "manifest"))]
const FOREIGN_AGE_MIN: Duration = Duration::from_secs(25 * 3600);

/// Everything else that wants the processor goes first.
const NICENESS: i32 = 10;

/// What is done with sealed files.
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
    /// The clock has jumped, and that was told.
    jump_told: bool,
    #[cfg(feature = "compress")]
    compressor: Compressor,
    #[cfg(feature = "manifest")]
    manifest: ManifestWriter,
    /// Removals that could not be listed, on a full disk for example.
    #[cfg(feature = "manifest")]
    unlisted: Vec<ManifestEntry>,
    pipeline: Arc<Pipeline>,
    /// Plain names of files that are sealed because we know who wrote them.
    known: HashSet<String>,
    /// Files of which a failure was told since the last round without any.
    told: HashSet<PathBuf>,
    retry_interval: Duration,
}

/// The failures of a round.
type Failures = Vec<(PathBuf, MaintenanceError)>;

impl Maintenance {
    /// The maintenance of `directory`. `known` are the names of the files that appenders began.
    pub(crate) fn new(
        directory: &Path,
        calendar: FileNamer,
        rules: Rules,
        known: HashSet<String>,
        pipeline: Arc<Pipeline>,
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
            manifest: ManifestWriter::new(&calendar.disk, directory),
            #[cfg(feature = "manifest")]
            unlisted: Vec::new(),
            calendar,
            pipeline,
            known,
            told: HashSet::new(),
            retry_interval: RETRY_INTERVAL_MIN,
        }
    }

    /// Runs until it is stopped.
    pub(crate) fn run(mut self) {
        // Being nicer is always allowed; where it is not, nothing but the priority is lost.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        let pipeline = self.pipeline.clone();
        let inbox = &pipeline.maintenance;
        inbox.attach();
        // Whoever waits is told of the end, however it comes.
        let _guard = EndGuard::new(|| inbox.end());
        while !inbox.is_stopping() {
            let waiting = inbox.take_waiting();
            self.known.extend(inbox.take_sealed());
            let timeout = match self.round() {
                Ok(()) => {
                    waiting.iter().for_each(|waiting| drop(waiting.send(Ok(()))));
                    self.retry_interval = RETRY_INTERVAL_MIN;
                    ROUND_INTERVAL
                }
                Err(Halt::Failed(error)) => {
                    waiting.iter().for_each(|waiting| drop(waiting.send(Err(error.clone()))));
                    let timeout = self.retry_interval;
                    self.retry_interval = (timeout * 2).min(ROUND_INTERVAL);
                    timeout
                }
                Err(Halt::Stopped) => break,
            };
            inbox.sleep(timeout);
        }
        // The last chance: nobody knows of them once this thread has ended. A failure is told.
        #[cfg(feature = "manifest")]
        let _ = self
            .list_removals(&mut Failures::new())
            .and_then(|_| self.note_sync_failure(&mut Failures::new()));
    }

    /// Does everything that is due. The first failure, if there were any; what it does not concern
    /// is done all the same.
    fn round(&mut self) -> Step<()> {
        let mut failures = Failures::new();
        self.each_step(&mut failures)?;
        match failures.into_iter().next() {
            None => {
                self.told.clear();
                Ok(())
            }
            Some((_, error)) => Err(Halt::Failed(error)),
        }
    }

    fn each_step(&mut self, failures: &mut Failures) -> Step<()> {
        let Some(all) = self.find(failures)? else { return Ok(()) };
        let names: HashSet<_> = all.iter().map(|file| file.plain_name.clone()).collect();
        self.known.retain(|name| names.contains(name));
        // Looked up after the files: one that was created since is not among them.
        let open = self.pipeline.open_paths();
        // And this after those: a file of ours that is not open any more is known by now.
        self.known.extend(self.pipeline.maintenance.take_sealed());
        let is_settled = |file: &&Found| !open.contains(&file.path);
        let settled: Vec<Found> = all.iter().filter(is_settled).cloned().collect();
        #[cfg(feature = "manifest")]
        let is_readable = self.read_manifest(&names, failures)?;
        #[cfg(all(feature = "compress", not(feature = "manifest")))]
        let is_readable = true;
        #[cfg(any(feature = "compress", feature = "manifest"))]
        if is_readable {
            let sealed = self.sealed_of(&settled);
            #[cfg(feature = "manifest")]
            self.list(&sealed, failures)?;
            #[cfg(feature = "compress")]
            self.compress(&sealed, &all, failures)?;
        }
        let Some(files) = self.find(failures)? else { return Ok(()) };
        let files = self.retained(files);
        self.remove_surplus(&files, &settled, failures)?;
        #[cfg(feature = "manifest")]
        self.note_sync_failure(failures)?;
        Ok(())
    }

    /// What is in the directory now; `None` where it cannot be read.
    fn find(&mut self, failures: &mut Failures) -> Step<Option<Vec<Found>>> {
        let found = directory::find(&self.calendar.disk, &self.directory);
        let directory = self.directory.clone();
        self.note(&directory, found.map_err(Halt::from), failures)
    }

    /// Notes a failure and goes on; `None` where there was one.
    fn note<T>(
        &mut self,
        path: &Path,
        outcome: Step<T>,
        failures: &mut Failures,
    ) -> Step<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Halt::Stopped) => Err(Halt::Stopped),
            Err(Halt::Failed(error)) => {
                self.pipeline.counters.maintenance.maintenance_errors.add_alone(1);
                if self.told.insert(path.to_owned()) {
                    self.pipeline.listener.tell(&Notice::MaintenanceFails(error.clone()));
                }
                failures.push((path.to_owned(), error));
                Ok(None)
            }
        }
    }

    fn now(&self) -> SystemTime {
        time_of(&self.calendar)
    }

    /// Whether compression and retention hold for the file.
    fn is_managed(&self, file: &Found) -> bool {
        self.manage_foreign || self.known.contains(&file.plain_name)
    }

    /// Those of `files` that retention holds for: not the files of other programs, which it is no
    /// help to count where none of them may go. The open ones are ours too.
    fn retained(&self, files: Vec<Found>) -> Vec<Found> {
        let open = self.pipeline.open_paths();
        let mut files = files;
        files.retain(|file| self.is_managed(file) || open.contains(&file.path));
        files
    }

    /// The time by which files are old; where the clock has jumped, that is told.
    fn age_time(&mut self, files: &[Found]) -> SystemTime {
        let now = self.now();
        let Some(age_max) = self.retention.age_max else { return now };
        let time = self.watch.age_time(files.iter().map(|file| file.modified), now, age_max);
        let jump = time.jump.filter(|_| self.retention.spares_any(files, time.now, now));
        let was_told = std::mem::replace(&mut self.jump_told, jump.is_some());
        if let Some(Jump { skipped, believed_in }) = jump
            && !was_told
        {
            self.pipeline.listener.tell(&Notice::ClockJumped { skipped, believed_in });
        }
        time.now
    }

    /// Removes what is too old or too much of `files`. One that was sealed in the meantime, and is
    /// not among `settled`, has its turn in the next round, once it has its line in the manifest.
    fn remove_surplus(
        &mut self,
        files: &[Found],
        settled: &[Found],
        failures: &mut Failures,
    ) -> Step<()> {
        let settled: HashSet<_> = settled.iter().map(|file| file.plain_name.as_str()).collect();
        let is_open = |file: &Found| !settled.contains(file.plain_name.as_str());
        let now = self.age_time(files);
        for file in self.retention.surplus(files, now, is_open) {
            if self.pipeline.maintenance.is_stopping() {
                return Err(Halt::Stopped);
            }
            #[cfg(feature = "manifest")]
            self.list_removal(file, failures)?;
            let removed = self.remove(file);
            self.note(&file.path, removed, failures)?;
        }
        Ok(())
    }

    fn remove(&mut self, file: &Found) -> Step<()> {
        self.known.remove(&file.plain_name);
        self.calendar.disk.remove(&file.path)?;
        let counters = &self.pipeline.counters.maintenance;
        counters.files_removed.add_alone(1);
        counters.bytes_removed.add_alone(file.bytes);
        let (path, bytes) = (file.path.clone(), file.bytes);
        self.pipeline.listener.tell(&Notice::FileRemoved { path, bytes });
        Ok(())
    }
}

/// What the clock tells; a time by which no file is old where that is nonsense.
fn time_of(calendar: &FileNamer) -> SystemTime {
    calendar.now().timestamp().try_into().unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(any(feature = "compress", feature = "manifest"))]
impl Maintenance {
    /// Those of `settled` that nothing is written to any more.
    fn sealed_of(&self, settled: &[Found]) -> Vec<Found> {
        let now = self.now();
        settled.iter().filter(|file| self.is_sealed(file, now)).cloned().collect()
    }

    fn is_sealed(&self, file: &Found, now: SystemTime) -> bool {
        #[cfg(feature = "manifest")]
        if self.manifest.listed(&file.plain_name).is_some() {
            return true;
        }
        self.known.contains(&file.plain_name)
            || now.duration_since(file.modified).unwrap_or_default() > FOREIGN_AGE_MIN
    }
}

#[cfg(feature = "compress")]
impl Maintenance {
    fn compress(&mut self, sealed: &[Found], all: &[Found], failures: &mut Failures) -> Step<()> {
        let cleaned = self.compressor.clean_up();
        let directory = self.directory.clone();
        self.note(&directory, cleaned.map_err(Halt::from), failures)?;
        for file in sealed {
            if !self.is_managed(file) {
                continue;
            }
            let compressed = self.compressor.compress(file, all, &self.pipeline.maintenance);
            if self.note(&file.path, compressed, failures)? == Some(true) {
                self.pipeline.counters.maintenance.files_compressed.add_alone(1);
            }
        }
        Ok(())
    }
}

#[cfg(feature = "manifest")]
impl Maintenance {
    /// Reads the manifest, and of it keeps what it says of files called `names`; `false` where it
    /// cannot be read.
    fn read_manifest(&mut self, names: &HashSet<String>, failures: &mut Failures) -> Step<bool> {
        let read = self.manifest.retain(names).map_err(Halt::from);
        let path = self.manifest.path().to_owned();
        Ok(self.note(&path, read, failures)?.is_some())
    }

    /// A sync of the manifest that failed fails every round from then on.
    fn note_sync_failure(&mut self, failures: &mut Failures) -> Step<()> {
        let Some(failure) = self.manifest.sync_failure().cloned() else { return Ok(()) };
        let path = self.manifest.path().to_owned();
        self.note(&path, Err::<(), _>(Halt::Failed(MaintenanceError::sync(failure))), failures)?;
        Ok(())
    }

    /// Lists the removals that could not be listed before; `false` where they still cannot.
    fn list_removals(&mut self, failures: &mut Failures) -> Step<bool> {
        while let Some(removal) = self.unlisted.pop() {
            let listed = self.manifest.append(&removal).map_err(Halt::from);
            let path = self.manifest.path().to_owned();
            if self.note(&path, listed, failures)?.is_none() {
                self.unlisted.push(removal);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives each file its line in the manifest that has none yet.
    fn list(&mut self, files: &[Found], failures: &mut Failures) -> Step<()> {
        if !self.list_removals(failures)? {
            return Ok(());
        }
        for file in files {
            let listed = self.list_file(file);
            self.note(&file.path, listed, failures)?;
        }
        Ok(())
    }

    fn list_file(&mut self, file: &Found) -> Step<()> {
        let is_to_be_listed = match self.manifest.look_up(&file.plain_name)? {
            None => true,
            Some(Listed::Sealed) => false,
            // A new file got the name of one that retention had removed.
            Some(Listed::Removed) => self.known.contains(&file.plain_name),
        };
        if is_to_be_listed
            && can_decode(file.name.encoding)
            && let Some(finished) = self.measure(file)?
        {
            self.manifest.append(&ManifestEntry::Finished(finished))?;
            self.pipeline.counters.maintenance.files_listed.add_alone(1);
        }
        Ok(())
    }

    /// Reads the file through; `None` where it is gone.
    fn measure(&self, file: &Found) -> Step<Option<SealedFile>> {
        let disk = &self.calendar.disk;
        let Some(mut content) = Content::open(disk, &file.path, file.name.encoding)? else {
            return Ok(None);
        };
        let mut measure = Measure::new();
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            if self.pipeline.maintenance.is_stopping() {
                return Err(Halt::Stopped);
            }
            let read = content.fill(&mut block)?;
            if read == 0 {
                return Ok(Some(measure.finish(&file.plain_name)));
            }
            measure.update(block.get(..read).unwrap_or_default());
        }
    }

    /// Before the file is removed, so that a process that ends in between leaves no gap that nobody
    /// explains. Where it fails the file is removed all the same: space may be just what is
    /// missing.
    fn list_removal(&mut self, file: &Found, failures: &mut Failures) -> Step<()> {
        let name = file.plain_name.clone();
        let since_1970 = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let removed_at = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        let removal = ManifestEntry::Removed { name, removed_at };
        let listed = match self.manifest.look_up(&file.plain_name) {
            Ok(Some(Listed::Sealed)) => self.manifest.append(&removal),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        let path = self.manifest.path().to_owned();
        if self.note(&path, listed.map_err(Halt::from), failures)?.is_none() {
            self.unlisted.push(removal);
        }
        Ok(())
    }
}
