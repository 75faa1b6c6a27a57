//! The order of the files to read.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::input::Input;
use super::listing::{list, with_encoding, without_encoding};
use super::open_file::OpenFile;
use super::{CdrFile, ReadError, ReaderPosition};
use crate::file::{Encoding, FileKind, FileName};

/// The files that are still to be read, in order.
pub(super) struct Queue {
    /// `None` if the files were given by name.
    directory: Option<Directory>,
    pending: VecDeque<Pending>,
}

struct Directory {
    path: PathBuf,
    kind: FileKind,
    /// Only files after this one are still to be read.
    after: Option<FileName>,
}

struct Pending {
    /// Without the encoding.
    path: PathBuf,
    encoding: Encoding,
    /// Only for files of a directory.
    key: Option<FileName>,
}

impl Queue {
    /// All files of a directory; after `begin`, if there is one.
    pub(super) fn of_directory(
        path: PathBuf,
        kind: FileKind,
        begin: Option<&ReaderPosition>,
    ) -> Result<Self, ReadError> {
        let first = begin.map(|begin| key_of(begin, kind)).transpose()?;
        let files = list(&path, |key| key.kind == kind && first.is_none_or(|first| key >= first))?;
        let pending = files.into_iter().map(Pending::from).collect();
        Ok(Self { directory: Some(Directory { path, kind, after: first }), pending })
    }

    /// Files that were given by name, starting with that of `begin`, if there is one.
    pub(super) fn of_files(
        paths: Vec<PathBuf>,
        begin: Option<&ReaderPosition>,
    ) -> Result<Self, ReadError> {
        let mut pending: VecDeque<_> = paths.iter().map(|path| Pending::given(path)).collect();
        if let Some(begin) = begin {
            let is_first = |pending: &Pending| pending.path == begin.file;
            let Some(first) = pending.iter().position(is_first) else {
                return Err(no_such_position(begin, "it is none of the files that were given"));
            };
            pending.drain(..first);
        }
        Ok(Self { directory: None, pending })
    }

    /// The directory to watch.
    pub(super) fn watched_path(&self) -> PathBuf {
        let last = || self.pending.back()?.path.parent();
        let path = match &self.directory {
            Some(directory) => &directory.path,
            None => last().unwrap_or(Path::new("")),
        };
        if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() }
    }

    /// Whether the next file is that of `position`.
    pub(super) fn is_next(&self, position: &ReaderPosition) -> bool {
        let name = position.file.file_name();
        self.pending.front().is_some_and(|next| next.path.file_name() == name)
    }

    /// The path of the next file, without the encoding.
    pub(super) fn next_path(&self) -> Option<&Path> {
        self.pending.front().map(|next| next.path.as_path())
    }

    /// Opens the next file. Files of a directory that were removed since they were listed are
    /// skipped.
    pub(super) fn open_next(&mut self) -> Result<Option<OpenFile>, ReadError> {
        while let Some(next) = self.pending.front() {
            let [plain, zstd, gzip] = Encoding::ALL;
            let input = Input::find(&next.path, &[next.encoding, plain, zstd, gzip]);
            let Some(next) = self.pending.pop_front() else { break };
            if let Some(directory) = &mut self.directory {
                directory.after = next.key.or(directory.after);
            }
            match input? {
                Some(input) => return Ok(Some(OpenFile::new(next.path, input))),
                None if self.directory.is_some() => {}
                None => {
                    let path = with_encoding(&next.path, next.encoding);
                    return Err(ReadError::io("open", &path, io::ErrorKind::NotFound.into()));
                }
            }
        }
        Ok(None)
    }

    /// Looks for new files.
    pub(super) fn list_again(&mut self) -> Result<(), ReadError> {
        let Some(Directory { path, kind, after }) = &self.directory else { return Ok(()) };
        let is_wanted = |key: FileName| key.kind == *kind && after.is_none_or(|after| key > after);
        self.pending = match list(path, is_wanted) {
            Ok(files) => files.into_iter().map(Pending::from).collect(),
            // It may come back.
            Err(error) if error.is_not_found() => VecDeque::new(),
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Whether no file is left to read.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether one of the files that are still to be read holds something: the writer is done with
    /// all files before it. An empty one says nothing, because its creation may have failed
    /// half-way.
    pub(super) fn has_lines(&self) -> bool {
        self.pending.iter().any(|pending| {
            // A file that is gone was sealed, and is removed or being compressed.
            fs::metadata(with_encoding(&pending.path, pending.encoding))
                .map_or(true, |metadata| metadata.len() > 0)
        })
    }
}

impl Pending {
    fn given(path: &Path) -> Self {
        let (path, encoding) = without_encoding(path);
        Self { path, encoding, key: None }
    }
}

impl From<CdrFile> for Pending {
    fn from(file: CdrFile) -> Self {
        let path = without_encoding(&file.path).0;
        Self { path, encoding: file.encoding, key: Some(file.key) }
    }
}

fn key_of(begin: &ReaderPosition, kind: FileKind) -> Result<FileName, ReadError> {
    let name = begin.file.file_name().and_then(|name| name.to_str());
    name.and_then(super::listing::key_of_name)
        .filter(|key| key.kind == kind)
        .ok_or_else(|| no_such_position(begin, "that is not the name of such a file"))
}

fn no_such_position(begin: &ReaderPosition, fault: &str) -> ReadError {
    ReadError::NoSuchPosition {
        path: begin.file.clone(),
        offset: begin.offset,
        fault: fault.to_owned(),
    }
}
