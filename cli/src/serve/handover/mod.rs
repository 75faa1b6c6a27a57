//! The hand-over: a new process takes the sockets and the directory of a running one, and no
//! connection is refused meanwhile.
//!
//! ```text
//! new                                       old
//! reads its options, certificate, keys      serves
//! reads the end of the CDR (dedup)
//! connects to .cdrlog/handover.sock ──────> is it the same user?
//!                     <── sockets ────────
//! can it use them all?
//!                     ──── go ────────────> one more request for each connection, then no accept
//!                                           waits for the requests in flight, closes the directory
//!                     <── closed ─────────
//! opens the directory, accepts
//!                     ──── serving ───────> ends
//! ```
//!
//! From "no accept" to "accepts" connections wait in the kernel: both processes hold the sockets.
//! The two never write at the same time, because the directory has a lock. If one of them dies or
//! gives up, the other one sees the end of the conversation: the old one opens the directory again
//! and goes on; the new one goes on if the old one has closed the directory or is dead.

mod channel;
mod control;
mod launch;
mod predecessor;

use std::path::{Path, PathBuf};

pub(super) use self::control::{Control, Successor, Verdict};
pub(super) use self::launch::{Launcher, TAKE_OVER};
pub(super) use self::predecessor::Predecessor;

/// The socket through which a server is asked to hand over. It is in the folder that only the user
/// of the server may write to, and the process that has the lock of the directory binds it.
fn socket_path(directory: &Path) -> PathBuf {
    directory.join(".cdrlog").join("handover.sock")
}

/// Only this user may connect.
const SOCKET_MODE: u32 = 0o600;
