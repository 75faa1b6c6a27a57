//! Files on the disk: their names, creation, appending, and locks.

mod calendar;
mod created_files;
#[cfg(any(feature = "compress", feature = "manifest"))]
mod decoder;
mod identity;
#[cfg(any(feature = "reader", feature = "synced"))]
pub(crate) mod lines;
mod lock;
mod log_file;
mod name;
mod name_lock;

pub(crate) use calendar::{Clock, FileNamer};
pub(crate) use created_files::{CreatedFiles, Inventory};
#[cfg(any(feature = "compress", feature = "manifest"))]
pub(crate) use decoder::Decoder;
pub(crate) use identity::Identity;
#[cfg(feature = "synced")]
pub(crate) use lock::has_writer;
pub(crate) use lock::{Lock, LockError};
pub(crate) use log_file::{ExternalChange, LogFile};
pub use name::{Encoding, FileKind};
pub(crate) use name::{FileName, FileStamp, STATE_DIR_NAME};
