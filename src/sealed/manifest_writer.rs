//! Writes the manifest.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::hash::Hash;
use super::manifest::{Entries, ManifestEntry, ManifestError, path_in};
use crate::storage::{Disk, DiskError, DiskFile, DiskResult};

/// The latest entry of a file in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    Sealed,
    Removed,
}

/// The manifest, opened for appending.
///
/// Each line is synced before the next is written, so at most the last one can be torn. After a
/// failed sync nothing is synced any more, and the error stays: a second sync may succeed although
/// the lines are gone. Lines are still written. The chain continues after whatever is there: a link
/// that another program broke stays visible for ever.
#[derive(Debug)]
pub(crate) struct ManifestWriter {
    disk: Disk,
    path: PathBuf,
    /// `None` before the first use, and after an error: the file is then read again.
    open: Option<OpenManifest>,
    sync_failure: Option<DiskError>,
}

#[derive(Debug)]
struct OpenManifest {
    /// `None` if there is no manifest yet.
    file: Option<DiskFile>,
    last: Hash,
    listed: HashMap<String, Listed>,
}

impl ManifestWriter {
    pub(crate) fn new(disk: &Disk, directory: &Path) -> Self {
        Self { disk: disk.clone(), path: path_in(directory), open: None, sync_failure: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the manifest if it is not open, and forgets all files except `names`: there may have
    /// been many more over the years.
    pub(crate) fn retain(&mut self, names: &HashSet<String>) -> DiskResult<()> {
        self.open()?.listed.retain(|name, _| names.contains(name));
        Ok(())
    }

    /// What the manifest says of the file of that name, which is without `.zst` or `.gz`. `None`
    /// also if it is not open.
    pub(crate) fn listed(&self, name: &str) -> Option<Listed> {
        self.open.as_ref()?.listed.get(name).copied()
    }

    /// Like [`listed`](Self::listed), but opens the manifest if it is not open.
    pub(crate) fn look_up(&mut self, name: &str) -> DiskResult<Option<Listed>> {
        Ok(self.open()?.listed.get(name).copied())
    }

    /// The first sync that failed.
    pub(crate) fn sync_failure(&self) -> Option<&DiskError> {
        self.sync_failure.as_ref()
    }

    /// Syncs, unless a sync has failed.
    fn sync(&mut self, sync: impl FnOnce() -> DiskResult<()>) {
        if self.sync_failure.is_none() {
            self.sync_failure = sync().err();
        }
    }

    /// Appends a line. If this fails, the line is there as a whole or repaired later.
    /// [`sync_failure`](Self::sync_failure) says whether it may not survive a power loss.
    pub(crate) fn append(&mut self, entry: &ManifestEntry) -> DiskResult<()> {
        self.open()?;
        // Taken out, so that after an error everything is read again.
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let mut line = entry
            .line(open.last)
            .map_err(|error| DiskError::new("spell a line for", &self.path, error.into()))?;
        open.last = hash_of(&line);
        line.push('\n');
        let file = match open.file.take() {
            Some(file) => file,
            None => self.create()?,
        };
        file.append_all(line.as_bytes())?;
        self.sync(|| file.sync_data());
        open.file = Some(file);
        let listed = match entry {
            ManifestEntry::Sealed(_) => Listed::Sealed,
            ManifestEntry::Removed { .. } => Listed::Removed,
        };
        open.listed.insert(entry.name().to_owned(), listed);
        self.open = Some(open);
        Ok(())
    }

    fn create(&mut self) -> DiskResult<DiskFile> {
        let file = self.disk.create_appending(&self.path)?;
        if let Some(directory) = self.path.parent() {
            let (disk, directory) = (self.disk.clone(), directory.to_owned());
            self.sync(|| disk.sync_directory(&directory));
        }
        Ok(file)
    }

    fn open(&mut self) -> DiskResult<&mut OpenManifest> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.read()?,
        };
        Ok(self.open.insert(open))
    }

    /// Reads through the manifest. [`Manifest::read`](super::manifest::Manifest::read) checks the
    /// chain.
    fn read(&mut self) -> DiskResult<OpenManifest> {
        let mut listed = HashMap::new();
        let mut entries = Entries::open_on(&self.disk, &self.path)?;
        for entry in &mut entries {
            match entry {
                Ok(ManifestEntry::Sealed(file)) => {
                    listed.insert(file.name, Listed::Sealed);
                }
                Ok(ManifestEntry::Removed { name, .. }) => {
                    listed.insert(name, Listed::Removed);
                }
                Err(ManifestError::Io { action, path, source }) => {
                    return Err(DiskError { action, path, source });
                }
                Err(ManifestError::Broken { .. }) => {}
            }
        }
        let file = self.disk.open_existing(&self.path)?;
        if let Some(file) = &file {
            self.set_aside(file, entries.torn_range())?;
        }
        let file = if file.is_some() { self.disk.open_appending(&self.path)? } else { None };
        Ok(OpenManifest { file, last: entries.last_hash(), listed })
    }

    /// Moves a torn line to another file. If this is killed in between, it is done again.
    fn set_aside(&mut self, file: &DiskFile, torn: Range<u64>) -> DiskResult<()> {
        if torn.is_empty() {
            return Ok(());
        }
        let beside = self.path.with_extension("torn");
        let beside = self.disk.open_or_create_appending(&beside)?;
        file.for_each_block(torn.clone(), |bytes| beside.append_all(bytes))?;
        self.sync(|| beside.sync_all());
        file.set_len(torn.start)?;
        self.sync(|| file.sync_data());
        Ok(())
    }
}

fn hash_of(line: &str) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(line.as_bytes());
    Hash::of_hasher(&hasher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::manifest::{Manifest, ManifestFault, Measure, SealedFile};
    use std::fs;

    fn entry(number: u64) -> ManifestEntry {
        let mut measure = Measure::new();
        measure.update(format!("{{\"e\":{{\"timestamp\":{number}}}}}\n").as_bytes());
        ManifestEntry::Sealed(measure.finish(&format!("file {number}")))
    }

    fn writer() -> (tempfile::TempDir, ManifestWriter) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(crate::file::STATE_DIR_NAME)).unwrap();
        let writer = ManifestWriter::new(&Disk::default(), directory.path());
        (directory, writer)
    }

    fn names(directory: &Path) -> Vec<String> {
        let manifest = Manifest::read(directory).unwrap();
        manifest.files().map(|file| file.sealed.name.clone()).collect()
    }

    #[test]
    fn the_lines_are_spelled_as_documented() {
        let (directory, mut writer) = writer();
        writer.append(&entry(1)).unwrap();
        let name = "file 1".to_owned();
        writer.append(&ManifestEntry::Removed { name, removed_at: 5 }).unwrap();
        let text = fs::read_to_string(path_in(&directory)).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let content = blake3::hash(b"{\"e\":{\"timestamp\":1}}\n");
        let (zeros, first) = ("0".repeat(64), blake3::hash(lines[0].as_bytes()));
        let expected = [
            format!(
                "{{\"name\":\"file 1\",\"lines\":1,\"bytes\":22,\"first_timestamp\":1,\
                 \"last_timestamp\":1,\"blake3\":\"{content}\",\"previous\":\"{zeros}\"}}"
            ),
            format!("{{\"name\":\"file 1\",\"removed_at\":5,\"previous\":\"{first}\"}}"),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_writer_goes_on_where_the_last_one_ended() {
        let (directory, mut writer) = writer();
        for number in 0..3 {
            writer.append(&entry(number)).unwrap();
            writer = ManifestWriter::new(&Disk::default(), directory.path());
        }
        assert_eq!(names(directory.path()), ["file 0", "file 1", "file 2"]);
        assert_eq!(writer.listed("file 1"), None);
        writer.retain(&["file 1", "file 3"].map(str::to_owned).into()).unwrap();
        let listed = [0, 1, 3].map(|number| writer.listed(&format!("file {number}")));
        assert_eq!(listed, [None, Some(Listed::Sealed), None]);
    }

    #[test]
    fn a_line_torn_anywhere_is_set_aside_before_the_next_is_written() {
        let (directory, mut writer) = writer();
        writer.append(&entry(0)).unwrap();
        let path = path_in(&directory);
        let whole = fs::read(&path).unwrap();
        writer.append(&entry(1)).unwrap();
        let both = fs::read(&path).unwrap();
        for end in whole.len() + 1..both.len() {
            let mut torn = both[..end].to_vec();
            fs::write(&path, &torn).unwrap();
            // As a reader sees a line that is being written.
            let found: Vec<_> = Entries::open(&directory).unwrap().collect();
            assert!(matches!(
                found[..],
                [Ok(_), Err(ManifestError::Broken { line: 2, fault: ManifestFault::Torn, .. })]
            ));
            // A page that did not reach the disk reads as NULs.
            if end % 2 == 0 {
                torn.resize(both.len(), 0);
                torn[both.len() - 1] = b'\n';
                fs::write(&path, &torn).unwrap();
            }
            let mut writer = ManifestWriter::new(&Disk::default(), directory.path());
            assert_eq!(writer.listed("file 1"), None);
            writer.append(&entry(2)).unwrap();
            assert_eq!(names(directory.path()), ["file 0", "file 2"]);
            let aside = path.with_extension("torn");
            assert!(fs::read(&aside).unwrap() == torn[whole.len()..], "{end}");
            fs::remove_file(aside).unwrap();
        }
    }

    #[test]
    fn a_broken_link_is_found_and_stays_found_after_more_was_appended() {
        let (directory, mut writer) = writer();
        (0..4).for_each(|number| writer.append(&entry(number)).unwrap());
        let path = path_in(&directory);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        let altered = text.replacen("\"lines\":1", "\"lines\":2", 2);
        let forged = [
            ([lines[0], lines[2], lines[3]].concat(), 2),
            ([lines[1], lines[2], lines[3]].concat(), 1),
            ([lines[0], lines[1], lines[1], lines[2], lines[3]].concat(), 3),
            (altered, 2),
            (text.replacen("file 1", "file x", 1), 3),
            ([lines[0], "nonsense\n", lines[1]].concat(), 2),
        ];
        for (text, broken) in forged {
            fs::write(&path, &text).unwrap();
            for _ in 0..2 {
                match Manifest::read(&directory) {
                    Err(ManifestError::Broken { line, .. }) => assert_eq!(line, broken, "{text}"),
                    other => panic!("{text}: {other:?}"),
                }
                ManifestWriter::new(&Disk::default(), directory.path()).append(&entry(9)).unwrap();
            }
        }
    }

    #[test]
    fn a_file_that_is_no_manifest_is_read_without_harm() {
        let (directory, mut writer) = writer();
        let path = path_in(&directory);
        fs::write(&path, [&[b'x'; 100_000][..], b"\n", &[b'y'; 100_000], b"\n"].concat()).unwrap();
        assert_eq!(Entries::open(&directory).unwrap().count(), 2);
        writer.append(&entry(0)).unwrap();
        let last = Entries::open(&directory).unwrap().last().unwrap().unwrap();
        assert!(matches!(last, ManifestEntry::Sealed(SealedFile { lines: 1, .. })));
    }
}
