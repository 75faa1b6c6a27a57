"""The module keeps what it says."""

import array
import errno
import gc
import gzip
import json
import logging
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import weakref

import cdrlog

EVENT = '{"event":"sessionCreated","timestamp":1}'
LINE = b'{"sessionCreated":{"timestamp":1}}'


class Test(unittest.TestCase):
    def setUp(self):
        self.directory = self.temporary()
        self.inboxes = self.temporary("/dev/shm")

    def temporary(self, place=None):
        directory = tempfile.TemporaryDirectory(prefix="cdrlog-test-", dir=place)
        self.addCleanup(directory.cleanup)
        return directory.name

    def open(self, directory=None, **options):
        appender = cdrlog.Appender(directory or self.directory, inbox_directory=self.inboxes, **options)
        self.addCleanup(appender.close)
        return appender

    def fill(self, appender):
        """Sends until the queue is full, and says how many events it took."""
        taken = 0
        refused_at = None
        # The journal takes what is in the queue until it is full too.
        while refused_at is None or time.monotonic() - refused_at < 0.2:
            if appender.try_send(EVENT):
                taken, refused_at = taken + 1, None
            else:
                refused_at = refused_at or time.monotonic()
        return taken


class Sending(Test):
    def test_text_and_all_buffers_of_bytes_become_lines(self):
        appender = self.open()
        encoded = EVENT.encode()
        for event in EVENT, encoded, bytearray(encoded), memoryview(encoded), array.array("B", encoded):
            appender.send(event)
            self.assertTrue(appender.try_send(event))
        appender.flush()
        self.assertEqual(pathlib.Path(appender.cdr_path).read_bytes(), (LINE + b"\n") * 10)
        self.assertEqual(appender.stats()["events_journaled"], 10)
        with self.assertRaises(TypeError):
            appender.send(1)
        with self.assertRaises(UnicodeEncodeError):
            appender.send("\ud800")

    def test_a_body_that_is_not_an_event_is_kept(self):
        appender = self.open()
        appender.send("[]")
        appender.sync()
        self.assertIn("not_an_object", pathlib.Path(appender.rejects_path).read_text())
        self.assertEqual([json.loads(line)["body"] for line in cdrlog.Reader(self.directory, rejects=True)], ["[]"])

    def test_a_full_queue_is_told_by_try_send_and_waited_for_without_the_gil_by_send(self):
        held, hold = threading.Event(), threading.Event()
        self.addCleanup(hold.set)

        def notice(_):
            held.set()
            hold.wait()

        # No line is written while a notice is given: the journal and then the queue fill.
        small = {"event_bytes_max": 4096, "segment_bytes": 4096, "segment_count": 2, "queue_events_max": 4}
        appender = self.open(on_notice=notice, **small)
        self.addCleanup(hold.set)
        os.unlink(appender.cdr_path)
        appender.send(EVENT)
        rotating = threading.Thread(target=appender.rotate)
        rotating.start()
        self.assertTrue(held.wait(20))
        taken = 1 + self.fill(appender)
        sending = threading.Thread(target=lambda: [appender.send(EVENT), appender.send_acked(EVENT, "written").wait()])
        sending.start()
        self.assertFalse(appender.try_send(EVENT))  # this thread has the GIL while the other one waits
        self.assertTrue(sending.is_alive())
        hold.set()
        sending.join()
        rotating.join()
        appender.flush()
        self.assertEqual(appender.stats()["events_journaled"], taken + 2)

    def test_an_acknowledgement_gives_the_position_of_the_line(self):
        appender = self.open()
        appender.send(EVENT)
        ack = appender.send_acked(EVENT, "written")
        position = ack.wait(20)
        size = len(LINE) + 1
        self.assertEqual((position.file, position.offset, position.line_bytes), (appender.cdr_path, size, size))
        with self.assertRaises(ValueError):
            ack.wait()
        with self.assertRaises(cdrlog.Rejected):
            appender.send_acked("[]", "journaled").wait()
        with self.assertRaises(ValueError):
            appender.send_acked(EVENT, "printed")

    def test_an_acknowledgement_that_is_not_there_can_be_waited_for_again(self):
        held, hold = threading.Event(), threading.Event()
        appender = self.open(on_notice=lambda _: [held.set(), hold.wait()])
        self.addCleanup(hold.set)
        os.unlink(appender.cdr_path)
        rotating = threading.Thread(target=appender.rotate)
        appender.send(EVENT)
        rotating.start()
        self.assertTrue(held.wait(20))
        # No line is written while a notice is given.
        ack = appender.send_acked(EVENT, "written")
        with self.assertRaises(TimeoutError):
            ack.wait(0.001)
        hold.set()
        self.assertEqual(ack.wait().line_bytes, len(LINE) + 1)
        rotating.join()


class Interrupted(Exception):
    """What the handler of a signal raises."""


class Signals(Test):
    def setUp(self):
        super().setUp()

        def interrupt(_signal, _frame):
            raise Interrupted

        before = signal.signal(signal.SIGALRM, interrupt)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)

    def test_a_signal_ends_a_send_that_waits_and_the_wait_for_an_acknowledgement(self):
        held, hold = threading.Event(), threading.Event()
        small = {"event_bytes_max": 4096, "segment_bytes": 4096, "segment_count": 2, "queue_events_max": 4}
        # No line is written while a notice is given: the journal and then the queue fill.
        appender = self.open(on_notice=lambda _: [held.set(), hold.wait(60)], **small)
        self.addCleanup(hold.set)
        os.unlink(appender.cdr_path)
        appender.send(EVENT)
        self.assertTrue(held.wait(20))
        ack = appender.send_acked(EVENT, "written")
        taken = 2 + self.fill(appender)
        # Something that is not interrupted ends when the notice does.
        freeing = threading.Timer(30, hold.set)
        freeing.start()
        self.addCleanup(freeing.cancel)
        waits = [
            lambda: appender.send(EVENT),
            lambda: appender.send_acked(EVENT, "written"),
            ack.wait,
            lambda: ack.wait(60),
        ]
        for wait in waits:
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            with self.assertRaises(Interrupted):
                wait()
            self.assertFalse(hold.is_set())
        hold.set()
        self.assertEqual(ack.wait().line_bytes, len(LINE) + 1)
        appender.close()
        # An event whose send was interrupted was not taken.
        self.assertEqual(list(cdrlog.Reader(self.directory)), [LINE] * taken)


class Opening(Test):
    def test_an_error_says_what_can_be_done(self):
        appender = self.open()
        with self.assertRaises(cdrlog.Locked):
            self.open()
        with self.assertRaises(cdrlog.IoError) as raised:
            cdrlog.Appender("/proc/no directory")
        self.assertIsInstance(raised.exception, OSError)
        self.assertEqual(raised.exception.errno, errno.ENOENT)
        self.assertIn("/proc/no directory", str(raised.exception))
        for wrong in {"segment_count": 1}, {"sync_policy": "daily"}, {"compression": "rar"}, {"flush_interval": -1.0}:
            with self.assertRaises(ValueError):
                cdrlog.Appender(self.temporary(), **wrong)
        with self.assertRaises(TypeError):
            cdrlog.Appender(self.temporary(), no_such_option=1)
        with self.assertRaises(TypeError):
            cdrlog.Appender(self.temporary(), on_notice=7)
        appender.close()
        appender.close()
        for call in appender.flush, appender.stats, lambda: appender.send(EVENT), lambda: appender.try_send(EVENT):
            with self.assertRaises(cdrlog.Closed):
                call()

    def test_a_path_may_have_bytes_that_are_not_utf_8(self):
        directory = os.fsencode(self.directory) + b"/\xff\xfe"
        with self.open(os.fsdecode(directory)) as appender:
            appender.send(EVENT)
            appender.flush()
            self.assertEqual(os.path.dirname(os.fsencode(appender.cdr_path)), directory)
            self.assertEqual(pathlib.Path(appender.cdr_path).read_bytes(), LINE + b"\n")
            self.assertEqual(appender.send_acked(EVENT, "written").wait().file, appender.cdr_path)
        reader = cdrlog.Reader(os.fsdecode(directory))
        next(reader)
        self.assertEqual(os.path.dirname(os.fsencode(reader.position[0])), directory)

    def test_a_sealed_file_that_needs_a_person_is_an_error_of_its_own(self):
        appender = self.open(compression="gzip")
        appender.send(EVENT)
        appender.flush()
        pathlib.Path(appender.cdr_path + ".gz").write_bytes(gzip.compress(b"other content"))
        appender.rotate()
        with self.assertRaises(cdrlog.SealedFile):
            appender.wait_for_maintenance()

    def test_a_forked_child_is_told_that_it_is_closed(self):
        held, hold = threading.Event(), threading.Event()
        appender = self.open(on_notice=lambda _: [held.set(), hold.wait()])
        self.addCleanup(hold.set)
        os.unlink(appender.cdr_path)
        ack = appender.send_acked(EVENT, "synced")
        reader = cdrlog.Reader(self.directory)
        # While another thread is in a call, which has a lock that the child will never get.
        rotating = threading.Thread(target=appender.rotate)
        rotating.start()
        self.assertTrue(held.wait(20))
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            calls = [
                appender.close,
                appender.flush,
                appender.stats,
                ack.wait,
                reader.read_line,
                lambda: appender.cdr_path,
                lambda: appender.send(EVENT),
                lambda: appender.try_send(EVENT),
                lambda: appender.send_acked(EVENT, "written"),
            ]
            told = 0
            for call in calls:
                try:
                    call()
                except cdrlog.Closed:
                    told += 1
            os._exit(0 if told == len(calls) else 1)
        status = os.waitpid(child, 0)[1]
        hold.set()
        rotating.join()
        self.assertEqual(status, 0)
        self.assertEqual(ack.wait().line_bytes, len(LINE) + 1)
        appender.close()
        self.assertEqual(list(cdrlog.Reader(self.directory)), [LINE])

    def test_every_option_is_taken(self):
        appender = cdrlog.Appender(
            self.directory,
            queue_bytes_max=1 << 20,
            segment_count=2,
            flush_interval=0.001,
            sync_policy="always",
            write_retry_timeout=None,
            close_timeout=1,
            utc=True,
            rotate_daily=False,
            rotate_bytes=1,
            compression="zstd",
            retention_age=None,
            retention_bytes=None,
            manage_foreign=True,
            time_marks=True,
            inbox_directory=None,
            on_notice=None,
        )
        with appender:
            self.assertIsNone(appender.inbox_path)
            self.assertIsNone(appender.recovered)
            appender.send(EVENT)
            appender.send(EVENT)
            appender.rotate()
            appender.wait_for_maintenance()
            self.assertEqual(len(list(pathlib.Path(self.directory).glob("CDR.*.log.zst"))), 2)
        self.assertEqual(list(cdrlog.Reader(self.directory)), [LINE, LINE])

    def test_an_appender_that_is_dropped_is_closed_although_a_notice_waits_for_the_gil(self):
        notices = []
        appender = cdrlog.Appender(self.directory, inbox_directory=self.inboxes, on_notice=notices.append)
        os.unlink(appender.cdr_path)
        appender.send(EVENT)
        del appender
        gc.collect()
        self.assertEqual(len(notices), 1)
        self.assertEqual(list(cdrlog.Reader(self.directory)), [LINE])

    def test_an_appender_whose_last_reference_goes_in_its_notice_is_closed_after_it(self):
        holder, dropped, unraised = [], threading.Event(), []

        def notice(_):
            holder.clear()
            gc.collect()
            dropped.set()

        hook, sys.unraisablehook = sys.unraisablehook, lambda raised: unraised.append(raised.exc_value)
        try:
            holder.append(cdrlog.Appender(self.directory, inbox_directory=self.inboxes, on_notice=notice))
            os.unlink(holder[0].cdr_path)
            holder[0].send(EVENT)
            self.assertTrue(dropped.wait(20))
        finally:
            sys.unraisablehook = hook
        self.assertEqual(unraised, [])
        end = time.monotonic() + 20
        while True:
            try:
                self.open()
                break
            except cdrlog.Locked:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
        self.assertEqual(list(cdrlog.Reader(self.directory)), [LINE])

    def test_an_appender_and_what_is_told_its_notices_are_collected_together(self):
        class Service:
            def __init__(self, directory, inboxes):
                self.appender = cdrlog.Appender(directory, inbox_directory=inboxes, on_notice=self.notice)

            def notice(self, _):
                pass

        for is_closed in True, False:
            service = Service(self.directory, self.inboxes)
            service.appender.send(EVENT)
            if is_closed:
                service.appender.close()
            forgotten = weakref.ref(service)
            del service
            gc.collect()
            self.assertIsNone(forgotten())
        self.open()
        self.assertEqual(list(cdrlog.Reader(self.directory)), [LINE] * 2)

    def test_the_end_of_the_program_waits_for_a_notice_that_is_being_given(self):
        child = f"""if True:
            import cdrlog, os, threading, time
            held = threading.Event()
            def notice(_):
                held.set()
                time.sleep(0.5)
                print("told", flush=True)
            appender = cdrlog.Appender({self.directory!r}, inbox_directory={self.inboxes!r}, on_notice=notice)
            os.unlink(appender.cdr_path)
            appender.send({EVENT!r})
            held.wait()
        """
        ended = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True)
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "told\n", ""))

    def test_a_notice_may_look_but_not_wait(self):
        outcomes = []

        def notice(_):
            for call in appender.flush, appender.close, appender.stats:
                try:
                    outcomes.append(call())
                except cdrlog.Error as error:
                    outcomes.append(type(error))
            raise KeyError("is printed by sys.unraisablehook")

        appender = self.open(on_notice=notice)
        hook, sys.unraisablehook = sys.unraisablehook, lambda raised: outcomes.append(raised.exc_type)
        try:
            os.unlink(appender.cdr_path)
            appender.send(EVENT)
            appender.rotate()
        finally:
            sys.unraisablehook = hook
        self.assertEqual(outcomes[:2], [cdrlog.WouldDeadlock, cdrlog.WouldDeadlock])
        self.assertIn("events_accepted", outcomes[2])
        self.assertIs(outcomes[3], KeyError)

    def test_what_send_took_outlives_a_kill(self):
        child = f"""if True:
            import cdrlog, os, signal
            # The library is slower than the death.
            appender = cdrlog.Appender({self.directory!r}, inbox_directory={self.inboxes!r}, flush_interval=60.0)
            for _ in range(100):
                appender.send({EVENT!r})
            os.kill(os.getpid(), signal.SIGKILL)
        """
        status = subprocess.run([sys.executable, "-c", child]).returncode
        self.assertEqual(status, -signal.SIGKILL)
        with self.open() as appender:
            self.assertIsNotNone(appender.recovered)
        self.assertEqual(list(cdrlog.Reader(self.directory)), [LINE] * 100)


class Reading(Test):
    def test_a_reader_follows_and_goes_on_at_a_position(self):
        appender = self.open()
        reader = cdrlog.Reader(self.directory, follow=True)
        self.assertIsNone(reader.read_line())
        appender.send(EVENT)
        appender.send(EVENT)
        self.assertEqual(next(reader), LINE)
        position = reader.position
        appender.flush()
        self.assertEqual(list(cdrlog.Reader(self.directory, begin=position)), [LINE])
        with self.assertRaises(cdrlog.NoSuchPosition) as raised:
            cdrlog.Reader(self.directory, begin=(position[0], 1 << 40))
        self.assertIsInstance(raised.exception, ValueError)
        with self.assertRaises(cdrlog.PositionGone):
            cdrlog.Reader(self.directory, begin=("CDR.2001-01-01_00-00-00.log", 7))
        with self.assertRaises(cdrlog.IoError) as raised:
            cdrlog.Reader("/nowhere/at/all")
        self.assertEqual(raised.exception.errno, errno.ENOENT)

    def test_a_line_that_is_too_long_is_an_error_and_skipped(self):
        with self.open() as appender:
            appender.send(EVENT)
            appender.send('{"event":"a"}')
        reader = cdrlog.Reader(self.directory, line_bytes_max=20)
        with self.assertRaises(cdrlog.LineTooLong):
            next(reader)
        self.assertEqual(next(reader), b'{"a":{}}')

    def test_the_rewriter_needs_no_directory(self):
        self.assertEqual(cdrlog.rewrite(EVENT), LINE + b"\n")
        with self.assertRaises(cdrlog.Rejected):
            cdrlog.rewrite(EVENT, event_bytes_max=5)


class Logging(Test):
    def test_a_record_is_an_event(self):
        logger = logging.Logger("cdr")
        handler = cdrlog.Handler(self.open())
        logger.addHandler(handler)
        logger.info("participantJoined", extra={"members": {"sessionId": "s"}})
        handler.setFormatter(logging.Formatter('{"event":"%(message)s"}'))
        logger.info("custom")
        handler.close()
        first, second = cdrlog.Reader(self.directory)
        members = json.loads(first)["participantJoined"]
        self.assertEqual(members["sessionId"], "s")
        self.assertGreater(members["timestamp"], 1_600_000_000_000)
        self.assertEqual(second, b'{"custom":{}}')

    def test_a_record_that_cannot_be_sent_is_an_error_of_logging(self):
        handler = cdrlog.Handler(self.open())
        failed = []
        handler.handleError = failed.append
        handler.close()
        logger = logging.Logger("cdr")
        logger.addHandler(handler)
        logger.info("late")
        self.assertEqual([record.getMessage() for record in failed], ["late"])


if __name__ == "__main__":
    unittest.main()
