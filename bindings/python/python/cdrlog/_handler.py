"""A handler for the module logging, whose records are events."""

import json
import logging


class EventFormatter(logging.Formatter):
    """The message is the name of the event, its members are `extra={"members": {...}}`:

    logging.getLogger("cdr").info("participantJoined", extra={"members": {"sessionId": "s"}})
    """

    def format(self, record):
        event = {"event": record.getMessage(), "timestamp": int(record.created * 1000)}
        event.update(getattr(record, "members", {}))
        return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


class Handler(logging.Handler):
    """Sends each record to an appender, as what its formatter makes of it: an `EventFormatter` unless another one
    is set, which must make JSON with a member "event". Closes the appender when it is closed, as logging does at
    the end of the program."""

    def __init__(self, appender, level=logging.NOTSET):
        super().__init__(level)
        self.appender = appender
        self.setFormatter(EventFormatter())

    def emit(self, record):
        try:
            self.appender.send(self.format(record))
        except Exception:  # what logging does with it is up to the program: logging.raiseExceptions
            self.handleError(record)

    def close(self):
        super().close()
        self.appender.close()
