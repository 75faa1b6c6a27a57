//! cdrlog turns WebHook events of a media server into OpenVidu Call Detail Record (CDR) lines,
//! inside the server, without slowing it down and without losing a line.
//!
//! A WebHook body is a JSON object with a member `event`; its CDR line is the same object under the
//! event's name:
//!
//! ```text
//! {"sessionId":"ses_Jd8tUyvhXO","timestamp":1538481330577,"event":"sessionCreated"}
//! {"sessionCreated":{"sessionId":"ses_Jd8tUyvhXO","timestamp":1538481330577}}
//! ```
//!
//! Every other byte stays as it came: order, spelling of numbers, escapes, whitespace. Each body is
//! checked in full (RFC 8259, UTF-8, exactly one root member `event`, nesting up to 128); one that
//! does not pass goes to the rejects file, whole and with the reason. There is no schema: servers
//! send members that no documentation names.
//!
//! # Example
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let appender = cdrlog::Appender::builder(directory).open()?;
//!
//! // One producer for each thread; a send costs some tens of nanoseconds and makes no system call.
//! let producer = appender.producer();
//! producer.send_slice(br#"{"event":"sessionCreated","timestamp":1538481330577}"#)?;
//!
//! // Everything sent before is in the file.
//! appender.flush()?;
//! let line = std::fs::read_to_string(appender.cdr_path())?;
//! assert_eq!(line, "{\"sessionCreated\":{\"timestamp\":1538481330577}}\n");
//!
//! // Writes and syncs what is left, and says whether all went well. Dropping does the same, silently.
//! let stats = appender.close()?;
//! assert_eq!((stats.events_journaled, stats.events_rejected), (1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The way of an event
//!
//! ```text
//! producers --send--> bounded queue --> rewriter thread --> journal --> flusher thread --> CDR.<date>_<time>.log
//! (any thread)                          checks, rewrites    mapped,      write(2) of         plain JSON Lines
//!                                       into the journal    pre-allocated whole lines        at any moment
//!                                              \----> journal --> rejected.<date>_<time>.jsonl
//! ```
//!
//! # Promises
//!
//! | an event is | when | and survives |
//! |---|---|---|
//! | *accepted* | [`Producer::send`] returned `Ok` | a kill, crash, panic and abort of the process, where there is an inbox |
//! | *journaled* | counted in [`Stats::events_journaled`], told by an [`Ack`] | `kill -9`, panic and abort of the process |
//! | *written* | [`Appender::flush`] returned `Ok` | the same, and readers see it |
//! | *synced* | [`Appender::sync`] or [`Appender::close`] returned `Ok` | power loss and crash of the kernel |
//!
//! A sender learns that its own event is there by [`Producer::send_acked`], at any of the last
//! three levels.
//!
//! - The inbox is a file in `/dev/shm` that accepted events are in until they are journaled;
//!   [`Appender::inbox_path`] names it, [`Stats::events_unprotected`] counts events that were not in
//!   it. It lives as long as the machine is up, and the container where that is of a container.
//! - A journaled line is in the CDR exactly once, whole and in order. After a kill the next
//!   [`Builder::open`] of the directory finishes what was journaled; [`Appender::recovery`] tells
//!   what it did.
//! - [`Producer::send`] waits while the queue is full, [`Producer::try_send`] gives the event back.
//!   [`SharedProducer::send_async`] waits without the thread, for servers with an async runtime.
//!   Nothing is dropped silently, everything is counted in [`Stats`].
//! - A failed write (a full disk) is tried again until it succeeds. The first failed sync is kept
//!   and told by every later [`Appender::sync`] and by [`Appender::close`]: a second try would lie.
//! - One writer a directory: a second [`Builder::open`], in any process, fails at once with
//!   [`OpenError::Locked`].
//! - No panic on any input or any error of the system, no signal handler, no global state, no
//!   thread left after a close.
//!
//! # What it is not
//!
//! - Not a logging framework: it takes events, not levels and formats.
//! - Not a transport: nothing is sent anywhere. The CDR is a plain file for `tail`, `jq` and log
//!   shippers.
//! - Not a JSON library: [`Rewriter`] finds one member and checks the rest; it makes no tree of it.
//! - Not portable yet: Linux only.
//!
//! # Limits
//!
//! Everything has one, and every one is an option of [`Builder`]: the queue in events and bytes,
//! the largest event, the size of the journal. With the defaults an appender holds 39 MiB at most.
//!
//! # Features
//!
//! None is on by default.
//!
//! - `compress`: sealed files are compressed, by `Builder::compression`.
//! - `manifest`: sealed files get a line in a chain of hashes, see the module `manifest`.
//! - `reader`: `Reader`, which reads and follows the lines of a directory, compressed ones too.
//! - `serde`: [`Stats`] is `Serialize`, an object with a number for each name.
//!
//! The program `cdrlog` is the package `cdrlog-cli`.

#![deny(unsafe_code, missing_docs)]
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::unwrap_used
    )
)]

mod ack;
mod appender;
mod builder;
mod contain;
mod engine;
mod error;
mod file;
mod flush;
mod inbox;
mod journal;
mod loom;
mod notice;
mod opening;
mod options;
mod pipeline;
mod producer;
mod queue;
#[cfg(feature = "reader")]
pub mod reader;
mod recovery;
mod rewrite;
mod sealed;
mod shared_producer;
mod stats;
pub mod storage;
mod sync;
mod vector;
mod waker;

pub use ack::{Ack, AckError, Durability, Position};
pub use appender::Appender;
pub use builder::Builder;
pub use bytes::Bytes;
pub use error::{
    CloseError, FlushError, MaintenanceError, OpenError, ReserveError, SendError, TrySendError,
};
pub use flush::SyncPolicy;
pub use journal::Recovery;
pub use notice::Notice;
pub use producer::Producer;
#[cfg(feature = "reader")]
pub use reader::Reader;
pub use rewrite::{
    EVENT_BYTES_MAX_DEFAULT, Instructions, LineCheck, LineFault, LineReason, Reason, Rejection,
    Rewriter, UnknownInstructions,
};
#[cfg(feature = "compress")]
pub use sealed::Compression;
#[cfg(feature = "manifest")]
pub use sealed::manifest;
pub use shared_producer::{Reservation, SharedProducer};
pub use stats::Stats;

/// Every implementation of the rewriter on its own, for fuzz targets.
#[cfg(fuzzing)]
#[doc(hidden)]
pub use rewrite::each;

/// What fuzz targets ask of the recovery.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(not(target_os = "linux"))]
compile_error!(
    "cdrlog runs on Linux only: it needs fallocate(2), and the page cache that outlives a process"
);

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "cdrlog needs a 64-bit target: positions in its streams are 64-bit offsets into memory and files"
);

#[cfg(test)]
mod tests;

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
