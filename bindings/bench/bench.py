"""What an event costs in Python: cdrlog, and logging with a QueueHandler, whose file has the same bytes.

    bench.py cdrlog|QueueHandler DIRECTORY EVENTS
"""

import logging
import logging.handlers
import os
import queue
import sys
import time

BURST = 10_000  # between two flushes: fewer than a queue has room for
EVENT = os.environ["BENCH_EVENT"]
LINE = os.environ["BENCH_LINE"]


def of_cdrlog(directory):
    import cdrlog

    appender = cdrlog.Appender(directory, sync_policy="never")
    return lambda: appender.send(EVENT), appender.flush, appender.close


def of_queue_handler(directory):
    os.makedirs(directory)
    file = logging.FileHandler(os.path.join(directory, "queue_handler.log"))
    events = queue.Queue()
    listener = logging.handlers.QueueListener(events, file)
    listener.start()
    logger = logging.Logger("cdr")
    logger.addHandler(logging.handlers.QueueHandler(events))

    def flush():
        listener.stop()
        file.flush()
        listener.start()

    return lambda: logger.info(LINE), flush, listener.stop


def main():
    name, directory, events = sys.argv[1], sys.argv[2], int(sys.argv[3])
    send, flush, end = {"cdrlog": of_cdrlog, "QueueHandler": of_queue_handler}[name](directory)
    rounds = events // BURST
    # The first round is not counted.
    for number in range(-1, rounds):
        if number == 0:
            sending, cpu_begin, begin = 0, time.process_time_ns(), time.monotonic_ns()
        round_begin = time.monotonic_ns()
        for _ in range(BURST):
            send()
        if number >= 0:
            sending += time.monotonic_ns() - round_begin
        flush()
    n = rounds * BURST
    figures = sending, time.process_time_ns() - cpu_begin, time.monotonic_ns() - begin
    print("python", name, *(f"{figure / n:.0f}" for figure in figures), sep="\t")
    end()


if __name__ == "__main__":
    main()
