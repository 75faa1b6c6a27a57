"""Appends the webhook events of a media server to Call Detail Record files, and loses none.

An event that `Appender.send` took is in the CDR, even if the process is killed right after `send` returned.
"""

import atexit

from ._cdrlog import Ack, Appender, Position, Reader, end_notices, rewrite
from ._errors import (
    Closed,
    Damaged,
    Error,
    IoError,
    LineTooLong,
    Locked,
    NoSuchPosition,
    PositionGone,
    Rejected,
    SealedFile,
    SyncFailed,
    WouldDeadlock,
)
from ._handler import EventFormatter, Handler

atexit.register(end_notices)

__all__ = [
    "Ack",
    "Appender",
    "Closed",
    "Damaged",
    "Error",
    "EventFormatter",
    "Handler",
    "IoError",
    "LineTooLong",
    "Locked",
    "NoSuchPosition",
    "Position",
    "PositionGone",
    "Reader",
    "Rejected",
    "SealedFile",
    "SyncFailed",
    "WouldDeadlock",
    "rewrite",
]
