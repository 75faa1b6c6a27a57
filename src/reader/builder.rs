//! The options of a reader.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::queue::Queue;
use super::watch::Watch;
use super::{ReadError, Reader, ReaderPosition};
use crate::file::FileKind;

/// The longest line by default, in bytes: 64 MiB.
const LINE_BYTES_MAX_DEFAULT: usize = 64 << 20;

/// Options of a [`Reader`], created by [`Reader::builder`] and [`Reader::of_files`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open` is called"]
pub struct ReaderBuilder {
    source: Source,
    kind: FileKind,
    begin: Option<ReaderPosition>,
    follows: bool,
    line_bytes_max: usize,
}

#[derive(Clone, Debug)]
enum Source {
    Directory(PathBuf),
    Files(Vec<PathBuf>),
}

impl ReaderBuilder {
    pub(super) const fn of_directory(path: PathBuf) -> Self {
        Self::new(Source::Directory(path))
    }

    pub(super) const fn of_files(paths: Vec<PathBuf>) -> Self {
        Self::new(Source::Files(paths))
    }

    const fn new(source: Source) -> Self {
        Self {
            source,
            kind: FileKind::Cdr,
            begin: None,
            follows: false,
            line_bytes_max: LINE_BYTES_MAX_DEFAULT,
        }
    }

    /// Which files of the directory to read. Default: [`FileKind::Cdr`].
    pub const fn kind(mut self, kind: FileKind) -> Self {
        self.kind = kind;
        self
    }

    /// The position to start at, as returned by [`Reader::position`]. If its file was removed or
    /// renamed since, [`open`](Self::open) returns [`ReadError::PositionGone`], which names the next
    /// file. Default: the oldest line.
    pub fn begin_at(mut self, position: ReaderPosition) -> Self {
        self.begin = Some(position);
        self
    }

    /// Whether to return lines that are written later: after `None`, [`Reader::next_line`] may
    /// return lines again, and [`Reader::wait`] waits for them. Default: no.
    pub const fn follow(mut self, follow: bool) -> Self {
        self.follows = follow;
        self
    }

    /// The maximum length of a line, in bytes without its line feed. A longer line is an error and
    /// is skipped, so that memory stays bounded whatever a file holds. Default: 64 MiB.
    pub const fn line_bytes_max(mut self, bytes: usize) -> Self {
        self.line_bytes_max = bytes;
        self
    }

    /// Creates the reader. Relative paths are resolved now; a later change of the current directory
    /// does not matter. Lines and positions have absolute paths.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the directory or the first file cannot be read, or the position does not
    /// exist ([`ReadError::NoSuchPosition`]) or no longer ([`ReadError::PositionGone`]).
    pub fn open(mut self) -> Result<Reader, ReadError> {
        self.make_paths_absolute()?;
        let begin = self.begin.as_ref();
        // Before files are listed, so that no change between the two is missed.
        let (queue, watch) = match self.source {
            Source::Directory(path) => {
                let watch = self.follows.then(|| Watch::new(&path));
                (Queue::of_directory(path, self.kind, begin)?, watch)
            }
            Source::Files(paths) => {
                let queue = Queue::of_files(paths, begin)?;
                let watch = self.follows.then(|| Watch::new(&queue.watched_path()));
                (queue, watch)
            }
        };
        let mut reader = Reader {
            queue,
            watch,
            line_bytes_max: self.line_bytes_max,
            file: None,
            position: self.begin.clone(),
            is_over: false,
        };
        if let Some(begin) = self.begin {
            reader.begin_at(&begin)?;
        }
        Ok(reader)
    }

    /// A later change of the current directory must not change which files are read.
    fn make_paths_absolute(&mut self) -> Result<(), ReadError> {
        let paths = match &mut self.source {
            Source::Directory(path) => std::slice::from_mut(path),
            Source::Files(paths) => paths.as_mut_slice(),
        };
        let begin = self.begin.as_mut().map(|begin| &mut begin.file);
        for path in paths.iter_mut().chain(begin) {
            *path = std::path::absolute(&*path).map_err(|source| ReadError::Io {
                action: "find the current directory of",
                path: path.clone(),
                source: Arc::new(source),
            })?;
        }
        Ok(())
    }
}

impl Reader {
    /// Opens the file of `begin` at its offset.
    fn begin_at(&mut self, begin: &ReaderPosition) -> Result<(), ReadError> {
        let gone = |next: Option<&Path>| ReadError::PositionGone {
            path: begin.file.clone(),
            offset: begin.offset,
            next: next.map(Path::to_owned),
        };
        if !self.queue.is_next(begin) {
            return Err(gone(self.queue.next_path()));
        }
        let Some(mut file) = self.queue.open_next()? else { return Err(gone(None)) };
        if file.path().file_name() != begin.file.file_name() {
            // It was removed just now.
            return Err(gone(Some(file.path())));
        }
        file.begin_at(begin.offset)?;
        self.file = Some(file);
        Ok(())
    }
}
