//! One stream of a directory, as somebody sees it who only reads.

use std::path::{Path, PathBuf};

use super::block::SyncedPosition;
use super::error::{CursorError, GoneReason};
use super::lines::Extent;
use super::progress::Progress;
use super::source::{Seek, Source};
use crate::file::{CreatedFiles, Encoding, FileKind, FileName, STATE_DIR_NAME, has_writer};
use crate::journal::{StateDir, Stream};
use crate::storage::{Disk, DiskError, DiskResult};

/// One stream of a directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) disk: Disk,
    pub(super) path: PathBuf,
    kind: FileKind,
    stream: Stream,
    state_dir: StateDir,
    created_files: CreatedFiles,
}

/// A file that was found in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Without the encoding, as the name.
    pub(super) key: FileName,
    pub(super) name: String,
    pub(super) is_empty: bool,
}

/// What the files of a stream hold.
pub(super) const fn kind_of(stream: Stream) -> FileKind {
    match stream {
        Stream::Lines => FileKind::Cdr,
        Stream::Rejects => FileKind::Rejects,
    }
}

impl Directory {
    pub(super) fn open(path: &Path, stream: Stream) -> Result<Self, CursorError> {
        let disk = Disk::default();
        let path = std::path::absolute(path)
            .map_err(|error| CursorError::io("find the current directory of", path, error))?;
        let state_dir = StateDir::find(&disk, &path)?
            .ok_or_else(|| CursorError::NoDirectory { path: path.join(STATE_DIR_NAME) })?;
        let created_files = CreatedFiles::new(&disk, &path);
        Ok(Self { disk, path, kind: kind_of(stream), stream, state_dir, created_files })
    }

    /// What may be read now.
    pub(super) fn progress(&self) -> Result<Progress, CursorError> {
        let Some(state) = self.state_dir.settled_control()? else {
            return Ok(Progress::never_opened(self.stream));
        };
        let progress = state.and_then(|state| {
            let progress = Progress::of(&state, self.stream);
            progress.ok_or_else(|| "it names a file that no appender creates".to_owned())
        });
        let path = || self.state_dir.control_path();
        progress.map_err(|fault| CursorError::Damaged { path: path(), fault })
    }

    /// Whether an appender has the directory.
    pub(super) fn has_writer(&self) -> DiskResult<bool> {
        has_writer(&self.disk, &self.path)
    }

    /// The files of the stream that appenders created and that `is_wanted`, oldest first.
    pub(super) fn files(
        &self,
        is_wanted: impl Fn(FileName) -> bool,
    ) -> Result<Vec<Listed>, CursorError> {
        let mut found = Vec::new();
        // Twice: if a file is compressed meanwhile, its plain name may be removed before the listing
        // gets to it, and its compressed name may be added where the listing has been.
        for _ in 0..2 {
            for name in self.disk.names(&self.path)? {
                let key = FileName::parse(&name).filter(|key| key.kind == self.kind);
                if let Some(key) = key.map(FileName::plain).filter(|key| is_wanted(*key)) {
                    found.push((key, Encoding::of_name(&name).0.to_owned()));
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        // After the files: a name is noted before its file is created.
        let ours = self.created_files.names()?;
        found.retain(|(_, name)| ours.contains(name));
        let listed = found.into_iter().map(|(key, name)| {
            // A file that is not plain any more was sealed, and holds something.
            let plain = self.disk.examine(&self.path.join(&name))?;
            let is_empty = plain.is_some_and(|metadata| metadata.bytes == 0);
            Ok(Listed { key, name, is_empty })
        });
        listed.collect()
    }

    /// Whether there is an uncompressed file of that name.
    pub(super) fn has_plain(&self, name: &str) -> DiskResult<bool> {
        Ok(self.disk.examine(&self.path.join(name))?.is_some())
    }

    /// The sort key of a name, which must be that of a file of this stream.
    pub(super) fn key_of(&self, name: &str) -> Option<FileName> {
        FileName::parse(name).filter(|key| key.kind == self.kind).map(FileName::plain)
    }

    /// Opens the file whose uncompressed name is `name`. `None` if there is none.
    pub(super) fn open_file(
        &self,
        key: FileName,
        name: &str,
    ) -> Result<Option<Source>, CursorError> {
        Source::open(&self.disk, &self.path, key, name)
    }

    /// Opens the file of a position, at its offset; or why it is gone.
    pub(super) fn find(
        &self,
        position: &SyncedPosition,
    ) -> Result<Result<Source, GoneReason>, CursorError> {
        let Some(key) = self.key_of(&position.file) else { return Ok(Err(GoneReason::Removed)) };
        let Some(mut source) = self.open_file(key, &position.file)? else {
            return Ok(Err(GoneReason::Removed));
        };
        // A first line that is not whole yet has another birth.
        source.identify(Extent::Whole)?;
        if source.birth() != Some(position.birth) {
            return Ok(Err(GoneReason::Replaced));
        }
        Ok(match source.seek(position.offset)? {
            Seek::LineStart | Seek::FileEnd => Ok(source),
            Seek::WithinLine => Err(GoneReason::WithinLine),
            Seek::BeyondEnd { bytes } => Err(GoneReason::Shortened { bytes }),
        })
    }

    /// The error of a position after which lines are gone.
    pub(super) fn gone(&self, position: &SyncedPosition, reason: GoneReason) -> CursorError {
        match self.next_after(position) {
            Ok(next) => CursorError::PositionGone {
                position: position.clone(),
                reason,
                next: next.map(Box::new),
            },
            Err(error) => error,
        }
    }

    /// Where the next lines begin that exist: in another file of the same name, or in a later one.
    fn next_after(&self, position: &SyncedPosition) -> Result<Option<SyncedPosition>, CursorError> {
        let progress = self.progress()?;
        let first = self.key_of(&position.file);
        for Listed { key, name, .. } in self.files(|key| first.is_none_or(|first| key >= first))? {
            let Some(extent) = progress.extent_of(key) else { continue };
            let Some(mut source) = self.open_file(key, &name)? else { continue };
            source.identify(extent)?;
            match source.birth() {
                Some(birth) if name != position.file || birth != position.birth => {
                    return Ok(Some(SyncedPosition { file: name, birth, offset: 0 }));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

impl From<DiskError> for CursorError {
    fn from(error: DiskError) -> Self {
        Self::Io { action: error.action, path: error.path, source: error.source }
    }
}
