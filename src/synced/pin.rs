//! Pins: what retention must not remove, and a recovery must not cut.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::birth::Birth;
use super::block::{SyncedBlock, SyncedPosition};
use super::directory::kind_of;
use crate::file::{FileKind, STATE_DIR_NAME};
use crate::journal::{StateDir, Stream};
use crate::pins::{self, Floor, PIN_BYTES, PinRecord, PinnedPosition, Pins, UnreadablePin};
use crate::storage::{Disk, DiskError, DiskFile};

/// The maximum length of the name of a pin.
const NAME_BYTES_MAX: usize = 100;

/// What one reader of a directory still needs: a file in `.cdrlog/pins`, which the maintenance of
/// every appender reads before it removes a file. A pin that cannot be read pins everything.
///
/// One pin is for one stream and one destination, and one process changes it.
#[derive(Debug)]
pub struct Pin {
    disk: Disk,
    file: DiskFile,
    record: PinRecord,
    state: PinState,
}

/// What a pin says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinState {
    /// The name of the pin.
    pub name: String,
    /// The stream.
    pub stream: Stream,
    /// Whether it also holds against [`Builder::retention_bytes`](crate::Builder::retention_bytes),
    /// not only against [`Builder::retention_age`](crate::Builder::retention_age).
    pub required: bool,
    /// The first position that is still needed; `None` is the oldest line.
    pub needed: Option<SyncedPosition>,
    /// The end of the last block that may have left the machine: no recovery cuts what is before
    /// it.
    pub floor: Option<SyncedPosition>,
}

/// A pin could not be read or changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PinError {
    /// The name is not 1 to 100 letters, digits, `-` and `_`.
    Name {
        /// The name.
        name: String,
    },
    /// There is a pin of this name that cannot be read. Until it is repaired or
    /// [forgotten](Pin::forget), nothing is removed from the directory.
    Unreadable {
        /// The path of the pin.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// An I/O error. The directory has no `.cdrlog` before an appender opened it first.
    Io {
        /// What failed: "find", "create", "write", "sync".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
}

impl Pin {
    /// Opens the pin of this name, or creates one that needs everything. It survives a power loss
    /// once this returns. Create it before the first block is read: retention may remove files
    /// until then.
    ///
    /// `required`: whether it also holds against `retention_bytes`; this replaces what an existing
    /// pin says.
    ///
    /// # Errors
    ///
    /// [`PinError`].
    pub fn create(
        directory: impl AsRef<Path>,
        name: &str,
        stream: Stream,
        required: bool,
    ) -> Result<Self, PinError> {
        let disk = Disk::default();
        let path = path_of(directory.as_ref(), name, stream)?;
        let record = match read(&disk, &path)? {
            Some(record) => record,
            None => create_file(&disk, directory.as_ref(), &path, kind_of(stream), required)?,
        };
        let gone = || PinError::io("open", &path, io::ErrorKind::NotFound.into());
        let file = disk.open_existing(&path)?.ok_or_else(gone)?;
        let state = state_of(name, &record);
        let mut pin = Self { disk, file, record, state };
        if pin.record.required != required {
            let record = PinRecord { required, ..pin.record.clone() };
            pin.change(record)?;
        }
        Ok(pin)
    }

    /// What it says.
    #[must_use]
    pub const fn state(&self) -> &PinState {
        &self.state
    }

    /// Files before that of `needed` are not needed any more.
    ///
    /// # Errors
    ///
    /// [`PinError::Io`]; the pin then still says what it said before.
    pub fn advance(&mut self, needed: &SyncedPosition) -> Result<(), PinError> {
        let needed = Some(pinned(needed));
        self.change(PinRecord { needed, ..self.record.clone() })
    }

    /// The block may leave the machine: from now on no recovery cuts what is before its end. The
    /// note survives a power loss once this returns.
    ///
    /// # Errors
    ///
    /// [`PinError::Io`]; the block must not be sent then.
    pub fn set_floor(&mut self, block: &SyncedBlock) -> Result<(), PinError> {
        let position = pinned(&block.end_position());
        let floor = Some(Floor { position, first_line_crc32c: block.first_line_crc32c });
        self.change(PinRecord { floor, ..self.record.clone() })
    }

    /// Writes the next generation to the slot that is not in use. A failed sync may be retried: the
    /// slot is written anew each time.
    fn change(&mut self, record: PinRecord) -> Result<(), PinError> {
        let record = PinRecord { generation: self.record.generation + 1, ..record };
        let path = self.file.path();
        let (offset, slot) = record.encode().ok_or_else(|| {
            let fault = "the name of the file is too long, or not that of a file of the stream";
            PinError::io("change", path, io::Error::new(io::ErrorKind::InvalidInput, fault))
        })?;
        // Somebody who forgot the pin, or moved the directory away, does not read it here.
        let named = self.disk.examine(path)?;
        if !named
            .is_some_and(|named| self.file.metadata().is_ok_and(|ours| ours.is_same_file(&named)))
        {
            return Err(PinError::io("change", path, io::ErrorKind::NotFound.into()));
        }
        self.file.write_all_at(&slot, offset)?;
        self.file.sync_data()?;
        self.state = state_of(&self.state.name, &record);
        self.record = record;
        Ok(())
    }

    /// Ends a pin, even one that cannot be read: what it kept may be removed from now on. No error
    /// if there is none.
    ///
    /// # Errors
    ///
    /// [`PinError::Name`] and [`PinError::Io`].
    pub fn forget(directory: impl AsRef<Path>, name: &str, stream: Stream) -> Result<(), PinError> {
        let disk = Disk::default();
        let path = path_of(directory.as_ref(), name, stream)?;
        if disk.examine(&path)?.is_some() {
            disk.remove(&path)?;
            disk.sync_directory(&pins::path(directory.as_ref()))?;
        }
        Ok(())
    }
}

/// The pins of a directory, and the errors of those that cannot be read.
///
/// # Errors
///
/// [`PinError::Io`] if they cannot be listed.
pub fn pins(directory: impl AsRef<Path>) -> Result<Vec<Result<PinState, PinError>>, PinError> {
    let pins = Pins::read(&Disk::default(), directory.as_ref())?;
    let unreadable = pins.unreadable.clone().into_iter().map(|pin| {
        let UnreadablePin { path, fault } = pin;
        Err(PinError::Unreadable { path, fault })
    });
    let readable = pins.into_records().map(|(name, record)| Ok(state_of(&name, &record)));
    Ok(readable.chain(unreadable).collect())
}

fn path_of(directory: &Path, name: &str, stream: Stream) -> Result<PathBuf, PinError> {
    let is_valid = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_valid {
        return Err(PinError::Name { name: name.to_owned() });
    }
    let directory = std::path::absolute(directory)
        .map_err(|error| PinError::io("find the current directory of", directory, error))?;
    Ok(pins::path(&directory).join(pins::file_name(kind_of(stream), name)))
}

fn read(disk: &Disk, path: &Path) -> Result<Option<PinRecord>, PinError> {
    pins::read_record(disk, path)
        .map_err(|fault| PinError::Unreadable { path: path.to_owned(), fault })
}

fn create_file(
    disk: &Disk,
    directory: &Path,
    path: &Path,
    kind: FileKind,
    required: bool,
) -> Result<PinRecord, PinError> {
    // Not created here: it must belong to the user of the appender, who creates it.
    let state_dir = directory.join(STATE_DIR_NAME);
    if StateDir::find(disk, directory)?.is_none() {
        return Err(PinError::io("find", &state_dir, io::ErrorKind::NotFound.into()));
    }
    disk.create_directory(&pins::path(directory))?;
    disk.sync_directory(&state_dir)?;
    let record = PinRecord { generation: 0, kind, required, needed: None, floor: None };
    let mut content = vec![b' '; PIN_BYTES];
    if let Some((_, slot)) = record.encode() {
        content.splice(..slot.len(), slot);
    }
    disk.replace(path, &content)?;
    Ok(record)
}

fn state_of(name: &str, record: &PinRecord) -> PinState {
    let position = |pinned: &PinnedPosition| SyncedPosition {
        file: pinned.file.clone(),
        birth: Birth::from_bytes(pinned.birth),
        offset: pinned.offset,
    };
    PinState {
        name: name.to_owned(),
        stream: match record.kind {
            FileKind::Cdr => Stream::Lines,
            FileKind::Rejects => Stream::Rejects,
        },
        required: record.required,
        needed: record.needed.as_ref().map(position),
        floor: record.floor.as_ref().map(|floor| position(&floor.position)),
    }
}

fn pinned(position: &SyncedPosition) -> PinnedPosition {
    let SyncedPosition { file, birth, offset } = position;
    PinnedPosition { file: file.clone(), birth: *birth.as_bytes(), offset: *offset }
}

impl PinError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }
}

impl From<DiskError> for PinError {
    fn from(error: DiskError) -> Self {
        Self::Io { action: error.action, path: error.path, source: error.source }
    }
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name } => write!(
                f,
                "{name:?} cannot be the name of a pin: use 1 to 100 letters, digits, - and _"
            ),
            Self::Unreadable { path, fault } => write!(
                f,
                "cannot read the pin {}: {fault}; nothing is removed until it is repaired or forgotten",
                path.display()
            ),
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
        }
    }
}

impl Error for PinError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
