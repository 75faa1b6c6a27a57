package org.cdrlog;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Options of an appender. cdrlog.h has the ranges and defaults; {@link #open} says what is out of its range. */
public final class Options {
    private static final long FOREVER = -1;

    private interface Setter {
        void set(MemorySegment options, Arena arena) throws CdrlogException;
    }

    private final Path directory;
    private final List<Setter> setters = new ArrayList<>();
    private Consumer<String> listener;

    /** Options for an appender to this directory, which is created if it does not exist. */
    public Options(Path directory) {
        this.directory = directory;
    }

    private Options set(NativeFunction function, Object... values) {
        setters.add((options, arena) -> {
            Object[] arguments = new Object[values.length + 1];
            arguments[0] = options;
            System.arraycopy(values, 0, arguments, 1, values.length);
            function.call(arguments);
        });
        return this;
    }

    /** The library has numbers without a sign: a negative one would be a limit so high that it is none. */
    private static long notNegative(long number) {
        if (number < 0) {
            throw new IllegalArgumentException(number + " is negative");
        }
        return number;
    }

    /** The number of events in the queue above which a send waits. Default: 32 768. */
    public Options queueEventsMax(long events) {
        return set(NativeFunction.OPTIONS_SET_QUEUE_EVENTS_MAX, notNegative(events));
    }

    /** The bytes of events in the queue above which a send waits. Default: 16 MiB. */
    public Options queueBytesMax(long bytes) {
        return set(NativeFunction.OPTIONS_SET_QUEUE_BYTES_MAX, notNegative(bytes));
    }

    /** The length above which a body is rejected. Default: 1 MiB. */
    public Options eventBytesMax(long bytes) {
        return set(NativeFunction.OPTIONS_SET_EVENT_BYTES_MAX, notNegative(bytes));
    }

    /** The segments of the journal and their length. Default: 4 of 1 MiB. */
    public Options journal(long segments, long segmentBytes) {
        set(NativeFunction.OPTIONS_SET_SEGMENT_COUNT, notNegative(segments));
        return set(NativeFunction.OPTIONS_SET_SEGMENT_BYTES, notNegative(segmentBytes));
    }

    /** The time from a send until the line is in the file, at most. Default: 20 ms. */
    public Options flushInterval(Duration interval) {
        return set(NativeFunction.OPTIONS_SET_FLUSH_INTERVAL_MS, NativeFunction.milliseconds(interval));
    }

    /** How long writes may fail before the appender gives up. Default: for ever. */
    public Options writeRetryTimeout(Duration timeout) {
        return set(NativeFunction.OPTIONS_SET_WRITE_RETRY_TIMEOUT_MS, NativeFunction.milliseconds(timeout));
    }

    /** How long a close retries writes that fail. Default: 5 s. */
    public Options closeTimeout(Duration timeout) {
        return set(NativeFunction.OPTIONS_SET_CLOSE_TIMEOUT_MS, NativeFunction.milliseconds(timeout));
    }

    /** Whether names of files have UTC. Default: no. */
    public Options utc(boolean utc) {
        return set(NativeFunction.OPTIONS_SET_UTC, utc);
    }

    /** Whether the first line of a new day starts a new file. Default: yes. */
    public Options rotateDaily(boolean daily) {
        return set(NativeFunction.OPTIONS_SET_ROTATE_DAILY, daily);
    }

    /** The length of a file above which a new one is started. Default: no limit. */
    public Options rotateBytes(long bytes) {
        return set(NativeFunction.OPTIONS_SET_ROTATE_BYTES, notNegative(bytes));
    }

    /** How long files are kept; null: for ever. Default: 30 days. */
    public Options retentionAge(Duration age) {
        return set(NativeFunction.OPTIONS_SET_RETENTION_AGE_S, age == null ? FOREVER : Math.max(age.toSeconds(), 0));
    }

    /** The length of all files above which the oldest are removed. Default: 20 000 000 000. */
    public Options retentionBytes(long bytes) {
        return set(NativeFunction.OPTIONS_SET_RETENTION_BYTES, notNegative(bytes));
    }

    /** No file is removed because of the length of all. */
    public Options retainAllBytes() {
        return set(NativeFunction.OPTIONS_SET_RETENTION_BYTES, -1L);
    }

    /** Whether CDR files that cdrlog did not create are compressed and removed too. Default: no. */
    public Options manageForeign(boolean manage) {
        return set(NativeFunction.OPTIONS_SET_MANAGE_FOREIGN, manage);
    }

    /**
     * Whether to note on the disk, once a second, up to which time all that was accepted is synced, for programs that
     * ship the directory elsewhere. Default: no.
     */
    public Options timeMarks(boolean marks) {
        return set(NativeFunction.OPTIONS_SET_TIME_MARKS, marks);
    }

    /** Leaves it to the system when lines reach the disk. */
    public Options syncNever() {
        return set(NativeFunction.OPTIONS_SET_SYNC_POLICY, 0, 0L);
    }

    /** Syncs this long after the last sync. Default: 1 s. */
    public Options syncInterval(Duration interval) {
        return set(NativeFunction.OPTIONS_SET_SYNC_POLICY, 1, NativeFunction.milliseconds(interval));
    }

    /** Syncs after every write. */
    public Options syncAlways() {
        return set(NativeFunction.OPTIONS_SET_SYNC_POLICY, 2, 0L);
    }

    /** How sealed files are compressed. Default: not. */
    public Options compression(Compression compression) {
        return set(NativeFunction.OPTIONS_SET_COMPRESSION, compression.ordinal());
    }

    /** Where accepted events outlive the process, on a tmpfs; null: nowhere. Default: /dev/shm. */
    public Options inboxDirectory(Path directory) {
        setters.add((options, arena) -> NativeFunction.OPTIONS_SET_INBOX_DIRECTORY.call(
                options, directory == null ? MemorySegment.NULL : NativeFunction.path(directory, arena)));
        return this;
    }

    /**
     * Has a function called with what an operator should know, as sentences for the log: by threads of the library,
     * several at the same time maybe. No line is written meanwhile, so it should hand the sentence on and return. What
     * it throws goes to the handler of uncaught exceptions.
     */
    public Options onNotice(Consumer<String> listener) {
        this.listener = listener;
        return this;
    }

    /** Opens the directory, and writes what an earlier process left. */
    public Appender open() throws CdrlogException {
        // Of the stub that the library calls until the appender is closed.
        Arena notices = Arena.ofShared();
        boolean isOpen = false;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment options = (MemorySegment) NativeFunction.OPTIONS_NEW.invoke(NativeFunction.path(directory, arena));
            if (options.address() == 0) {
                throw CdrlogException.last(CdrlogException.Code.INVALID_ARGUMENT.ordinal() + 1);
            }
            try {
                for (Setter setter : setters) {
                    setter.set(options, arena);
                }
                if (listener != null) {
                    NativeFunction.OPTIONS_SET_NOTICE_CALLBACK.call(options, stub(listener, notices), MemorySegment.NULL);
                }
                Appender appender = new Appender(NativeFunction.OPEN.make(options), notices);
                isOpen = true;
                return appender;
            } finally {
                NativeFunction.OPTIONS_FREE.invoke(options);
            }
        } finally {
            if (!isOpen) {
                notices.close();
            }
        }
    }

    private static MemorySegment stub(Consumer<String> listener, Arena arena) {
        try {
            MethodHandle notify = MethodHandles.lookup().findStatic(Options.class, "notify",
                    MethodType.methodType(void.class, Consumer.class, MemorySegment.class, int.class, MemorySegment.class));
            return Linker.nativeLinker().upcallStub(
                    notify.bindTo(listener), FunctionDescriptor.ofVoid(ADDRESS, JAVA_INT, ADDRESS), arena);
        } catch (ReflectiveOperationException fault) {
            throw new AssertionError(fault);
        }
    }

    /** Called by the library, into which nothing may be thrown: the JVM would end. */
    private static void notify(Consumer<String> listener, MemorySegment context, int notice, MemorySegment message) {
        try {
            listener.accept(NativeFunction.text(message));
        } catch (Throwable thrown) {
            Thread thread = Thread.currentThread();
            try {
                thread.getUncaughtExceptionHandler().uncaughtException(thread, thrown);
            } catch (Throwable ignored) {
                // As the JVM ignores what this handler throws.
            }
        }
    }
}
