"""Why a call failed, by what the caller can do."""


class Error(Exception):
    """All errors of cdrlog."""


class Closed(Error):
    """The appender is closed, has given up, or belongs to the parent of this forked process."""


class Locked(Error):
    """Another appender has the directory open."""


class Damaged(Error):
    """A file needs a person; the message says what to do. Nothing was changed."""


class IoError(Error, OSError):
    """The system refused something, usually because the disk is full; `errno` says why.

    Nothing that was accepted is lost, and the same call may succeed later.
    """


class SyncFailed(IoError):
    """A sync failed, now or earlier. Close the appender, check the disk, open the directory again."""


class SealedFile(Error):
    """A sealed file needs a person; the message names it and says why. No line is affected."""


class LineTooLong(Error):
    """The line is longer than `line_bytes_max`. The next call continues after it."""


class NoSuchPosition(Error, ValueError):
    """The position to begin at does not exist. Begin at byte 0 of the file, or at the next file."""


class PositionGone(Error):
    """The file of the position to begin at was removed or renamed; the message names the next file."""


class Rejected(Error):
    """The body is not an event."""


class WouldDeadlock(Error):
    """A call in `on_notice` that would wait for the thread that calls `on_notice`."""
