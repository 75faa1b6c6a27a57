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


class Rejected(Error):
    """The body is not an event."""


class WouldDeadlock(Error):
    """A call in `on_notice` that would wait for the thread that calls `on_notice`."""
