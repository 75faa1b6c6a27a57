//! Files on the disk: their names, how they are made, appended to, locked and watched.

mod calendar;
mod created_files;
#[cfg(any(feature = "compress", feature = "manifest"))]
mod decoder;
pub(crate) mod disk;
mod disk_file;
mod identity;
#[cfg(feature = "reader")]
pub(crate) mod lines;
mod lock;
mod log_file;
mod name;
mod name_lock;

/// The state directory: `.cdrlog` in a CDR directory: the lock, the journal, what is known of
/// finished files.
pub(crate) const STATE_DIR_NAME: &str = ".cdrlog";

pub(crate) use calendar::{Calendar, Clock};
pub(crate) use created_files::CreatedFiles;
#[cfg(any(feature = "compress", feature = "manifest"))]
pub(crate) use decoder::Decoder;
pub(crate) use disk_file::DiskFile;
pub(crate) use identity::Identity;
pub(crate) use lock::{Lock, LockError};
pub(crate) use log_file::{Interference, LogFile};
pub use name::Encoding;
#[cfg(feature = "reader")]
pub use name::FileKind;
pub(crate) use name::{FileName, Stamp};
