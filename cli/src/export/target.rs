//! The directory of the export: what is there, and how files get there.
//!
//! Files are only created, never changed. A file is written under a temporary name, synced, and then
//! renamed without replacing anything, so what has its name is complete. What was exported is
//! derived from the names of the files and from nothing else.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cdrlog::reader::cdr_files;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use super::columns::FORMAT;
use crate::cdr_path::STATE_DIR_NAME;

/// The tables, each in a directory of its own.
const TABLES: [&str; 3] = ["events", "participants", "sessions"];

/// What the names of the directories of days begin with.
pub(super) const PARTITION: &str = "day=";

/// The names of temporary files are numbers, and end with this.
const TEMPORARY: &str = ".tmp";

/// What all files of the export have in common.
const DESCRIPTION: &str = "export.json";

/// What must not change from run to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) format: u64,
    /// The time zone of the days.
    pub(super) zone: String,
    /// The directories of the CDR, and the addresses of shipped records.
    pub(super) directories: Vec<String>,
    /// Of shipped records only these nodes, if there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) nodes: Vec<String>,
}

/// A file that has no name of its own yet.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    /// How many temporary files there were.
    begun: AtomicU64,
    /// Held as long as this run may write.
    _lock: File,
}

impl Target {
    /// Creates the directory if it does not exist, and removes what a killed run left.
    ///
    /// # Errors
    ///
    /// Another run is writing there, or it was exported with other directories or another time zone.
    pub(super) fn open(path: &Path, description: &Description) -> Result<Self, String> {
        let of_path = |error: io::Error| format!("cannot use {}: {error}", path.display());
        refuse_cdr(path)?;
        fs::create_dir_all(path).map_err(of_path)?;
        let lock = File::options().create(true).append(true).open(path.join(".lock"));
        let lock = lock.map_err(of_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!("another export is writing to {}", path.display()));
            }
            Err(TryLockError::Error(error)) => return Err(of_path(error)),
        }
        let target = Self { path: path.to_owned(), begun: AtomicU64::new(0), _lock: lock };
        target.remove_temporary_files().map_err(of_path)?;
        target.check(description)?;
        Ok(target)
    }

    fn check(&self, description: &Description) -> Result<(), String> {
        let path = self.path.join(DESCRIPTION);
        match fs::read(&path) {
            Ok(text) => {
                let known: Description = serde_json::from_slice(&text)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                if known == *description {
                    return Ok(());
                }
                let Description { format, zone, directories, nodes } = known;
                let why = if format != FORMAT {
                    format!("it has format {format}, and this version writes {FORMAT}")
                } else if zone != description.zone {
                    format!("its days are those of {zone}, not of {}", description.zone)
                } else if nodes != description.nodes {
                    match nodes.is_empty() {
                        true => "it has all nodes".to_owned(),
                        false => format!("it has the nodes {}", nodes.join(" ")),
                    }
                } else {
                    format!("it was made from {}", directories.join(" "))
                };
                let path = self.path.display();
                Err(format!("cannot add to {path}: {why}; name another directory, or do the same"))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let text = serde_json::to_vec(description).map_err(|error| error.to_string())?;
                let Begun { path: begun, mut file } = self.begin(Path::new(""))?;
                file.write_all(&text)
                    .map_err(|error| format!("cannot write {}: {error}", begun.display()))?;
                self.commit(&begun, &file, DESCRIPTION).map(|_| ())
            }
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }

    /// The names of the files below a directory of the export: its partitions and their files.
    pub(super) fn files(&self, table: &str) -> Result<Vec<(String, String)>, String> {
        let path = self.path.join(table);
        let mut found = Vec::new();
        let failed = |error: io::Error| format!("cannot list {}: {error}", path.display());
        let partitions = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            partitions => partitions.map_err(failed)?,
        };
        for partition in partitions {
            let partition = partition.map_err(failed)?;
            if !partition.file_type().map_err(failed)?.is_dir() {
                continue;
            }
            for file in fs::read_dir(partition.path()).map_err(failed)? {
                let name = file.map_err(failed)?.file_name();
                let day = partition.file_name().to_string_lossy().into_owned();
                found.push((day, name.to_string_lossy().into_owned()));
            }
        }
        Ok(found)
    }

    /// A temporary file in a directory of the export, which is created if it does not exist.
    pub(super) fn begin(&self, directory: &Path) -> Result<Begun, String> {
        let directory = self.path.join(directory);
        let failed = |error: io::Error| format!("cannot create {}: {error}", directory.display());
        create_synced(&directory).map_err(failed)?;
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{number}{TEMPORARY}"));
        let file = File::create(&path).map_err(failed)?;
        Ok(Begun { path, file })
    }

    /// Gives a temporary file its name in its directory. False if a file has this name.
    pub(super) fn commit(&self, begun: &Path, file: &File, name: &str) -> Result<bool, String> {
        let path = begun.with_file_name(name);
        let failed = |error: io::Error| format!("cannot write {}: {error}", path.display());
        file.sync_all().map_err(failed)?;
        match renameat_with(CWD, begun, CWD, &path, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => {
                fs::remove_file(begun).map_err(failed)?;
                return Ok(false);
            }
            Err(error) => return Err(failed(error.into())),
        }
        let parent = path.parent().unwrap_or(&self.path);
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
        Ok(true)
    }

    /// Only of names and in places of [`begin`](Self::begin): the directory may have been named by mistake.
    fn remove_temporary_files(&self) -> io::Result<()> {
        remove_temporary_files(&self.path)?;
        for table in TABLES {
            let partitions = match fs::read_dir(self.path.join(table)) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                partitions => partitions?,
            };
            for partition in partitions {
                let partition = partition?;
                let is_ours = partition.file_name().to_string_lossy().starts_with(PARTITION);
                if is_ours && partition.file_type()?.is_dir() {
                    remove_temporary_files(&partition.path())?;
                }
            }
        }
        Ok(())
    }
}

fn remove_temporary_files(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.strip_suffix(TEMPORARY).is_some_and(|it| it.parse::<u64>().is_ok());
        if is_ours && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// What reads and maintains a directory of a CDR is not to meet other files there.
fn refuse_cdr(path: &Path) -> Result<(), String> {
    // What cannot be listed is told by what follows.
    let has_files = cdr_files(path).is_ok_and(|files| !files.is_empty());
    if !has_files && !path.join(STATE_DIR_NAME).exists() {
        return Ok(());
    }
    Err(format!("{} is the directory of a CDR: export to another one", path.display()))
}

/// Creates a directory, and syncs the one that it is in.
fn create_synced(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        create_synced(parent)?;
        match fs::create_dir(directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}
