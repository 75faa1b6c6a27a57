#!/usr/bin/env python3
"""Kills the small media server of a binding, and checks that all it answered is in the CDR.

    kill_server.py COMMAND [ARGUMENT...]

The command is the server's; it gets a directory and the path of a unix socket as further arguments, prints
"ready" once it listens, and answers "ok" to each "join ROOM NAME" and "leave ROOM NAME" when its send has
returned. Without an inbox, or with a binding that answers before its send returned, what came last is missing.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

CLIENTS = 4
TIMEOUT_S = 60


class Server:
    """The media server, started on a directory."""

    started = []

    def __init__(self, command, directory, inboxes):
        self.socket = str(directory / "socket")
        environment = os.environ | {"CDRLOG_INBOX_DIRECTORY": str(inboxes)}
        self.process = subprocess.Popen(
            [*command, str(directory / "cdr"), self.socket], stdout=subprocess.PIPE, text=True, env=environment
        )
        Server.started.append(self)
        # A server that hangs is killed, so that the test fails instead of waiting.
        self.watchdog = threading.Timer(TIMEOUT_S, self.process.kill)
        self.watchdog.start()
        line = self.process.stdout.readline()
        assert line == "ready\n", f"the server does not start: it printed {line!r}"

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(TIMEOUT_S)
        connection.connect(self.socket)
        return connection

    def kill(self):
        """Right now, as `kill -9` does."""
        self.process.kill()
        self._end()

    def terminate(self):
        """Ends it as an operator does. Returns what it printed."""
        self.process.send_signal(signal.SIGTERM)
        printed = self.process.stdout.read()
        status = self._end()
        assert status == 0, f"the server ended with status {status}"
        return printed

    def _end(self):
        status = self.process.wait()
        self.watchdog.cancel()
        self.process.stdout.close()
        return status


class Client(threading.Thread):
    """Somebody who joins and leaves, and notes what was answered."""

    def __init__(self, server, number):
        super().__init__()
        self.number = number
        self.connection = server.connect()
        self.sent = 0
        self.answered = 0
        self.fault = None

    def say(self, count):
        """Joins or leaves so often, waiting for each answer. Stops when the server is gone."""
        with self.connection.makefile("r", newline="\n") as answers:
            for _ in range(count):
                verb = "leave" if self.sent % 2 else "join"
                try:
                    self.connection.sendall(f"{verb} room{self.number} n{self.sent}\n".encode())
                    self.sent += 1
                    answer = answers.readline()
                except OSError:
                    return
                if not answer:
                    return
                assert answer == "ok\n", f"the server answered {answer!r}"
                self.answered += 1

    def run(self):
        try:
            self.say(sys.maxsize)
        except AssertionError as fault:
            self.fault = fault

    def finish(self):
        self.join()
        if self.fault:
            raise self.fault


def names_by_room(directory):
    """The names in the CDR in the order of its lines, by room."""
    rooms = {}
    for path in sorted((directory / "cdr").glob("CDR.*.log")):
        for line in path.read_text().splitlines():
            ((event, members),) = json.loads(line).items()
            names = rooms.setdefault(members["sessionId"], [])
            expected = "participantLeft" if int(members["participantId"][1:]) % 2 else "participantJoined"
            assert event == expected, f"{line} is a {event}"
            names.append(members["participantId"])
    return rooms


def check(directory, clients):
    """What was answered is there, once and in order, and no more than one event without an answer."""
    rooms = names_by_room(directory)
    for client in clients:
        names = rooms.pop(f"room{client.number}", [])
        wanted = [f"n{number}" for number in range(len(names))]
        assert names == wanted, f"client {client.number}: not each once and in order: {names}"
        assert client.answered <= len(names) <= client.sent, (
            f"client {client.number}: {len(names)} of {client.answered} answered events are in the CDR"
        )
    assert not rooms, f"nobody said what is in {rooms}"


def a_server_killed_after_its_last_answer_loses_nothing(command, directory, inboxes):
    server = Server(command, directory, inboxes)
    clients = [Client(server, number) for number in range(CLIENTS)]
    for client in clients:
        client.say(1)
    # Not the first event, for which the appender was asleep.
    for client in clients:
        client.say(50)
    server.kill()
    assert all(client.answered == 51 for client in clients)
    Server(command, directory, inboxes).terminate()
    check(directory, clients)


def a_server_killed_in_the_middle_loses_nothing_that_was_answered(command, directory, inboxes):
    server = Server(command, directory, inboxes)
    clients = [Client(server, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    # All are at work, whose threads may be slow to start. If one has ended by itself, it says why below.
    while any(client.answered == 0 and client.is_alive() for client in clients):
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.3))
    server.kill()
    for client in clients:
        client.finish()
    assert all(client.answered > 0 for client in clients), "the server ends connections"
    Server(command, directory, inboxes).terminate()
    check(directory, clients)


def a_server_that_is_told_to_end_writes_everything(command, directory, inboxes):
    server = Server(command, directory, inboxes)
    clients = [Client(server, number) for number in range(CLIENTS)]
    for client in clients:
        client.say(20)
    printed = server.terminate()
    check(directory, clients)
    assert printed.endswith(f"{CLIENTS * 20} lines\n"), f"it printed {printed!r}"
    left = list(inboxes.iterdir())
    assert not left, f"an inbox is left: {left}"


TESTS = [
    a_server_killed_after_its_last_answer_loses_nothing,
    a_server_killed_in_the_middle_loses_nothing_that_was_answered,
    a_server_that_is_told_to_end_writes_everything,
]


def main():
    command = sys.argv[1:]
    if not command:
        sys.exit(__doc__)
    for test in TESTS:
        directory = pathlib.Path(tempfile.mkdtemp(prefix="cdrlog-test-"))
        inboxes = pathlib.Path(tempfile.mkdtemp(prefix="cdrlog-test-", dir="/dev/shm"))
        try:
            test(command, directory, inboxes)
        finally:
            for server in Server.started:
                server.watchdog.cancel()
                server.process.kill()
            shutil.rmtree(directory)
            shutil.rmtree(inboxes)
        print(f"ok {test.__name__}", flush=True)


if __name__ == "__main__":
    main()
