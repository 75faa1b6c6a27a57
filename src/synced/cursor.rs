//! The cursor over synced lines.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::block::{SyncedBlock, SyncedPosition};
use super::current::{Access, Current, Taken};
use super::directory::{Directory, Listed};
use super::error::{CursorError, GoneReason};
use super::found::{NextBlock, SyncedFile, Wait};
use super::lines::Extent;
use super::progress::{Opening, Phase, Progress};
use crate::file::FileName;
use crate::journal::Stream;

/// Returns what is synced in a directory, in order, each line once.
///
/// A cursor changes nothing and locks nobody out. It is `Send`. Between calls it holds one open
/// file and no block.
#[derive(Debug)]
pub struct SyncedCursor {
    directory: Directory,
    next: Next,
    current: Option<Current>,
    /// Files that were listed and not opened yet, oldest first.
    pending: VecDeque<Listed>,
    /// There was no file after `next`, and there is none with a line while the stream stays as it was
    /// then: a directory of many files is not listed again at each call.
    listed_in: Option<Opening>,
    /// The end of the last block.
    position: Option<SyncedPosition>,
    through_ms: Option<u64>,
    /// An error after which nothing more can be said.
    failure: Option<CursorError>,
}

/// What comes next while no file is open.
#[derive(Clone, Copy, Debug)]
enum Next {
    Oldest,
    /// The first file that has this name, or sorts after it.
    From(FileName),
    After(FileName),
}

/// One step towards a block.
enum Step {
    Block(SyncedBlock),
    /// Something has changed, or a file is over.
    Again,
    /// Everything that is synced was returned.
    CaughtUp,
    /// Nothing can be said before the writer goes on.
    Held,
}

impl SyncedCursor {
    /// A cursor that starts at `from`, or at the oldest line.
    ///
    /// # Errors
    ///
    /// [`CursorError::PositionGone`] if `from` is not a position between two lines of an existing
    /// file, [`CursorError::NoDirectory`], and those of [`next_block`](Self::next_block).
    pub fn open(
        directory: impl AsRef<Path>,
        stream: Stream,
        from: Option<&SyncedPosition>,
    ) -> Result<Self, CursorError> {
        let mut cursor = Self::with(Directory::open(directory.as_ref(), stream)?, Next::Oldest);
        if let Some(from) = from {
            let found = cursor.directory.find(from)?;
            let source = found.map_err(|reason| cursor.directory.gone(from, reason))?;
            cursor.current = Some(Current::new(source, from.offset));
            cursor.position = Some(from.clone());
        }
        Ok(cursor)
    }

    /// A cursor that starts with the first file after the one of this name, which need not exist any
    /// more.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), and [`CursorError::NoSuchName`].
    pub fn open_after_file(
        directory: impl AsRef<Path>,
        stream: Stream,
        name: &str,
    ) -> Result<Self, CursorError> {
        let directory = Directory::open(directory.as_ref(), stream)?;
        let key = directory.key_of(name);
        let key = key.ok_or_else(|| CursorError::NoSuchName { name: name.to_owned() })?;
        Ok(Self::with(directory, Next::After(key)))
    }

    fn with(directory: Directory, next: Next) -> Self {
        Self {
            directory,
            next,
            current: None,
            pending: VecDeque::new(),
            listed_in: None,
            position: None,
            through_ms: None,
            failure: None,
        }
    }

    /// The next block of at most `limit_bytes`; a line longer than that is a block of its own.
    ///
    /// # Errors
    ///
    /// [`CursorError`]; after [`CursorError::Io`] a later call may succeed, unless a sync failed.
    pub fn next_block(&mut self, limit_bytes: usize) -> Result<NextBlock, CursorError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        loop {
            // Before the control file is read: what that says holds for this time.
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let progress = self.directory.progress()?;
            match self.step(&progress, limit_bytes).inspect_err(|error| self.note_failure(error))? {
                Step::Block(block) => return Ok(NextBlock::Block(block)),
                Step::Again => continue,
                Step::CaughtUp => self.note_caught_up(&progress, now.as_millis() as u64),
                Step::Held => {}
            }
            if let Some(wait) = self.wait(&progress)? {
                return Ok(NextBlock::Wait(wait));
            }
        }
    }

    /// The position after the last block. `None` before the first block of a cursor that was opened
    /// without a position.
    #[must_use]
    pub fn position(&self) -> Option<SyncedPosition> {
        self.position.clone()
    }

    /// Everything that the directory accepted before this time, in milliseconds since 1970 (UTC), is
    /// in the blocks that were returned. `None` if that is unknown: the writer sets no time marks
    /// ([`Builder::time_marks`](crate::Builder::time_marks)), or the cursor is not that far yet. It
    /// never goes back. After [`Wait::Open`] it is the time of that call.
    #[must_use]
    pub const fn through_ms(&self) -> Option<u64> {
        self.through_ms
    }

    /// How many synced bytes were not returned yet. Files that are compressed count as they are on
    /// the disk.
    ///
    /// # Errors
    ///
    /// [`CursorError::Io`] if the directory cannot be read.
    pub fn lag_bytes(&self) -> Result<u64, CursorError> {
        let progress = self.directory.progress()?;
        let mut lag_bytes = 0;
        for Listed { key, name, .. } in self.directory.files(|key| self.next_in(key).is_some())? {
            let begin = self.next_in(key).unwrap_or_default();
            let end = match progress.extent_of(key) {
                Some(Extent::UpTo(end)) => end,
                Some(Extent::Whole) => match self.directory.open_file(key, &name)? {
                    Some(source) => source.disk_bytes()?,
                    None => 0,
                },
                None => 0,
            };
            lag_bytes += end.saturating_sub(begin);
        }
        Ok(lag_bytes)
    }

    /// The offset in a file from which its lines were not returned yet; `None` if all were.
    fn next_in(&self, key: FileName) -> Option<u64> {
        if let Some(Current { source, offset, .. }) = &self.current {
            return match key.cmp(&source.key) {
                Ordering::Less => None,
                Ordering::Equal => Some(*offset),
                Ordering::Greater => Some(0),
            };
        }
        self.is_next(key).then_some(0)
    }

    /// Reads the lines from `start` to the offset `end` of the same file once more, as for a block
    /// that was noted before a crash. The cursor does not move. It is not checked that they are
    /// synced, because they were. `through_ms` of the block is `None`, and `file_ends_here` says
    /// whether the file ends there now.
    ///
    /// # Errors
    ///
    /// [`CursorError::PositionGone`] if the file does not have these lines any more; and those of
    /// [`next_block`](Self::next_block).
    pub fn block_at(&self, start: &SyncedPosition, end: u64) -> Result<SyncedBlock, CursorError> {
        let gone = |reason| self.directory.gone(start, reason);
        let mut source = self.directory.find(start)?.map_err(gone)?;
        let bytes = end.checked_sub(start.offset).and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = bytes.filter(|&bytes| bytes > 0).ok_or_else(|| gone(GoneReason::WithinLine))?;
        let lines = source.read_again(start.offset, bytes)?.map_err(gone)?;
        Ok(source.block(start.offset, lines, None))
    }

    /// The files that exist now, oldest first, up to the one that is being written.
    ///
    /// # Errors
    ///
    /// [`CursorError::Io`].
    pub fn files(&self) -> Result<Vec<SyncedFile>, CursorError> {
        let progress = self.directory.progress()?;
        let mut files = Vec::new();
        for Listed { key, name, .. } in self.directory.files(|_| true)? {
            let Some(extent) = progress.extent_of(key) else { continue };
            let Some(mut source) = self.directory.open_file(key, &name)? else { continue };
            source.identify(extent)?;
            let (birth, disk_bytes) = (source.birth(), source.disk_bytes()?);
            files.push(SyncedFile { name, birth, disk_bytes });
        }
        Ok(files)
    }

    // ===== one step =====

    fn step(&mut self, progress: &Progress, limit_bytes: usize) -> Result<Step, CursorError> {
        if matches!(progress.phase, Phase::NotSynced) {
            return Ok(Step::Held);
        }
        let Some(current) = &mut self.current else { return self.open_next(progress) };
        let extent = match current.access(progress, &self.directory)? {
            Access::Read(extent) => extent,
            Access::Wait => return Ok(Step::CaughtUp),
            Access::OpenAgain | Access::BeginAnew => return Ok(self.begin_anew()),
            Access::Gone(reason) => return Err(self.gone(reason)),
        };
        if extent == Extent::Whole {
            current
                .source
                .sync(&self.directory.disk, &self.directory.path)
                .map_err(CursorError::of_sync)?;
        }
        match current.identify(extent, self.position.as_ref())? {
            Ok(true) => {}
            Ok(false) if self.may_be_begun(progress) => return Ok(Step::CaughtUp),
            Ok(false) => return self.end_of_lines(extent),
            Err(reason) => return Err(self.gone(reason)),
        }
        match current.take(progress, &self.directory, extent, limit_bytes)? {
            Taken::Block(block) => Ok(Step::Block(self.note_block(block))),
            Taken::End => self.end_of_lines(extent),
            // The first line may have been read while it was not whole.
            Taken::Changed if extent == Extent::Whole => Ok(self.begin_anew()),
            Taken::Changed => Ok(Step::Again),
            Taken::Held => Ok(Step::Held),
            Taken::Gone(reason) => Err(self.gone(reason)),
        }
    }

    /// Whether a writer may have created the current file, which is empty, just now: it creates a file
    /// before it anchors its stream to it.
    fn may_be_begun(&self, progress: &Progress) -> bool {
        !matches!(progress.phase, Phase::Begun(_)) && self.pending.is_empty()
    }

    fn note_block(&mut self, mut block: SyncedBlock) -> SyncedBlock {
        self.through_ms = self.through_ms.max(block.through_ms);
        block.through_ms = self.through_ms;
        self.position = Some(block.end_position());
        block
    }

    /// Opens what has the name of the current file now.
    fn begin_anew(&mut self) -> Step {
        if let Some(current) = self.current.take() {
            self.next = Next::From(current.source.key);
            self.pending.clear();
        }
        Step::Again
    }

    /// All lines within `extent` were returned.
    fn end_of_lines(&mut self, extent: Extent) -> Result<Step, CursorError> {
        let Some(current) = self.current.take_if(|_| extent == Extent::Whole) else {
            return Ok(Step::CaughtUp);
        };
        // After logrotate's `create`, another file has its name.
        let Current { source, .. } = current;
        let is_replaced = source.is_plain()
            && !source.is_named(&self.directory.disk)?
            && self.directory.has_plain(&source.name)?;
        self.next = if is_replaced { Next::From(source.key) } else { Next::After(source.key) };
        if is_replaced {
            self.pending.clear();
        }
        Ok(Step::Again)
    }

    fn is_next(&self, key: FileName) -> bool {
        match self.next {
            Next::Oldest => true,
            Next::From(first) => key >= first,
            Next::After(last) => key > last,
        }
    }

    /// Opens the next file, if anything of it is synced.
    fn open_next(&mut self, progress: &Progress) -> Result<Step, CursorError> {
        if self.pending.is_empty() && self.listed_in != Some(progress.opening) {
            self.pending = self.directory.files(|key| self.is_next(key))?.into();
        }
        let Some(next) = self.pending.front() else {
            self.listed_in = Some(progress.opening);
            return Ok(Step::CaughtUp);
        };
        if progress.extent_of(next.key).is_none() {
            return Ok(Step::CaughtUp);
        }
        match self.directory.open_file(next.key, &next.name)? {
            Some(source) => {
                self.current = Some(Current::new(source, 0));
                self.listed_in = None;
            }
            // An empty file is removed by its writer. And at the start, nothing is pinned yet.
            None if next.is_empty || self.position.is_none() => {}
            None => return Err(self.gone(GoneReason::NextRemoved)),
        }
        self.pending.pop_front();
        Ok(Step::Again)
    }

    fn gone(&self, reason: GoneReason) -> CursorError {
        // A cursor without a position has not returned a line that could be gone.
        let current = self.current.as_ref().and_then(|current| {
            let birth = current.source.birth()?;
            Some(SyncedPosition {
                file: current.source.name.clone(),
                birth,
                offset: current.offset,
            })
        });
        match current.or_else(|| self.position.clone()) {
            Some(position) => self.directory.gone(&position, reason),
            None => unreachable!("a file without lines has lost some"),
        }
    }

    fn note_failure(&mut self, error: &CursorError) {
        let is_final = matches!(error, CursorError::PositionGone { .. } | CursorError::Sync { .. });
        self.failure = is_final.then(|| error.clone());
    }

    /// Everything that `progress` says is synced was returned. It was read at `now_ms` or later.
    fn note_caught_up(&mut self, progress: &Progress, now_ms: u64) {
        let through_ms = match &progress.phase {
            Phase::Closed => Some(now_ms),
            Phase::NotBegun | Phase::Begun(_) => progress.mark().map(|(time_ms, _)| time_ms),
            Phase::NotSynced => None,
        };
        self.through_ms = self.through_ms.max(through_ms);
    }

    /// What must happen before there is more than `progress` says; `None` if it just happened.
    fn wait(&self, progress: &Progress) -> Result<Option<Wait>, CursorError> {
        if matches!(progress.phase, Phase::Closed) {
            return Ok(Some(Wait::Open));
        }
        let has_writer = self.directory.has_writer()?;
        // A writer that closed meanwhile said so before it released its locks.
        if !has_writer && self.directory.progress()?.opening != progress.opening {
            return Ok(None);
        }
        Ok(Some(match (has_writer, progress.sync_failed) {
            (true, true) => Wait::SyncFailed,
            (true, false) => Wait::Writer,
            (false, _) => Wait::Recovery,
        }))
    }
}

const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<SyncedCursor>();
};
