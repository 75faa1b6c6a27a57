//! The list of files that appenders created in a directory.
//!
//! Only these files are ours: compression and retention leave every other file alone, and only for
//! these is it known, once the lock is held, that nobody writes to them any more. A name is noted
//! and synced before the file is created; otherwise a power loss could leave a file of unknown
//! origin.
//!
//! The list also remembers the last stamp that a file ever had, so that names continue after it if
//! the directory was emptied and the clock was set back.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::calendar::FileNamer;
use super::name::{Encoding, FileName, FileStamp, STATE_DIR_NAME};
use crate::storage::{Disk, DiskFile, DiskResult};

/// The length above which an open drops the names of files that are gone: about 35 000 names. A
/// file that is moved away and back is ours until then.
const BYTES_MAX: u64 = 1 << 20;

/// Anything longer between two line feeds is not a name.
const NAME_BYTES_MAX: usize = 255;

/// The list `.cdrlog/begun`, one name per line.
#[derive(Clone, Debug)]
pub(crate) struct CreatedFiles {
    disk: Disk,
    directory: PathBuf,
}

/// What is in a directory when it is opened. Names are without `.zst` or `.gz`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    /// The files that appenders created.
    pub(crate) ours: HashSet<String>,
    /// The number of other CDR and rejects files.
    pub(crate) foreign_files: usize,
    /// No appender has ever created a file here.
    pub(crate) is_first_opening: bool,
    list_bytes: u64,
    last_name: Option<String>,
}

/// A name that was added to the list and may not survive a power loss yet.
#[derive(Debug)]
#[must_use]
pub(crate) struct UnsyncedName {
    disk: Disk,
    list: DiskFile,
    is_new_list: bool,
}

impl UnsyncedName {
    pub(crate) fn sync(&self) -> DiskResult<()> {
        self.list.sync_data()?;
        match self.list.path().parent() {
            Some(directory) if self.is_new_list => self.disk.sync_directory(directory),
            _ => Ok(()),
        }
    }
}

impl CreatedFiles {
    pub(crate) fn new(disk: &Disk, directory: &Path) -> Self {
        Self { disk: disk.clone(), directory: directory.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(STATE_DIR_NAME).join("begun")
    }

    /// Notes that the file at `path` will be created.
    pub(crate) fn add(&self, path: &Path) -> DiskResult<()> {
        self.write(path)?.sync()
    }

    /// Like `add`, but the caller syncs, and must not retry a failed sync.
    pub(crate) fn write(&self, path: &Path) -> DiskResult<UnsyncedName> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let list = self.disk.open_or_create_appending(&self.path())?;
        let is_new_list = list.bytes()? == 0;
        // A part of a name is not a name, and the next attempt adds it whole.
        list.append_all(format!("\n{name}\n").as_bytes())?;
        Ok(UnsyncedName { disk: self.disk.clone(), list, is_new_list })
    }

    /// Lists the directory, and makes names by `calendar` follow all that exist or ever existed.
    pub(crate) fn look(&self, calendar: &FileNamer) -> DiskResult<Inventory> {
        let mut foreign = HashSet::new();
        for name in self.disk.names(&self.directory)? {
            calendar.follow(&name);
            if FileName::parse(&name).is_some() {
                foreign.insert(Encoding::of_name(&name).0.to_owned());
            }
        }
        let Some(list) = self.disk.open_existing(&self.path())? else {
            let foreign_files = foreign.len();
            return Ok(Inventory { foreign_files, is_first_opening: true, ..Inventory::default() });
        };
        let mut inventory = Inventory { list_bytes: list.bytes()?, ..Inventory::default() };
        let mut last = None;
        for_each_name(&list, inventory.list_bytes, |name| {
            calendar.follow(name);
            if let Some(ours) = foreign.take(name) {
                inventory.ours.insert(ours);
            }
            let stamp = FileStamp::of_name(name);
            if stamp
                .is_some_and(|stamp| last.is_none_or(|last: FileStamp| last.latest(stamp) != last))
            {
                (last, inventory.last_name) = (stamp, Some(name.to_owned()));
            }
        })?;
        inventory.foreign_files = foreign.len();
        Ok(inventory)
    }

    /// The names in the list, whether their files exist or not.
    #[cfg(feature = "synced")]
    pub(crate) fn names(&self) -> DiskResult<HashSet<String>> {
        let mut names = HashSet::new();
        if let Some(list) = self.disk.open_reading(&self.path())? {
            for_each_name(&list, list.bytes()?, |name| {
                names.insert(name.to_owned());
            })?;
        }
        Ok(names)
    }

    /// Drops the names of files that are gone from a list that has become long, except for the last
    /// one.
    pub(crate) fn shorten(&self, inventory: &Inventory) -> DiskResult<()> {
        if inventory.list_bytes <= BYTES_MAX {
            return Ok(());
        }
        let last = inventory.last_name.as_ref().filter(|name| !inventory.ours.contains(*name));
        let names = inventory.ours.iter().chain(last);
        let list: String = names.map(|name| format!("{name}\n")).collect();
        if list.is_empty() {
            return self.disk.remove(&self.path());
        }
        self.disk.replace(&self.path(), list.as_bytes()).map(drop)
    }
}

/// The names in the list; anything else between them is skipped.
fn for_each_name(list: &DiskFile, bytes: u64, mut take: impl FnMut(&str)) -> DiskResult<()> {
    let mut line = Vec::new();
    list.for_each_block(0..bytes, |block| {
        for part in block.split_inclusive(|&byte| byte == b'\n') {
            // Of a longer line, read no more than shows that it is not a name.
            let room = (NAME_BYTES_MAX + 2).saturating_sub(line.len());
            line.extend_from_slice(part.get(..room).unwrap_or(part));
            if part.ends_with(b"\n") {
                let name = line.strip_suffix(b"\n").and_then(|name| std::str::from_utf8(name).ok());
                name.filter(|name| FileName::parse(name).is_some()).map(&mut take);
                line.clear();
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use std::fs;

    struct Place {
        directory: tempfile::TempDir,
        created_files: CreatedFiles,
    }

    impl Place {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir(directory.path().join(STATE_DIR_NAME)).unwrap();
            let created_files = CreatedFiles::new(&Disk::default(), directory.path());
            Self { directory, created_files }
        }

        fn add(&self, name: &str) {
            self.created_files.add(&self.directory.path().join(name)).unwrap();
        }

        fn make(&self, name: &str) {
            fs::write(self.directory.path().join(name), "").unwrap();
        }

        /// What an open at the start of 1970 finds, and the name that it assigns.
        fn look(&self) -> (Inventory, String) {
            let clock = crate::file::Clock::telling(|| jiff::Timestamp::UNIX_EPOCH);
            let calendar =
                FileNamer::new(&Disk::default(), self.directory.path(), TimeZone::UTC, clock);
            let inventory = self.created_files.look(&calendar).unwrap();
            (inventory, calendar.take_stamp().cdr_name())
        }
    }

    fn name(number: u32) -> String {
        format!(
            "CDR.2026-01-01_{:02}-{:02}-{:02}.log",
            number / 3600,
            number / 60 % 60,
            number % 60
        )
    }

    #[test]
    fn names_are_known_whatever_stands_between_them() {
        let place = Place::new();
        let (empty, next) = place.look();
        assert!(empty.ours.is_empty() && empty.is_first_opening);
        assert_eq!(next, "CDR.1970-01-01_00-00-00.log");
        place.add(&name(1));
        let torn =
            [&fs::read(place.created_files.path()).unwrap()[..], b"CDR.2026-\xff\0", &[0; 9999]];
        fs::write(place.created_files.path(), torn.concat()).unwrap();
        place.add(&name(2));
        (1..4).for_each(|number| place.make(&name(number)));
        let (inventory, _) = place.look();
        assert_eq!(inventory.ours, HashSet::from([name(1), name(2)]));
        assert_eq!((inventory.foreign_files, inventory.is_first_opening), (1, false));
    }

    #[test]
    fn a_file_that_is_there_is_ours_for_ever_compressed_or_not_however_long_the_list_is() {
        let place = Place::new();
        let list: String = (0..40_000).map(|number| name(number % 20_000) + "\n").collect();
        fs::write(place.created_files.path(), list).unwrap();
        place.make(&name(1));
        place.make(&(name(2) + ".zst"));
        for _ in 0..2 {
            let (inventory, next) = place.look();
            assert_eq!(inventory.ours, HashSet::from([name(1), name(2)]));
            assert_eq!(next, "CDR.2026-01-01_05-33-20.0001.log");
            place.created_files.shorten(&inventory).unwrap();
            assert!(fs::metadata(place.created_files.path()).unwrap().len() < 100);
        }
    }

    #[test]
    fn names_go_on_after_the_last_one_in_a_directory_that_was_emptied() {
        let place = Place::new();
        place.add("CDR.2026-01-02_00-00-00.0007.log");
        place.add(&name(1));
        let (inventory, next) = place.look();
        assert!(inventory.ours.is_empty());
        assert_eq!(next, "CDR.2026-01-02_00-00-00.0008.log");
    }
}
