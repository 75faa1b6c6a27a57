//! Writes the manifest lines of sealed files and removals.

use std::collections::HashSet;
use std::time::SystemTime;

use super::content::{BLOCK_BYTES, Content, can_decode};
use super::context::MaintenanceContext;
use super::directory::Found;
use super::failures::Failures;
use super::manifest::{ManifestEntry, Measure, SealedFile};
use super::manifest_writer::{Listed, ManifestWriter};
use super::step::{Halt, Step};
use crate::error::MaintenanceError;
use crate::storage::Disk;

pub(super) struct Listing {
    disk: Disk,
    manifest: ManifestWriter,
    /// Removals that could not be listed, for example on a full disk.
    unlisted: Vec<ManifestEntry>,
    context: MaintenanceContext,
}

impl Listing {
    pub(super) fn new(disk: Disk, manifest: ManifestWriter, context: MaintenanceContext) -> Self {
        Self { disk, manifest, unlisted: Vec::new(), context }
    }

    /// Whether the file has a line in the manifest, even if it is that of its removal.
    pub(super) fn has(&self, plain_name: &str) -> bool {
        self.manifest.listed(plain_name).is_some()
    }

    /// Reads the manifest and keeps the entries of the files `names`; `false` if it cannot be read.
    pub(super) fn read(&mut self, names: &HashSet<String>, failures: &mut Failures) -> Step<bool> {
        let read = self.manifest.retain(names).map_err(Halt::from);
        let path = self.manifest.path().to_owned();
        Ok(failures.note(&path, read)?.is_some())
    }

    /// The last chance for what is not listed yet: it is forgotten once the thread has ended. A
    /// failure is reported.
    pub(super) fn finish(&mut self, failures: &mut Failures) {
        let _ = self.list_removals(failures).and_then(|_| self.note_sync_failure(failures));
    }

    /// A failed sync of the manifest fails every later round.
    pub(super) fn note_sync_failure(&self, failures: &mut Failures) -> Step<()> {
        let Some(failure) = self.manifest.sync_failure().cloned() else { return Ok(()) };
        let path = self.manifest.path().to_owned();
        failures.note(&path, Err::<(), _>(Halt::Failed(MaintenanceError::sync(failure))))?;
        Ok(())
    }

    /// Lists the removals that could not be listed before; `false` where they still cannot.
    fn list_removals(&mut self, failures: &mut Failures) -> Step<bool> {
        while let Some(removal) = self.unlisted.pop() {
            let listed = self.manifest.append(&removal).map_err(Halt::from);
            let path = self.manifest.path().to_owned();
            if failures.note(&path, listed)?.is_none() {
                self.unlisted.push(removal);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes the manifest line of each file that has none yet.
    pub(super) fn list(
        &mut self,
        files: &[Found],
        known: &HashSet<String>,
        failures: &mut Failures,
    ) -> Step<()> {
        if !self.list_removals(failures)? {
            return Ok(());
        }
        for file in files {
            let listed = self.list_file(file, known);
            failures.note(&file.path, listed)?;
        }
        Ok(())
    }

    fn list_file(&mut self, file: &Found, known: &HashSet<String>) -> Step<()> {
        let is_to_be_listed = match self.manifest.look_up(&file.plain_name)? {
            None => true,
            Some(Listed::Sealed) => false,
            // A new file got the name of one that retention had removed.
            Some(Listed::Removed) => known.contains(&file.plain_name),
        };
        if is_to_be_listed
            && can_decode(file.name.encoding)
            && let Some(sealed) = self.measure(file)?
        {
            self.manifest.append(&ManifestEntry::Sealed(sealed))?;
            self.context.counters.files_listed.add_alone(1);
        }
        Ok(())
    }

    /// Reads the whole file; `None` if it is gone.
    fn measure(&self, file: &Found) -> Step<Option<SealedFile>> {
        let Some(mut content) = Content::open(&self.disk, &file.path, file.name.encoding)? else {
            return Ok(None);
        };
        let mut measure = Measure::new();
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            if self.context.requests.is_stopping() {
                return Err(Halt::Stopped);
            }
            let read = content.fill(&mut block)?;
            if read == 0 {
                return Ok(Some(measure.finish(&file.plain_name)));
            }
            measure.update(block.get(..read).unwrap_or_default());
        }
    }

    /// Called before the file is removed, so that a process that ends in between leaves no
    /// unexplained gap. If this fails, the file is removed all the same: space may be just what is
    /// missing.
    pub(super) fn list_removal(
        &mut self,
        file: &Found,
        now: SystemTime,
        failures: &mut Failures,
    ) -> Step<()> {
        let name = file.plain_name.clone();
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let removed_at = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        let removal = ManifestEntry::Removed { name, removed_at };
        let listed = match self.manifest.look_up(&file.plain_name) {
            Ok(Some(Listed::Sealed)) => self.manifest.append(&removal),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        let path = self.manifest.path().to_owned();
        if failures.note(&path, listed.map_err(Halt::from))?.is_none() {
            self.unlisted.push(removal);
        }
        Ok(())
    }
}
