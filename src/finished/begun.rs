//! Which files appenders began in a directory.
//!
//! Only of those is it known, once the lock is held, that nobody writes to them any more. A name is
//! noted and synced before the file is made: else a power loss would leave a file of unknown origin,
//! and retention might remove it before it had its line in the manifest.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::file::FileName;
use crate::file::disk::{Disk, DiskResult};

/// From which length on the names of files that are gone are left out at an opening: some thousand
/// names. Also more than is ever read.
const BYTES_MAX: u64 = 64 << 10;

/// The list `.cdrlog/begun`, a name a line.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    disk: Disk,
    directory: PathBuf,
}

impl Begun {
    pub(crate) fn new(disk: &Disk, directory: &Path) -> Self {
        Self { disk: disk.clone(), directory: directory.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(".cdrlog").join("begun")
    }

    /// The file at `path` will be made.
    pub(crate) fn add(&self, path: &Path) -> DiskResult<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let list = match self.disk.open_appending(&self.path())? {
            Some(list) => list,
            None => {
                let list = self.disk.create_appending(&self.path())?;
                self.disk.sync_directory(&self.directory.join(".cdrlog"))?;
                list
            }
        };
        // A part of a name is no name, and the next try adds it whole.
        let line = format!("\n{name}\n");
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            rest = rest.get(list.append(rest)?..).unwrap_or_default();
        }
        list.sync_data()
    }

    /// The names, at an opening. Makes the list shorter where it has become long.
    pub(crate) fn names(&self) -> DiskResult<HashSet<String>> {
        let Some(list) = self.disk.open_existing(&self.path())? else {
            return Ok(HashSet::new());
        };
        let bytes = list.bytes()?;
        let from = bytes.saturating_sub(2 * BYTES_MAX);
        let mut text = vec![0; (bytes - from) as usize];
        list.read_exact_at(&mut text, from)?;
        let text = String::from_utf8_lossy(&text);
        let mut names: HashSet<String> = text
            .lines()
            .filter(|name| FileName::parse(name).is_some())
            .map(str::to_owned)
            .collect();
        if bytes > BYTES_MAX {
            let there: HashSet<String> = self.disk.names(&self.directory)?.into_iter().collect();
            names.retain(|name| there.contains(name));
            let list: String = names.iter().map(|name| format!("{name}\n")).collect();
            if list.is_empty() {
                self.disk.remove(&self.path())?;
            } else {
                self.disk.replace(&self.path(), list.as_bytes())?;
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn names_are_remembered_whatever_stands_between_them_and_forgotten_once_the_list_is_long() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(".cdrlog")).unwrap();
        let begun = Begun::new(&Disk::default(), directory.path());
        assert!(begun.names().unwrap().is_empty());
        let path = |number: u32| {
            directory.path().join(format!(
                "CDR.2026-01-01_00-{:02}-{:02}.log",
                number / 60,
                number % 60
            ))
        };
        let name = |number| path(number).file_name().unwrap().to_str().unwrap().to_owned();
        begun.add(&path(1)).unwrap();
        let torn = [&fs::read(begun.path()).unwrap()[..], b"CDR.2026-\xff\0"].concat();
        fs::write(begun.path(), torn).unwrap();
        begun.add(&path(2)).unwrap();
        assert_eq!(begun.names().unwrap(), HashSet::from([name(1), name(2)]));
        for number in (1..2400).cycle().take(2400) {
            begun.add(&path(number)).unwrap();
        }
        fs::write(path(1), "").unwrap();
        fs::write(path(2000), "").unwrap();
        assert_eq!(begun.names().unwrap(), HashSet::from([name(1), name(2000)]));
        assert!(fs::metadata(begun.path()).unwrap().len() < 100);
        (1..2).for_each(|number| fs::remove_file(path(number)).unwrap());
        assert_eq!(begun.names().unwrap(), HashSet::from([name(1), name(2000)]));
    }
}
