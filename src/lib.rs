//! cdrlog turns the webhook events of a media server into OpenVidu Call Detail Record (CDR) lines,
//! inside the server, without slowing it down and without losing a line.
//!
//! A webhook body is a JSON object with a member `event`. Its CDR line is the same object, wrapped
//! under the name of the event:
//!
//! ```text
//! {"sessionId":"ses_Jd8tUyvhXO","timestamp":1538481330577,"event":"sessionCreated"}
//! {"sessionCreated":{"sessionId":"ses_Jd8tUyvhXO","timestamp":1538481330577}}
//! ```
//!
//! Every other byte is kept as it came: order, spelling of numbers, escapes, whitespace. Each body
//! is validated in full (RFC 8259, UTF-8, exactly one root member `event`, at most 128 levels of
//! nesting). A body that fails goes to the rejects file, whole and with the reason. There is no
//! schema: servers send members that no documentation names.
//!
//! # Example
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let appender = cdrlog::Appender::builder(directory).open()?;
//!
//! // One producer per thread. A send takes tens of nanoseconds and makes no system call.
//! let producer = appender.producer();
//! producer.send_slice(br#"{"event":"sessionCreated","timestamp":1538481330577}"#)?;
//!
//! // After a flush, everything sent before it is in the file.
//! appender.flush()?;
//! let line = std::fs::read_to_string(appender.cdr_path())?;
//! assert_eq!(line, "{\"sessionCreated\":{\"timestamp\":1538481330577}}\n");
//!
//! // Writes and syncs what is left, and returns any error. Dropping does the same, silently.
//! let stats = appender.close()?;
//! assert_eq!((stats.events_journaled, stats.events_rejected), (1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Data flow
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
//! An event passes through four states. "Kept" means that its line ends up in the CDR (for a
//! rejected body: its record in the rejects file) exactly once, whole and in order; after a crash,
//! the next [`Builder::open`] of the directory sees to that.
//!
//! | state | reached when | process dies (`kill -9`, crash, panic, abort) | disk full or stalled | power loss, kernel crash |
//! |---|---|---|---|---|
//! | *accepted* | [`Producer::send`] returned `Ok` | kept by the inbox, if there is one | kept, or given back by [`Appender::close`] | lost |
//! | *journaled* | an [`Ack`] for [`Durability::Journaled`] says so; within 20 ms while the disk keeps up | kept | kept | may be lost |
//! | *written* | [`Appender::flush`] returned `Ok`; within [`Builder::flush_interval`] while the disk keeps up | kept; readers see it | kept | may be lost |
//! | *synced* | [`Appender::sync`] returned `Ok`, or [`Appender::close`] unless the policy is [`SyncPolicy::Never`]; by default every second | kept | kept | kept |
//!
//! - **Order.** If `send` returns for one event before it is called for another, the first event
//!   comes first in the file, whatever threads they were sent from.
//! - **Inbox.** Accepted events are in a file in `/dev/shm` until they are journaled.
//!   [`Appender::inbox_path`] names the file; [`Stats::events_unprotected`] counts the events that
//!   had no place in it, which are lost if the process dies. The inbox lasts until the next reboot,
//!   or until the container that owns `/dev/shm` is removed.
//! - **Acknowledgement.** [`Producer::send_acked`] tells a sender when its event is journaled,
//!   written or synced. An event that was accepted but not acknowledged may still be kept, so a
//!   sender that sends it again may find it twice.
//! - **Back-pressure.** When the queue is full, [`Producer::send`] waits, [`Producer::try_send`]
//!   gives the event back, and [`SharedProducer::send_async`] waits without blocking a thread.
//!   Nothing is dropped silently; [`Stats`] counts everything.
//! - **Full disk.** A failed write is retried until it succeeds, or for
//!   [`Builder::write_retry_timeout`]. Events wait in the journal and in the queue meanwhile. If
//!   the process dies before there is space, the table still holds: [`Builder::open`] returns an
//!   error until there is space, and can be repeated.
//! - **Failed sync.** The first failed sync is remembered: every later [`Appender::sync`] and
//!   [`Appender::close`] returns it. It is never retried, because a retry may succeed although the
//!   data is gone.
//! - **Power loss.** The next `open` keeps everything that was synced, and the whole lines after
//!   that up to the first torn one; the rest goes to a `.torn` file. Then it appends the lines that
//!   only the journal holds, if their checksums are right.
//! - **One writer per directory.** A second [`Builder::open`], in any process, fails at once with
//!   [`OpenError::Locked`].
//! - **Other programs.** If another program moves, truncates or replaces a file, the next write
//!   notices it and reports it. If one removes the directory or `.cdrlog`, what was only accepted
//!   or journaled no longer survives the death of the process.
//! - No panic on any input or I/O error, no signal handler, no global state, no thread left after a
//!   close.
//!
//! `docs/reliability.md` names the test of each promise, and what the tests do not show;
//! `docs/systems.md` says what holds on systems other than Linux.
//!
//! # What it is not
//!
//! - Not a logging framework: it takes events, not levels and formats.
//! - Not a transport: it sends nothing anywhere. The CDR is a plain file for `tail`, `jq` and log
//!   shippers.
//! - Not a JSON library: [`Rewriter`] finds one member and validates the rest; it builds no tree.
//! - Not for servers that do not run Linux. It builds on macOS, the BSDs and Windows for development,
//!   where some promises do not hold: [`Notice::WeakerSystem`] and [`Notice::NoInbox`] say which.
//!
//! # Limits
//!
//! Everything has a limit, and each one is an option of [`Builder`]: the queue in events and bytes,
//! the largest event, the size of the journal. With the defaults, an appender uses at most 39 MiB.
//!
//! # Features
//!
//! None is on by default.
//!
//! - `compress`: compresses sealed files, see `Builder::compression`.
//! - `manifest`: lists sealed files in a chain of hashes, see the module `manifest`.
//! - `reader`: `Reader`, which reads and follows the lines of a directory, compressed or not.
//! - `serde`: [`Stats`] implements `Serialize`, as an object with a number for each counter.
//! - `synced`: the module `synced`: a cursor over synced lines, with retention pinned to it, for
//!   programs that ship a directory elsewhere.
//!
//! The program `cdrlog` is the package `cdrlog-cli`.

#![deny(unsafe_code, missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]
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
mod open_files;
mod opening;
mod options;
mod pins;
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
#[cfg(feature = "synced")]
pub mod synced;
mod system;
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

/// What the fuzz targets call of the recovery.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(not(any(unix, windows)))]
compile_error!("cdrlog runs on Linux, and for development on macOS, the BSDs and Windows");

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "cdrlog needs a 64-bit target: positions in its streams are 64-bit offsets into memory and files"
);

// They kill themselves, fork, and put the inbox into `/dev/shm`.
#[cfg(all(test, target_os = "linux"))]
mod tests;

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
