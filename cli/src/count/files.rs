//! The files of the command line, each once.

use std::collections::HashSet;
use std::error::Error;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cdrlog::reader::{CdrFile, Encoding, FileKind, cdr_files};

use super::Source;
use crate::cdr_path;

/// A file with lines of a CDR.
#[derive(Debug)]
pub(crate) struct InputFile {
    pub(crate) path: PathBuf,
    /// The number of its directory.
    pub(crate) source: Source,
    /// The length on the disk; `None` if it is compressed.
    pub(crate) bytes: Option<u64>,
    /// It was listed, so it may be gone when it is opened.
    pub(crate) is_listed: bool,
}

/// Everything that the command line names.
#[derive(Debug, Default)]
pub(crate) struct InputFiles {
    pub(crate) files: Vec<InputFile>,
    /// The rejects files of directories.
    pub(crate) rejects: Vec<PathBuf>,
    /// Directories that have no CDR files.
    pub(crate) empty: Vec<PathBuf>,
    /// Files that were already named, by the same name or another one.
    pub(crate) repeated: Vec<PathBuf>,
    known: HashSet<(u64, u64)>,
    /// The directories that distinguish the files, see [`Source`].
    directories: Vec<PathBuf>,
}

impl InputFiles {
    /// Checks everything before the first line is read, so that a typing error shows at once.
    pub(crate) fn of(paths: &[PathBuf]) -> Result<Self, Box<dyn Error>> {
        let mut found = Self::default();
        for path in paths {
            let metadata = cdr_path::metadata(path)?;
            if metadata.is_dir() {
                found.add_directory(path)?;
            } else if !metadata.is_file() {
                // A pipe can be read only once, and not in two places.
                let path = path.display();
                return Err(format!("{path} is neither a directory nor a regular file").into());
            } else if found.is_new(path, &metadata) {
                let bytes = (cdr_path::plain_path(path) == *path).then_some(metadata.len());
                let source = found.source_of(path.parent().unwrap_or(Path::new("")));
                let (path, is_listed) = (path.clone(), false);
                found.files.push(InputFile { path, source, bytes, is_listed });
            }
        }
        Ok(found)
    }

    /// The total length of the files; `None` if that is not known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The directories that were named, and those of single files.
    pub(crate) fn directories(&self) -> impl Iterator<Item = (Source, &Path)> {
        self.directories.iter().map(PathBuf::as_path).enumerate()
    }

    fn add_directory(&mut self, directory: &Path) -> Result<(), Box<dyn Error>> {
        let files = cdr_files(directory)?;
        let source = self.source_of(directory);
        if !files.iter().any(|file| file.kind == FileKind::Cdr) {
            self.empty.push(directory.to_owned());
        }
        for CdrFile { path, kind, encoding, bytes, .. } in files {
            // It is not a failure if a listed file was removed meanwhile.
            if fs::metadata(&path).is_ok_and(|metadata| !self.is_new(&path, &metadata)) {
                continue;
            }
            if kind == FileKind::Rejects {
                self.rejects.push(path);
                continue;
            }
            let bytes = (encoding == Encoding::Plain).then_some(bytes);
            self.files.push(InputFile { path, source, bytes, is_listed: true });
        }
        Ok(())
    }

    fn source_of(&mut self, directory: &Path) -> Source {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        // If that fails, the given name identifies it well enough.
        let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        let known = self.directories.iter().position(|known| *known == directory);
        known.unwrap_or_else(|| {
            self.directories.push(directory);
            self.directories.len() - 1
        })
    }

    /// A file is the same whatever its name is: a hard link, a symbolic link, another mount.
    fn is_new(&mut self, path: &Path, metadata: &Metadata) -> bool {
        if self.known.insert((metadata.dev(), metadata.ino())) {
            return true;
        }
        self.repeated.push(path.to_owned());
        false
    }
}
