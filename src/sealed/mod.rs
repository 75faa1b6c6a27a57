//! Sealed files, which get no more lines: they are listed, compressed, and removed when they are
//! old.
//!
//! All of this is the work of one thread of low priority, the maintenance thread
//! (`engine/maintenance.rs`). Nothing that it does, or fails to do, affects how events get to their
//! file:
//!
//! ```text
//! flusher --name of the sealed file--> maintenance --> .cdrlog/manifest.jsonl     a line, with a hash
//!                                               --> CDR.<stamp>.log.zst        instead of .log
//!                                               --> removes the oldest files
//! ```

mod age;
#[cfg(feature = "compress")]
mod compression;
#[cfg(any(feature = "compress", feature = "manifest"))]
mod content;
mod context;
mod directory;
mod failures;
#[cfg(feature = "manifest")]
mod hash;
#[cfg(feature = "manifest")]
mod listing;
mod maintenance;
#[cfg(feature = "manifest")]
pub mod manifest;
#[cfg(feature = "manifest")]
mod manifest_lines;
#[cfg(feature = "manifest")]
mod manifest_writer;
#[cfg(feature = "manifest")]
mod measure;
mod requests;
mod retention;
mod step;

#[cfg(feature = "compress")]
pub use compression::Compression;
pub(crate) use context::MaintenanceContext;
pub(crate) use maintenance::{Maintenance, Rules};
pub(crate) use requests::MaintenanceRequests;
pub(crate) use step::Halt;
