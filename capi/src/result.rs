//! The codes that functions return.

/// What a call came to, by what the caller can do. A later version may add codes: treat one that
/// you do not know as CDRLOG_IO. cdrlog_last_error_message explains all of them but CDRLOG_OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum cdrlog_result {
    /// Success.
    CDRLOG_OK = 0,
    /// The queue is full now. Try again later, or use cdrlog_send, which waits.
    CDRLOG_FULL = 1,
    /// The appender is closed, has given up, or belongs to the parent of this forked process:
    /// nothing is accepted any more. The event was not taken.
    CDRLOG_CLOSED = 2,
    /// An argument is NULL or out of its range; the message names it. A fault of the program.
    CDRLOG_INVALID_ARGUMENT = 3,
    /// The handle was freed, or has another type. A fault of the program.
    CDRLOG_INVALID_HANDLE = 4,
    /// Another appender has the directory open, in this process or another one. Close that one, or
    /// wait until its process has ended.
    CDRLOG_LOCKED = 5,
    /// A file of the journal is missing or damaged; nothing was changed. The message says what a
    /// person can do.
    CDRLOG_DAMAGED = 6,
    /// The system refused something, usually because the disk is full; cdrlog_last_error_errno has
    /// its number. Nothing that was accepted is lost, and the same call may succeed later.
    CDRLOG_IO = 7,
    /// A sync failed, now or earlier: what is not synced may not survive a power loss, and is not
    /// synced again. Close the appender, check the disk, open the directory again.
    CDRLOG_SYNC_FAILED = 8,
    /// The body is not an event. If it was sent, it is kept in the rejects file.
    CDRLOG_REJECTED = 9,
    /// The time is over. The same call may succeed later.
    CDRLOG_TIMED_OUT = 10,
    /// There is no further line; while following, there is none yet.
    CDRLOG_END = 11,
    /// The result does not fit into the buffer. The length that it needs was stored.
    CDRLOG_BUFFER_TOO_SMALL = 12,
    /// The line is longer than line_bytes_max. The next call continues after it.
    CDRLOG_LINE_TOO_LONG = 13,
    /// The position to start at does not exist. Start at byte 0 of the file, or at the next file.
    CDRLOG_NO_SUCH_POSITION = 14,
    /// A callback made a call that would wait for the thread of the callback. Call it from another
    /// thread.
    CDRLOG_WOULD_DEADLOCK = 15,
    /// A sealed file needs a person; the message names it and says why. No line is affected.
    CDRLOG_SEALED_FILE = 16,
    /// A fault in cdrlog itself; the message says where. Close the handle, and please report it.
    CDRLOG_PANIC = 17,
    /// The file of the position to start at was removed or renamed, and lines after the position
    /// may be missing. The message names the next file; a reader that starts at byte 0 of it gives
    /// all lines that are left.
    CDRLOG_POSITION_GONE = 18,
}
