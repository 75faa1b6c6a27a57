//! The manifest of a directory, and whether its chain is intact.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use cdrlog::manifest::{
    self, Entries, Hash, ManifestEntry, ManifestError, ManifestFault, SealedFile,
};
use cdrlog::reader::FileKind;

use super::remark::Remark;

/// The files of a manifest.
#[derive(Debug)]
pub(super) struct Chain {
    files: BTreeMap<String, Listed>,
    /// The hash of the last whole line; `None` if there is no line.
    pub(super) last_hash: Option<Hash>,
    /// It has no line: there is no manifest, or no file was sealed yet, or it cannot be read.
    pub(super) is_empty: bool,
    /// It does not exist, or no file was sealed yet.
    pub(super) is_missing: bool,
}

#[derive(Debug)]
struct Listed {
    sealed: SealedFile,
    was_removed: bool,
}

impl Chain {
    /// Reads the manifest of `directory`, with a finding for each broken link, and for each
    /// `expected` hash that no line has.
    pub(super) fn read(directory: &Path, expected: &[Hash], remarks: &mut Vec<Remark>) -> Self {
        let path = manifest::path_in(directory);
        let mut chain =
            Self { files: BTreeMap::new(), last_hash: None, is_empty: true, is_missing: true };
        let unreadable = |error: ManifestError| {
            let message = match &error {
                ManifestError::Io { source, .. } => format!("cannot be read: {source}"),
                _ => error.to_string(),
            };
            Remark::finding(&path, "unreadable", message)
        };
        let mut entries = match Entries::open(directory) {
            Ok(entries) => entries,
            Err(error) => {
                remarks.push(unreadable(error));
                chain.is_missing = false;
                return chain;
            }
        };
        let mut expected: Vec<Hash> = expected.to_vec();
        // The `previous` of the first line, kept before there was a line.
        expected.retain(|hash| *hash != entries.last_hash());
        while let Some(entry) = entries.next() {
            chain.is_empty = false;
            chain.is_missing = false;
            expected.retain(|hash| *hash != entries.last_hash());
            match entry {
                Ok(entry) => {
                    if !chain.add(entry) {
                        let message = "the name in it is not that of a CDR or rejects file";
                        let remark = Remark::finding(&path, "manifest_entry", message);
                        remarks.push(Remark { line: Some(entries.line()), ..remark });
                    }
                }
                Err(ManifestError::Broken { line, fault, .. }) => {
                    remarks.push(broken_link(directory, &path, line, &fault));
                }
                Err(error) => remarks.push(unreadable(error)),
            }
        }
        chain.last_hash = Some(entries.last_hash()).filter(|_| !chain.is_empty);
        remarks.extend(expected.iter().map(|hash| {
            let message = format!(
                "no line of it has the hash {hash}: the line that was there when the hash was kept, \
                 or a line before it, was altered or removed"
            );
            Remark::finding(&path, "manifest_expected", message)
        }));
        chain
    }

    /// Whether the entry is about a file that can be in the directory.
    fn add(&mut self, entry: ManifestEntry) -> bool {
        if FileKind::of_name(entry.name()).is_none() {
            return false;
        }
        match entry {
            ManifestEntry::Sealed(sealed) => {
                let name = sealed.name.clone();
                self.files.insert(name, Listed { sealed, was_removed: false });
            }
            ManifestEntry::Removed { name, .. } => {
                if let Some(listed) = self.files.get_mut(&name) {
                    listed.was_removed = true;
                }
            }
            _ => {}
        }
        true
    }

    /// The file of this name, without `.zst` or `.gz`, as it was sealed.
    pub(super) fn sealed(&self, name: &str) -> Option<&SealedFile> {
        self.files.get(name).map(|listed| &listed.sealed)
    }

    /// Whether it lists a later file of the same kind.
    pub(super) fn goes_on_after(&self, name: &str) -> bool {
        let after = self.files.keys().filter(|other| is_same_kind(other, name));
        after.map(|other| stem(other)).any(|other| other > stem(name))
    }

    /// The names of files that must not be missing.
    pub(super) fn names_to_be_there(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter(|(_, listed)| !listed.was_removed).map(|(name, _)| name.as_str())
    }
}

fn broken_link(directory: &Path, path: &Path, line: u64, fault: &ManifestFault) -> Remark {
    let remark = match fault {
        ManifestFault::Torn if has_writer(directory) => {
            Remark::note(path, "manifest_torn", "this line is being written")
        }
        ManifestFault::Torn => Remark::finding(path, "manifest_torn", fault),
        ManifestFault::WrongPrevious => Remark::finding(path, "manifest_chain", fault),
        _ => Remark::finding(path, "manifest_entry", fault),
    };
    Remark { line: Some(line), ..remark }
}

fn is_same_kind(one: &str, other: &str) -> bool {
    one.split('.').next() == other.split('.').next()
}

/// A name without its extension: these sort in the order of writing.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Whether an appender has the directory open now.
///
/// This locks the directory for a moment, shared. It is called only if a file ends in half a line,
/// so that it hardly ever gets in the way of an appender that is just starting.
pub(super) fn has_writer(directory: &Path) -> bool {
    // The directory of a file that was given without one.
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let lock = File::open(directory);
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}
