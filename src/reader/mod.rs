//! Reads and follows the lines of a CDR directory.
//!
//! A [`Reader`] returns the lines of all files of a directory, oldest first, each once, whether the
//! files are compressed or not. It can continue where an earlier one stopped, and it can follow the
//! file that is being written, across rotations.
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! # std::fs::write(directory.join("CDR.2026-11-23_13-07-28.log"), "{\"sessionCreated\":{\"timestamp\":1}}\n")?;
//! let mut reader = cdrlog::Reader::open(directory)?;
//! while let Some(line) = reader.next_line()? {
//!     let event = line.event()?; // or `line.bytes()`, which costs nothing
//!     println!("{} at {:?}", event.name(), event.timestamp_ms());
//! }
//! let position = reader.position(); // save it to continue here another time
//! # assert_eq!(position.unwrap().offset, 35);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Following
//!
//! ```no_run
//! # use std::time::Duration;
//! fn follow() -> Result<(), cdrlog::reader::ReadError> {
//!     let mut reader = cdrlog::Reader::builder("/opt/openvidu/cdr").follow(true).open()?;
//!     loop {
//!         while let Some(line) = reader.next_line()? {
//!             println!("{}", String::from_utf8_lossy(line.bytes()));
//!         }
//!         reader.wait(Duration::from_secs(1)); // returns earlier when something was written
//!     }
//! }
//! ```
//!
//! A following reader returns only whole lines. The writer appends nothing to a file once the next
//! one holds something, so a reader that sees a newer file reads the old one to its end and
//! continues with the new one. A file that logrotate renames (`create`) is read to its end too, and
//! then the one in its place. After a truncation (`copytruncate`) the reader starts again at byte
//! 0; what was written and truncated before it was read is only in logrotate's copy. A file may be
//! compressed or removed while it is being read.
//!
//! inotify reports changes. The reader also checks four times a second, because inotify events can
//! be lost.

mod block;
mod builder;
mod error;
mod event;
mod input;
mod line;
mod listing;
mod open_file;
mod queue;
mod value;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

pub use crate::file::{Encoding, FileKind};
pub use builder::ReaderBuilder;
pub use error::{EventError, ReadError};
pub use event::Event;
pub use line::{Line, Lines, ReaderPosition};
pub use listing::{CdrFile, cdr_files};
pub use value::{Items, Members, Number, Value};

use input::Input;
use open_file::{Found, Look, OpenFile};
use queue::Queue;
use watch::Watch;

/// Returns the lines of a CDR directory, or of given files, oldest first.
///
/// A reader is `Send`. It holds one open file and a block of 256 KiB, which grows for longer lines.
pub struct Reader {
    queue: Queue,
    /// `None` if the reader does not follow.
    watch: Option<Watch>,
    line_bytes_max: usize,
    file: Option<OpenFile>,
    /// The position while no file is open.
    position: Option<ReaderPosition>,
    /// Not following: everything was returned.
    is_over: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("position", &self.position()).finish_non_exhaustive()
    }
}

/// What to do at the end of a file.
enum AtEnd {
    /// More may come.
    Wait,
    /// The file gets no more lines: read it to its end once more.
    ReadOn,
    /// Everything was read.
    Over,
}

impl Reader {
    /// Options for a reader of the files of a directory.
    pub fn builder(directory: impl Into<PathBuf>) -> ReaderBuilder {
        ReaderBuilder::of_directory(directory.into())
    }

    /// Options for a reader of these files, in this order, whatever their names are; a name that
    /// ends in `.zst` or `.gz` is compressed. With [`follow`](ReaderBuilder::follow), the last one
    /// is followed.
    pub fn of_files(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> ReaderBuilder {
        ReaderBuilder::of_files(paths.into_iter().map(Into::into).collect())
    }

    /// A reader of the CDR files of a directory, starting at the oldest line.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the directory cannot be read.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, ReadError> {
        Self::builder(directory).open()
    }

    /// The next line, or `None` at the end; while following, `None` means that there is none yet.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`] and [`ReadError::LineTooLong`], which say where the next call continues.
    #[inline]
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, ReadError> {
        let Some(Found { range, offset }) = self.find(false)? else { return Ok(None) };
        Ok(self.file.as_ref().map(|file| Line {
            bytes: file.bytes(range),
            path: file.path(),
            offset,
        }))
    }

    /// The next lines, as many as are in memory, for work that is faster on many lines at once.
    ///
    /// # Errors
    ///
    /// Those of [`next_line`](Self::next_line); but a line longer than `line_bytes_max` may be
    /// among the lines if it fits into the block that was read.
    pub fn next_lines(&mut self) -> Result<Option<Lines<'_>>, ReadError> {
        let Some(Found { range, offset }) = self.find(true)? else { return Ok(None) };
        Ok(self.file.as_ref().map(|file| Lines {
            bytes: file.bytes(range),
            path: file.path(),
            offset,
        }))
    }

    /// Waits until there may be something to read, or for `timeout`. It may return earlier, and
    /// returns at once if the reader does not follow.
    pub fn wait(&self, timeout: Duration) {
        if let Some(watch) = &self.watch {
            watch.wait(timeout);
        }
    }

    /// The position after the last line that was returned. `None` if nothing was read yet.
    #[must_use]
    pub fn position(&self) -> Option<ReaderPosition> {
        self.file.as_ref().map_or_else(|| self.position.clone(), |file| Some(file.position()))
    }

    /// Skips the rest of the file that is being read: the next line is the first one of the next
    /// file.
    pub fn skip_file(&mut self) {
        self.close_file();
    }

    #[inline]
    fn find(&mut self, together: bool) -> Result<Option<Found>, ReadError> {
        let follows = self.watch.is_some();
        let look = Look { line_bytes_max: self.line_bytes_max, follows, together };
        loop {
            if let Some(file) = &mut self.file {
                match file.next_line(look) {
                    Ok(Some(found)) => return Ok(Some(found)),
                    Ok(None) => {}
                    Err(error) => return Err(self.give_up(error)),
                }
                match self.at_end()? {
                    AtEnd::Wait => return Ok(None),
                    AtEnd::ReadOn => {}
                    AtEnd::Over => {
                        let rest = self.file.as_mut().and_then(OpenFile::take_rest);
                        if rest.is_some() {
                            return Ok(rest);
                        }
                        if !self.go_on()? {
                            return Ok(None);
                        }
                    }
                }
            } else if !self.open_next()? {
                return Ok(None);
            }
        }
    }

    /// A damaged compressed file stays damaged; reading a plain one may succeed later.
    #[cold]
    fn give_up(&mut self, error: ReadError) -> ReadError {
        let is_damaged = self.file.as_ref().is_some_and(OpenFile::is_compressed);
        if is_damaged && matches!(error, ReadError::Io { .. }) {
            self.close_file();
        }
        error
    }

    fn close_file(&mut self) {
        self.position = self.position();
        self.file = None;
    }

    /// All lines of the open file were returned. The file is over once there is a newer one, but
    /// lines may have been appended before that one was created, so it is then read to its end once
    /// more.
    fn at_end(&mut self) -> Result<AtEnd, ReadError> {
        let Some(file) = &mut self.file else { return Ok(AtEnd::Over) };
        if file.is_superseded {
            return Ok(AtEnd::Over);
        }
        file.is_superseded = match &mut self.watch {
            Some(watch) => {
                let are_due = watch.names_are_due();
                if are_due {
                    self.queue.list_again()?;
                }
                are_due && file.is_replaced()? || self.queue.has_lines()
            }
            None if self.queue.is_empty() => {
                self.queue.list_again()?;
                !self.queue.is_empty()
            }
            // The newer one existed before this one was read to its end.
            None => return Ok(AtEnd::Over),
        };
        Ok(match (file.is_superseded, &self.watch) {
            (true, _) => AtEnd::ReadOn,
            (false, Some(_)) => AtEnd::Wait,
            (false, None) => AtEnd::Over,
        })
    }

    /// Moves on from a file that is over: to the one that has its name now, or to the next one.
    /// False if neither exists any more, so that the file is not over after all.
    fn go_on(&mut self) -> Result<bool, ReadError> {
        let Some(file) = &mut self.file else { return Ok(true) };
        let follows = self.watch.is_some();
        let is_replaced = follows && file.is_replaced()?;
        if follows && !is_replaced && !self.queue.has_lines() {
            file.is_superseded = false;
            return Ok(false);
        }
        let path = file.path().to_owned();
        self.close_file();
        if is_replaced {
            let input = Input::find(&path, &[Encoding::Plain])?;
            self.file = input.map(|input| OpenFile::new(path, input));
        }
        Ok(true)
    }

    /// Opens the next file. False if there is none.
    fn open_next(&mut self) -> Result<bool, ReadError> {
        if self.is_over {
            return Ok(false);
        }
        self.file = self.queue.open_next()?;
        if self.file.is_none() && self.watch.as_mut().is_some_and(Watch::names_are_due) {
            self.queue.list_again()?;
            self.file = self.queue.open_next()?;
        }
        self.is_over = self.file.is_none() && self.watch.is_none();
        Ok(self.file.is_some())
    }
}
