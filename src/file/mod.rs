//! Files on the disk: their names, how they are made, appended to, locked and watched.

mod calendar;
mod decoder;
pub(crate) mod disk;
mod disk_file;
#[cfg(feature = "reader")]
pub(crate) mod lines;
mod lock;
mod log_file;
mod name;

pub(crate) use calendar::{Calendar, Clock};
pub(crate) use decoder::Decoder;
pub(crate) use disk_file::DiskFile;
pub(crate) use lock::{Lock, LockError};
pub(crate) use log_file::{Interference, LogFile};
pub use name::Encoding;
#[cfg(feature = "reader")]
pub use name::FileKind;
pub(crate) use name::{FileName, Stamp};
