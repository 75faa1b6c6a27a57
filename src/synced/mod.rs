//! Reads what is synced, block by block, for programs that ship a directory elsewhere.
//!
//! A [`SyncedCursor`] returns blocks of whole lines that a power loss cannot take back, in order,
//! each once. It works in the process that writes the directory and in any other one, and changes
//! nothing in the directory. A [`Pin`] keeps what was not shipped yet from being removed by
//! retention, and what was shipped from being cut by a recovery.
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! use cdrlog::synced::{NextBlock, Pin, Stream, SyncedCursor, Wait};
//!
//! # let appender = cdrlog::Appender::builder(directory).open()?;
//! # appender.producer().send_slice(br#"{"event":"sessionCreated","timestamp":1}"#)?;
//! # appender.close()?;
//! // First the pin: from now on retention removes nothing that the archive needs.
//! let mut pin = Pin::create(directory, "archive", Stream::Lines, true)?;
//! let mut cursor = SyncedCursor::open(directory, Stream::Lines, None)?;
//! while let NextBlock::Block(block) = cursor.next_block(8 << 20)? {
//!     pin.set_floor(&block)?; // no recovery cuts what leaves the machine
//!     // ... send `block.bytes`; when the archive has them for good:
//!     pin.advance(&block.end_position())?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is synced
//!
//! Where a writer is at work, the control file says how far it has synced. Of the file that is
//! being written, whole lines before that are returned; every file before it is over, and is
//! returned to its end. If the writer's last sync is older than its file, because the sync at a
//! rotation failed, nothing more is returned ([`Wait::SyncFailed`]). After a process that did not
//! close, what was noted as synced is returned, and the rest waits for the next open
//! ([`Wait::Recovery`]), because the journal may hold lines that no file has. After a close,
//! everything is returned.
//!
//! Only files that an appender created in this directory are read: nobody knows whether other
//! programs are done with theirs, nor in which order their lines belong.

mod birth;
mod block;
mod compressed;
mod current;
mod cursor;
mod directory;
mod error;
mod found;
mod lines;
mod pin;
mod progress;
mod source;

pub use self::birth::{Birth, BirthError};
pub use self::block::{SyncedBlock, SyncedPosition};
pub use self::cursor::SyncedCursor;
pub use self::error::{CursorError, GoneReason};
pub use self::found::{NextBlock, SyncedFile, Wait};
pub use self::pin::{Pin, PinError, PinState, pins};
pub use crate::journal::Stream;
