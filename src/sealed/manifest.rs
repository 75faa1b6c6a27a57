//! The manifest: a line for each sealed file, in a chain.
//!
//! A sealed file gets no more lines, because the next one was created. Its line in
//! `<directory>/.cdrlog/manifest.jsonl` has its name, lines, bytes, first and last timestamp, and
//! the BLAKE3 hash of its uncompressed content. Each line also has the hash of the line before it,
//! so that no line can be changed, removed or inserted without writing all later lines again:
//!
//! ```text
//! {"name":"CDR.2026-11-23_13-07-28.log","lines":3,"bytes":421,"first_timestamp":1538481330577,"last_timestamp":1538481339999,"blake3":"<64 hex>","previous":"<64 hex>"}
//! {"name":"CDR.2026-11-23_13-07-28.log","removed_at":1798000000000,"previous":"<64 hex>"}
//! ```
//!
//! The second form is written before retention removes a file. The chain has no key: anybody who
//! can write to the directory can forge a new chain from some line on. A copy of the last hash
//! ([`Manifest::last_hash`]) that is kept elsewhere reveals that too.
//!
//! A line is written and synced as a whole. The next open moves a line that a power loss tore to
//! `manifest.torn`, and its file gets a new line.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use super::hash::Hash;
use super::manifest_lines::{RawLine, RawLines};
pub use super::measure::Measure;
use crate::file::STATE_DIR_NAME;
use crate::storage::{Disk, DiskError};

/// The path of the manifest of a CDR directory.
#[must_use]
pub fn path_in(directory: impl AsRef<Path>) -> PathBuf {
    directory.as_ref().join(STATE_DIR_NAME).join("manifest.jsonl")
}

/// What the manifest says of a sealed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SealedFile {
    /// Its name in the directory, without `.zst` or `.gz`.
    pub name: String,
    /// The number of its lines.
    pub lines: u64,
    /// The length of its uncompressed content in bytes.
    pub bytes: u64,
    /// The `timestamp` of the event in its first line (OpenVidu: milliseconds since 1970); `None`
    /// if there is no such integer. In a rejects file, the time of the rejection.
    pub first_timestamp: Option<i64>,
    /// The same of its last line.
    pub last_timestamp: Option<i64>,
    /// The hash of its uncompressed content.
    pub blake3: Hash,
}

/// One line of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum ManifestEntry {
    /// The file was sealed with this content.
    Sealed(SealedFile),
    /// Retention was about to remove the file.
    #[non_exhaustive]
    Removed {
        /// The name of the file.
        name: String,
        /// When, in milliseconds since 1970.
        removed_at: u64,
    },
}

/// A line of the manifest as it is written.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    entry: &'a ManifestEntry,
    previous: Hash,
}

/// A line as it is read: either form.
#[derive(Deserialize)]
struct AnyLine {
    name: String,
    lines: Option<u64>,
    bytes: Option<u64>,
    first_timestamp: Option<i64>,
    last_timestamp: Option<i64>,
    blake3: Option<Hash>,
    removed_at: Option<u64>,
    previous: Hash,
}

impl ManifestEntry {
    /// The name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Sealed(file) => &file.name,
            Self::Removed { name, .. } => name,
        }
    }

    /// Its line, without a line feed, after a line with the hash `previous`.
    pub(super) fn line(&self, previous: Hash) -> serde_json::Result<String> {
        serde_json::to_string(&Line { entry: self, previous })
    }

    /// The entry of a line, and what the line says of the one before.
    fn of_line(line: &RawLine) -> Result<(Self, Hash), String> {
        if line.is_too_long {
            return Err("it is too long".to_owned());
        }
        let any: AnyLine = serde_json::from_slice(&line.text).map_err(|error| error.to_string())?;
        let entry = match any {
            AnyLine { removed_at: Some(removed_at), .. } => {
                Self::Removed { name: any.name, removed_at }
            }
            AnyLine { lines: Some(lines), bytes: Some(bytes), blake3: Some(blake3), .. } => {
                Self::Sealed(SealedFile {
                    name: any.name,
                    lines,
                    bytes,
                    first_timestamp: any.first_timestamp,
                    last_timestamp: any.last_timestamp,
                    blake3,
                })
            }
            _ => return Err("lines, bytes or blake3 is missing".to_owned()),
        };
        Ok((entry, any.previous))
    }
}

/// A manifest is damaged, or cannot be read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ManifestError {
    /// A line is wrong.
    Broken {
        /// The manifest.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        fault: ManifestFault,
    },
    /// An I/O error.
    Io {
        /// What failed: "open", "read".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
}

/// What is wrong with a line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestFault {
    /// It is not an entry, for this reason.
    NotAnEntry(String),
    /// It does not have the hash of the line before: that line was changed, or a line between them
    /// was removed or inserted.
    WrongPrevious,
    /// It is the last one and incomplete: a power loss tore it, or it is being written now. The
    /// next open of the directory repairs it.
    Torn,
}

impl fmt::Display for ManifestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnEntry(reason) => write!(f, "it is not an entry: {reason}"),
            Self::WrongPrevious => f.write_str(
                "it does not continue the line before: one was altered, removed or inserted",
            ),
            Self::Torn => f.write_str("it has no end"),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { path, line, fault } => {
                write!(f, "{} is broken at line {line}: {fault}", path.display())
            }
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
        }
    }
}

impl Error for ManifestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source.as_ref()),
            Self::Broken { .. } => None,
        }
    }
}

impl From<DiskError> for ManifestError {
    fn from(error: DiskError) -> Self {
        Self::Io { action: error.action, path: error.path, source: error.source }
    }
}

/// An iterator over the entries of a manifest. It checks each line against the line before.
///
/// After an error it continues: the entry of a line with [`ManifestFault::WrongPrevious`] comes
/// after its error.
#[derive(Debug)]
pub struct Entries {
    path: PathBuf,
    /// `None` if there is no manifest, and after an I/O error.
    lines: Option<RawLines>,
    line: u64,
    /// How far lines were read.
    bytes: u64,
    /// The end of the last line that was not torn.
    whole_bytes: u64,
    last: Hash,
    /// An entry whose error was returned.
    pending: Option<ManifestEntry>,
}

impl Entries {
    /// The entries of the manifest of a CDR directory; none if there is no manifest.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Io`] if it cannot be opened.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, ManifestError> {
        Self::open_on(&Disk::default(), &path_in(directory)).map_err(ManifestError::from)
    }

    pub(super) fn open_on(disk: &Disk, path: &Path) -> Result<Self, DiskError> {
        let lines = disk.open_reading(path)?.map(RawLines::new);
        let (path, last) = (path.to_owned(), Hash::NONE);
        Ok(Self { path, lines, line: 0, bytes: 0, whole_bytes: 0, last, pending: None })
    }

    /// The number of the last line that was read, from 1.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// The hash of the last line that was read and was not torn; 64 zeros before the first.
    #[must_use]
    pub const fn last_hash(&self) -> Hash {
        self.last
    }

    /// The range after the last whole line.
    pub(super) const fn torn_range(&self) -> std::ops::Range<u64> {
        self.whole_bytes..self.bytes
    }

    fn broken(&self, fault: ManifestFault) -> ManifestError {
        ManifestError::Broken { path: self.path.clone(), line: self.line, fault }
    }

    fn check(&mut self, line: &RawLine) -> Result<ManifestEntry, ManifestError> {
        self.line += 1;
        self.bytes += line.bytes;
        if !line.is_whole {
            return Err(self.broken(ManifestFault::Torn));
        }
        self.whole_bytes = self.bytes;
        let last = std::mem::replace(&mut self.last, line.hash);
        match ManifestEntry::of_line(line) {
            Ok((entry, previous)) if previous == last => Ok(entry),
            Ok((entry, _)) => {
                self.pending = Some(entry);
                Err(self.broken(ManifestFault::WrongPrevious))
            }
            Err(reason) => Err(self.broken(ManifestFault::NotAnEntry(reason))),
        }
    }
}

impl Iterator for Entries {
    type Item = Result<ManifestEntry, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.pending.take() {
            return Some(Ok(entry));
        }
        match self.lines.as_mut()?.next_line() {
            Ok(line) => Some(self.check(&line?)),
            Err(source) => {
                self.lines = None;
                let (action, path) = ("read", self.path.clone());
                Some(Err(ManifestError::Io { action, path, source: Arc::new(source) }))
            }
        }
    }
}

/// A file in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestFile {
    /// The file as it was sealed.
    pub sealed: SealedFile,
    /// When retention was about to remove it, in milliseconds since 1970. The file still exists if
    /// the process ended just then, or the removal failed.
    pub removed_at: Option<u64>,
}

/// A whole manifest whose chain is intact.
#[derive(Clone, Debug)]
pub struct Manifest {
    files: BTreeMap<String, ManifestFile>,
    entries: u64,
    last: Hash,
}

impl Manifest {
    /// Reads and checks the manifest of a CDR directory. It is empty if there is none. If a file is
    /// listed twice, the last entry counts.
    ///
    /// # Errors
    ///
    /// The first [`ManifestError`]. Use [`Entries`] to continue after it.
    pub fn read(directory: impl AsRef<Path>) -> Result<Self, ManifestError> {
        let mut entries = Entries::open(directory)?;
        let mut files = BTreeMap::new();
        for entry in &mut entries {
            match entry? {
                ManifestEntry::Sealed(sealed) => {
                    let name = sealed.name.clone();
                    files.insert(name, ManifestFile { sealed, removed_at: None });
                }
                ManifestEntry::Removed { name, removed_at } => {
                    if let Some(file) = files.get_mut(&name) {
                        file.removed_at = Some(removed_at);
                    }
                }
            }
        }
        Ok(Self { files, entries: entries.line(), last: entries.last_hash() })
    }

    /// The file of that name, with or without `.zst` or `.gz`.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&ManifestFile> {
        self.files.get(plain_name(name))
    }

    /// The files, in the order of their names.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.files.values()
    }

    /// How many lines it has.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// The hash of its last line, or 64 zeros if there is none. Keep it elsewhere to show later
    /// that nothing before it was changed.
    #[must_use]
    pub const fn last_hash(&self) -> Hash {
        self.last
    }
}

/// `name` without `.zst` or `.gz`.
pub(super) fn plain_name(name: &str) -> &str {
    [".zst", ".gz"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}
