//! Pins: what retention must not remove, and a recovery must not cut.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Stream;
use super::block::{SyncedBlock, SyncedPosition};

/// What one reader of a directory still needs: a file in `.cdrlog/pins`, which the maintenance of
/// every appender reads before it removes a file. A pin that cannot be read pins everything.
///
/// One pin is for one stream and one destination, and one process changes it.
#[derive(Debug)]
pub struct Pin {
    _path: PathBuf,
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
    /// An I/O error.
    Io {
        /// What failed: "create", "write", "sync".
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
        _directory: impl AsRef<Path>,
        _name: &str,
        _stream: Stream,
        _required: bool,
    ) -> Result<Self, PinError> {
        unimplemented!()
    }

    /// What it says.
    #[must_use]
    pub fn state(&self) -> &PinState {
        unimplemented!()
    }

    /// Files before that of `needed` are not needed any more.
    ///
    /// # Errors
    ///
    /// [`PinError::Io`]; the pin then says what it said before.
    pub fn advance(&mut self, _needed: &SyncedPosition) -> Result<(), PinError> {
        unimplemented!()
    }

    /// The block may leave the machine: from now on no recovery cuts what is before its end. The
    /// note survives a power loss once this returns.
    ///
    /// # Errors
    ///
    /// [`PinError::Io`]; the block must not be sent then.
    pub fn set_floor(&mut self, _block: &SyncedBlock) -> Result<(), PinError> {
        unimplemented!()
    }

    /// Ends a pin, even one that cannot be read: what it kept may be removed from now on. No error
    /// if there is none.
    ///
    /// # Errors
    ///
    /// [`PinError::Name`] and [`PinError::Io`].
    pub fn forget(
        _directory: impl AsRef<Path>,
        _name: &str,
        _stream: Stream,
    ) -> Result<(), PinError> {
        unimplemented!()
    }
}

/// The pins of a directory, and the errors of those that cannot be read.
///
/// # Errors
///
/// [`PinError::Io`] if they cannot be listed.
pub fn pins(_directory: impl AsRef<Path>) -> Result<Vec<Result<PinState, PinError>>, PinError> {
    unimplemented!()
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
