//! The file system as an appender sees it, as a trait that a program can implement.
//!
//! Everything that an appender reads, writes, creates, renames, locks, syncs or maps goes through a
//! [`Storage`] and the [`StorageFile`]s that it opens. The default is [`FileSystem`]. Pass another
//! one to [`Builder::storage`](crate::Builder::storage): one whose disk is full or whose syncs
//! fail, to test how a program reacts, or one that keeps the files elsewhere.
//!
//! Most storages wrap [`FileSystem`]:
//!
//! ```
//! use std::io;
//! use std::path::{Path, PathBuf};
//!
//! use cdrlog::storage::{FileSystem, Metadata, OpenMode, Storage, StorageFile};
//!
//! /// A disk on which nothing new can be created.
//! #[derive(Debug)]
//! struct NoSpace(FileSystem);
//!
//! impl Storage for NoSpace {
//!     fn create_directory(&self, _path: &Path) -> io::Result<()> {
//!         Err(io::ErrorKind::StorageFull.into())
//!     }
//!
//!     fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
//!         if mode.creates() { Err(io::ErrorKind::StorageFull.into()) } else { self.0.open(path, mode) }
//!     }
//!
//!     // All other methods call the same method of `self.0`.
//! #   fn open_directory(&self, path: &Path, follow: bool) -> io::Result<Box<dyn StorageFile>> {
//! #       self.0.open_directory(path, follow)
//! #   }
//! #   fn metadata(&self, path: &Path) -> io::Result<Metadata> { self.0.metadata(path) }
//! #   fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> { self.0.symlink_metadata(path) }
//! #   fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> { self.0.canonicalize(path) }
//! #   fn list(&self, directory: &Path) -> io::Result<Vec<std::ffi::OsString>> { self.0.list(directory) }
//! #   fn remove_file(&self, path: &Path) -> io::Result<()> { self.0.remove_file(path) }
//! #   fn rename(&self, from: &Path, to: &Path) -> io::Result<()> { self.0.rename(from, to) }
//! #   fn sync_directory(&self, directory: &Path) -> io::Result<()> { self.0.sync_directory(directory) }
//! #   fn free_memory_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
//! #       self.0.free_memory_bytes(directory)
//! #   }
//! }
//!
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path().join("cdr");
//! let opened = cdrlog::Appender::builder(&directory).storage(NoSpace(FileSystem)).open();
//! assert!(matches!(opened, Err(cdrlog::OpenError::Io { action: "create directory", .. })));
//! # Ok::<(), io::Error>(())
//! ```
//!
//! [`Reader`](../struct.Reader.html) and the program `cdrlog` read the file system directly: they
//! find only what a storage keeps there.

mod contract;
mod disk;
mod disk_file;
mod dry_run;
mod error;
mod file_map;
mod file_system;
#[cfg(test)]
mod hook;
mod metadata;

pub use contract::{LockKind, OpenMode, Storage, StorageFile};
pub(crate) use disk::{Disk, check_owner};
#[cfg(any(feature = "compress", feature = "manifest"))]
pub(crate) use disk_file::DiskReader;
pub(crate) use disk_file::{DiskFile, write_all};
pub(crate) use error::{DiskError, DiskResult};
pub use file_map::FileMap;
pub use file_system::FileSystem;
#[cfg(test)]
pub(crate) use hook::FaultHook;
pub use metadata::{FileType, Metadata};
