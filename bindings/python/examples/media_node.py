"""The signalling of a small media server: a thread for each connection, an event for each join and leave.

    media_node.py DIRECTORY SOCKET

A client writes "join ROOM NAME" or "leave ROOM NAME" to the unix socket, a line each, and reads "ok" once the event
outlives this process, or "busy" if the disk has been stalled for so long that the queue is full. SIGTERM ends the
server; nothing that was answered is missing.
"""

import contextlib
import json
import os
import signal
import socket
import socketserver
import sys
import threading
import time

import cdrlog

EVENTS = {"join": "participantJoined", "leave": "participantLeft"}


def event_of(command):
    """The event of a command; None if it is none."""
    verb, *names = command.split()
    if verb not in EVENTS or len(names) != 2:
        return None
    room, name = names
    event = {"event": EVENTS[verb], "timestamp": time.time_ns() // 1_000_000, "sessionId": room, "participantId": name}
    return json.dumps(event, separators=(",", ":"))


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        with self.server.open_connection(self.connection):
            for line in self.rfile:
                self.wfile.write(self.answer(line.decode()))

    def answer(self, command):
        event = event_of(command) if command.strip() else None
        if event is None:
            return b"unknown command\n"
        # Media must not wait for the disk: this tries for a second and gives up.
        for _ in range(1000):
            if self.server.appender.try_send(event):
                return b"ok\n"
            time.sleep(0.001)
        return b"busy\n"


class Server(socketserver.ThreadingUnixStreamServer):
    request_queue_size = 128

    def __init__(self, path, appender):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        super().__init__(path, Connection)
        self.appender = appender
        self.connections = set()
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def open_connection(self, connection):
        with self.lock:
            self.connections.add(connection)
        try:
            # The client or this server ends it, whatever is being read or written.
            with contextlib.suppress(OSError):
                yield
        finally:
            with self.lock:
                self.connections.discard(connection)

    def end(self):
        """Ends all connections, and waits for their threads."""
        self.shutdown()
        with self.lock:
            for connection in self.connections:
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: media_node.py DIRECTORY SOCKET")
    options = {}
    if "CDRLOG_INBOX_DIRECTORY" in os.environ:
        options["inbox_directory"] = os.environ["CDRLOG_INBOX_DIRECTORY"]
    # Before there is a thread: they inherit it, and the signals wait for sigwait.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    notice = lambda message: print(message, file=sys.stderr)
    with cdrlog.Appender(sys.argv[1], on_notice=notice, **options) as appender:
        if appender.recovered:
            print(appender.recovered, file=sys.stderr)
        server = Server(sys.argv[2], appender)
        threading.Thread(target=server.serve_forever).start()
        print("ready", flush=True)
        signal.sigwait(ends)
        server.end()
        appender.flush()
        lines = appender.stats()["events_journaled"]
    print(f"{lines} lines")


if __name__ == "__main__":
    main()
