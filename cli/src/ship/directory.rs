//! The lines of a CDR directory, as the library returns them once they are synced.

use std::mem;
use std::path::{Path, PathBuf};

use cdrlog::manifest::{Manifest, ManifestFile, SealedFile};
use cdrlog::reader::{FileKind, cdr_files};
use cdrlog::synced::{
    Birth, CursorError, GoneReason, NextBlock, Pin, SyncedBlock, SyncedCursor, SyncedFile,
    SyncedPosition, Wait,
};

use super::header::{Header, Missing, MissingFile, Position, Stream};
use super::source::{Cursor, Found, Held, Lines, Source, SourceError};
use cdrlog::manifest::Hash;

/// A gap names so many files at most: a header is short.
const MISSING_FILES_MAX: usize = 100;

/// One stream of a directory, pinned for one destination.
pub(super) struct Directory {
    path: PathBuf,
    stream: Stream,
    cursor: Option<SyncedCursor>,
    pin: Pin,
    /// The block that was returned last, without its lines, for the floor of the pin.
    last: Option<SyncedBlock>,
}

impl Directory {
    /// Pins the stream, and reads nothing yet.
    pub(super) fn pin(
        path: &Path,
        stream: Stream,
        name: &str,
        required: bool,
    ) -> Result<Self, SourceError> {
        let pin = Pin::create(path, name, library_stream(stream), required).map_err(fault)?;
        Ok(Self { path: path.to_owned(), stream, cursor: None, pin, last: None })
    }

    /// How many synced bytes were not cut into blocks yet.
    pub(super) fn lag_bytes(&self) -> Result<u64, SourceError> {
        if let Some(cursor) = &self.cursor {
            return cursor.lag_bytes().map_err(fault);
        }
        // The destination was not asked yet: what was cut before this start may be there.
        let stream = library_stream(self.stream);
        let cursor = SyncedCursor::open(&self.path, stream, self.pin.state().floor.as_ref());
        let cursor = cursor.or_else(|_| SyncedCursor::open(&self.path, stream, None));
        cursor.and_then(|cursor| cursor.lag_bytes()).map_err(fault)
    }

    /// Puts the cursor after `after`, where it may be already.
    fn go_to(&mut self, after: Option<&Cursor>) -> Result<Result<(), Found>, SourceError> {
        let wanted = after.map(|after| &after.position);
        let is_there = |cursor: &SyncedCursor| {
            let position = cursor.position();
            position.as_ref().map(position_of).as_ref() == wanted
        };
        if self.cursor.as_ref().is_some_and(is_there) {
            return Ok(Ok(()));
        }
        self.cursor = None;
        let stream = library_stream(self.stream);
        let position = wanted.map(library_position);
        let opened = match SyncedCursor::open(&self.path, stream, position.as_ref()) {
            Err(CursorError::PositionGone { reason, next, .. }) => {
                let after = after.ok_or_else(|| SourceError("the oldest line is gone".into()))?;
                match self.without_file(after, reason, next.as_deref())? {
                    Ok(()) => {
                        SyncedCursor::open_after_file(&self.path, stream, &after.position.file)
                    }
                    Err(found) => return Ok(Err(found)),
                }
            }
            opened => opened,
        };
        self.cursor = Some(opened.map_err(fault)?);
        Ok(Ok(()))
    }

    /// Whether everything of a file that cannot be read any more was shipped.
    fn without_file(
        &self,
        after: &Cursor,
        reason: GoneReason,
        next: Option<&SyncedPosition>,
    ) -> Result<Result<(), Found>, SourceError> {
        let Position { file, offset, .. } = &after.position;
        if let GoneReason::Shortened { bytes } = reason {
            let fault = format!("{file} has {bytes} bytes, and {offset} bytes of it were shipped");
            return Ok(Err(Found::Changed(fault)));
        }
        let manifest = self.manifest()?;
        let mut length = String::new();
        if reason != GoneReason::NextRemoved {
            let listed = manifest.file(file).map(|file| file.sealed.bytes);
            if after.file_end || (reason == GoneReason::Removed && listed == Some(*offset)) {
                return Ok(Ok(()));
            }
            let told = |bytes| format!(", which had {bytes} bytes");
            length = listed.map(told).unwrap_or_default();
        }
        let before = next.map(|next| next.file.as_str());
        let missing = Missing {
            file: Some(file.clone()),
            offset: *offset,
            reason: format!("{reason}{length}"),
            files: self.gone_files(&manifest, file, before)?,
        };
        Ok(Err(Found::Gap { missing, resume: resume(after, next) }))
    }

    /// The files from `first` on up to `before` that held lines and are gone.
    fn gone_files(
        &self,
        manifest: &Manifest,
        first: &str,
        before: Option<&str>,
    ) -> Result<Vec<MissingFile>, SourceError> {
        let there = cdr_files(&self.path).map_err(fault)?;
        let kind = file_kind(self.stream);
        let is_gone = |sealed: &&SealedFile| {
            let name = sealed.name.as_str();
            let is_between = name >= first && before.is_none_or(|before| name < before);
            let held_lines = FileKind::of_name(name) == Some(kind) && sealed.bytes > 0;
            is_between && held_lines && there.iter().all(|file| file.name != name)
        };
        let gone = manifest.files().map(|file| &file.sealed).filter(is_gone);
        let gone = gone.take(MISSING_FILES_MAX).map(|sealed| MissingFile {
            name: sealed.name.clone(),
            bytes: sealed.bytes,
            lines: sealed.lines,
            hash: sealed.blake3,
        });
        Ok(gone.collect())
    }

    fn manifest(&self) -> Result<Manifest, SourceError> {
        Manifest::read(&self.path).map_err(fault)
    }

    /// A file between two others that is gone, although it held lines.
    fn missing_between(
        &self,
        after: &str,
        before: &str,
    ) -> Result<Option<ManifestFile>, SourceError> {
        let kind = FileKind::of_name(before);
        let manifest = self.manifest()?;
        let missing = manifest.files().find(|file| {
            let name = file.sealed.name.as_str();
            name > after
                && name < before
                && FileKind::of_name(name) == kind
                && file.sealed.bytes > 0
        });
        Ok(missing.cloned())
    }

    /// The block as what comes next, unless files before it are missing.
    fn found(
        &mut self,
        after: Option<&Cursor>,
        mut block: SyncedBlock,
    ) -> Result<Found, SourceError> {
        let after = after.map_or("", |after| after.position.file.as_str());
        if after < block.file.as_str()
            && let Some(missing) = self.missing_between(after, &block.file)?
        {
            self.cursor = None;
            let sealed = missing.sealed;
            let reason =
                format!("the file of {} bytes and {} lines is gone", sealed.bytes, sealed.lines);
            let files = self.gone_files(&self.manifest()?, &sealed.name, Some(&block.file))?;
            let missing = Missing { file: Some(sealed.name), offset: 0, reason, files };
            let resume = Cursor { position: position_of(&block.start_position()), file_end: false };
            return Ok(Found::Gap { missing, resume });
        }
        let lines = Lines {
            start: position_of(&block.start_position()),
            bytes: Vec::from(mem::take(&mut block.bytes)),
            file_end: block.file_ends_here,
            through: block.through_ms.and_then(|through| i64::try_from(through).ok()),
        };
        self.last = Some(block);
        Ok(Found::Lines(lines))
    }
}

impl Source for Directory {
    fn beginning(&mut self) -> Result<Option<Cursor>, SourceError> {
        let cursor = SyncedCursor::open(&self.path, library_stream(self.stream), None);
        let files = cursor.and_then(|cursor| cursor.files()).map_err(fault)?;
        let oldest = files.into_iter().find_map(|SyncedFile { name, birth, .. }| {
            let position = SyncedPosition { file: name, birth: birth?, offset: 0 };
            Some(Cursor { position: position_of(&position), file_end: false })
        });
        if oldest.is_some() {
            return Ok(oldest);
        }
        let kind = file_kind(self.stream);
        let manifest = self.manifest()?;
        let files = manifest.files().map(|file| &file.sealed);
        let last = files.filter(|sealed| FileKind::of_name(&sealed.name) == Some(kind));
        Ok(last.max_by_key(|sealed| &sealed.name).map(|sealed| {
            let (file, offset) = (sealed.name.clone(), sealed.bytes);
            // Nothing is read of it any more.
            Cursor { position: Position { file, birth: Hash::NONE, offset }, file_end: true }
        }))
    }

    fn next(&mut self, after: Option<&Cursor>, bytes_max: usize) -> Result<Found, SourceError> {
        if let Err(found) = self.go_to(after)? {
            return Ok(found);
        }
        let Some(cursor) = &mut self.cursor else {
            return Ok(Found::Nothing { waits_for: None, through: None, is_closed: false });
        };
        match cursor.next_block(bytes_max) {
            Ok(NextBlock::Block(block)) => self.found(after, block),
            Ok(NextBlock::Wait(wait)) => Ok(Found::Nothing {
                waits_for: reason_of(wait),
                through: cursor.through_ms().and_then(|through| i64::try_from(through).ok()),
                is_closed: wait == Wait::Open,
            }),
            Err(CursorError::PositionGone { reason, next, .. }) => {
                self.cursor = None;
                let Some(after) = after else {
                    return Err(SourceError("the oldest file was removed just now".to_owned()));
                };
                match self.without_file(after, reason, next.as_deref())? {
                    // The next call goes on after it.
                    Ok(()) => Err(SourceError(format!("{} is gone", after.position.file))),
                    Err(found) => Ok(found),
                }
            }
            Err(error) => {
                self.cursor = None;
                Err(fault(error))
            }
        }
    }

    fn find(&mut self, start: &Position, end: u64) -> Result<Held, SourceError> {
        let (stream, position) = (library_stream(self.stream), library_position(start));
        let read = if start.offset == end {
            SyncedCursor::open(&self.path, stream, Some(&position)).map(|_| None)
        } else {
            let reader = SyncedCursor::open(&self.path, stream, None).map_err(fault)?;
            reader.block_at(&position, end).map(Some)
        };
        match read {
            Ok(mut block) => {
                let bytes = block.as_mut().map(|block| mem::take(&mut block.bytes));
                self.last = block;
                Ok(Held::Bytes(Vec::from(bytes.unwrap_or_default())))
            }
            Err(CursorError::PositionGone { reason: GoneReason::Removed, .. }) => {
                let manifest = self.manifest()?;
                let bytes = manifest.file(&start.file).map(|file| file.sealed.bytes);
                Ok(Held::Removed { bytes })
            }
            Err(CursorError::PositionGone { reason, .. }) => Ok(Held::Other(reason.to_string())),
            Err(error) => Err(fault(error)),
        }
    }

    fn waits_after(&mut self, name: &str) -> Result<Option<String>, SourceError> {
        let stream = library_stream(self.stream);
        let opened = SyncedCursor::open_after_file(&self.path, stream, name);
        match opened.map_err(fault)?.next_block(1).map_err(fault)? {
            NextBlock::Wait(wait) => Ok(reason_of(wait)),
            NextBlock::Block(_) => Ok(None),
        }
    }

    fn lacks_oldest(&mut self) -> Result<bool, SourceError> {
        let files = cdr_files(&self.path).map_err(fault)?;
        let is_here = |name: &str| files.iter().any(|file| file.name == name);
        let kind = file_kind(self.stream);
        Ok(self.manifest()?.files().any(|file| {
            let sealed = &file.sealed;
            let is_ours = FileKind::of_name(&sealed.name) == Some(kind);
            is_ours && sealed.bytes > 0 && !is_here(&sealed.name)
        }))
    }

    fn hold(&mut self, block: &Header) -> Result<(), SourceError> {
        let is_it =
            |last: &&SyncedBlock| last.file == block.fields.file && last.end == block.fields.end;
        match self.last.as_ref().filter(is_it) {
            Some(last) => self.pin.set_floor(last).map_err(fault),
            // A block without lines.
            None => Ok(()),
        }
    }

    fn release(&mut self, position: &Position) -> Result<(), SourceError> {
        self.pin.advance(&library_position(position)).map_err(fault)
    }

    fn needed_file(&self) -> Option<String> {
        self.pin.state().needed.as_ref().map(|needed| needed.file.clone())
    }

    fn births(&mut self) -> Result<Vec<(String, Hash)>, SourceError> {
        let mut births = Vec::new();
        for stream in Stream::ALL {
            let cursor = SyncedCursor::open(&self.path, library_stream(stream), None);
            for file in cursor.and_then(|cursor| cursor.files()).map_err(fault)? {
                if let Some(birth) = file.birth {
                    births.push((file.name, Hash::from_bytes(*birth.as_bytes())));
                }
            }
        }
        Ok(births)
    }
}

/// Where to go on after a gap.
fn resume(after: &Cursor, next: Option<&SyncedPosition>) -> Cursor {
    match next {
        Some(next) => Cursor { position: position_of(next), file_end: false },
        None => Cursor { file_end: true, ..after.clone() },
    }
}

fn reason_of(wait: Wait) -> Option<String> {
    match wait {
        Wait::Recovery => Some(
            "the last writer was killed, so lines may be in the journal only; start it again, or run \
             `cdrlog recover`"
                .to_owned(),
        ),
        Wait::SyncFailed => Some(
            "a sync of the writer failed, so nothing newer is safe to ship; look after the disk, and \
             restart the writer"
                .to_owned(),
        ),
        _ => None,
    }
}

pub(super) const fn library_stream(stream: Stream) -> cdrlog::synced::Stream {
    match stream {
        Stream::Lines => cdrlog::synced::Stream::Lines,
        Stream::Rejects => cdrlog::synced::Stream::Rejects,
    }
}

const fn file_kind(stream: Stream) -> FileKind {
    match stream {
        Stream::Lines => FileKind::Cdr,
        Stream::Rejects => FileKind::Rejects,
    }
}

fn library_position(position: &Position) -> SyncedPosition {
    let Position { file, birth, offset } = position;
    SyncedPosition {
        file: file.clone(),
        birth: Birth::from_bytes(*birth.as_bytes()),
        offset: *offset,
    }
}

fn position_of(position: &SyncedPosition) -> Position {
    let SyncedPosition { file, birth, offset } = position;
    Position { file: file.clone(), birth: Hash::from_bytes(*birth.as_bytes()), offset: *offset }
}

fn fault(error: impl std::fmt::Display) -> SourceError {
    SourceError(error.to_string())
}
