package org.cdrlog;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.time.Duration;

/** The functions of cdrlog.h that are called rarely. {@link Producer} has those that must be fast. */
enum NativeFunction {
    ACKED("cdrlog_acked", JAVA_LONG, ADDRESS, JAVA_INT),
    ACKS_FREE("cdrlog_acks_free", JAVA_INT, ADDRESS),
    ACKS_NEW("cdrlog_acks_new", JAVA_INT, ADDRESS),
    ACKS_REJECTED("cdrlog_acks_rejected", JAVA_LONG, ADDRESS, JAVA_INT),
    ACKS_WAIT("cdrlog_acks_wait", JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG),
    CDR_PATH("cdrlog_cdr_path", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS),
    CLOSE("cdrlog_close", JAVA_INT, ADDRESS),
    FLUSH("cdrlog_flush", JAVA_INT, ADDRESS),
    INBOX_PATH("cdrlog_inbox_path", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS),
    LAST_ERROR_ERRNO("cdrlog_last_error_errno", JAVA_INT),
    LAST_ERROR_MESSAGE("cdrlog_last_error_message", ADDRESS),
    OPEN("cdrlog_open", JAVA_INT, ADDRESS, ADDRESS),
    OPTIONS_FREE("cdrlog_options_free", JAVA_INT, ADDRESS),
    OPTIONS_NEW("cdrlog_options_new", ADDRESS, ADDRESS),
    OPTIONS_SET_CLOSE_TIMEOUT_MS("cdrlog_options_set_close_timeout_ms", JAVA_INT, ADDRESS, JAVA_LONG),
    OPTIONS_SET_COMPRESSION("cdrlog_options_set_compression", JAVA_INT, ADDRESS, JAVA_INT),
    OPTIONS_SET_EVENT_BYTES_MAX("cdrlog_options_set_event_bytes_max", JAVA_INT, ADDRESS, JAVA_LONG),
    OPTIONS_SET_FLUSH_INTERVAL_MS("cdrlog_options_set_flush_interval_ms", JAVA_INT, ADDRESS, JAVA_LONG),
    OPTIONS_SET_INBOX_DIRECTORY("cdrlog_options_set_inbox_directory", JAVA_INT, ADDRESS, ADDRESS),
    OPTIONS_SET_MANAGE_FOREIGN("cdrlog_options_set_manage_foreign", JAVA_INT, ADDRESS, JAVA_BOOLEAN),
    OPTIONS_SET_NOTICE_CALLBACK("cdrlog_options_set_notice_callback", JAVA_INT, ADDRESS, ADDRESS, ADDRESS),
    OPTIONS_SET_QUEUE_BYTES_MAX("cdrlog_options_set_queue_bytes_max", JAVA_INT, ADDRESS, JAVA_LONG),
    OPTIONS_SET_QUEUE_EVENTS_MAX("cdrlog_options_set_queue_events_max", JAVA_INT, ADDRESS, JAVA_LONG),
    OPTIONS_SET_RETENTION_AGE_S("cdrlog_options_set_retention_age_s", JAVA_INT, ADDRESS, JAVA_LONG),
    OPTIONS_SET_RETENTION_BYTES("cdrlog_options_set_retention_bytes", JAVA_INT, ADDRESS, JAVA_LONG),
    OPTIONS_SET_ROTATE_BYTES("cdrlog_options_set_rotate_bytes", JAVA_INT, ADDRESS, JAVA_LONG),
    OPTIONS_SET_ROTATE_DAILY("cdrlog_options_set_rotate_daily", JAVA_INT, ADDRESS, JAVA_BOOLEAN),
    OPTIONS_SET_SEGMENT_BYTES("cdrlog_options_set_segment_bytes", JAVA_INT, ADDRESS, JAVA_LONG),
    OPTIONS_SET_SEGMENT_COUNT("cdrlog_options_set_segment_count", JAVA_INT, ADDRESS, JAVA_LONG),
    OPTIONS_SET_SYNC_POLICY("cdrlog_options_set_sync_policy", JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG),
    OPTIONS_SET_TIME_MARKS("cdrlog_options_set_time_marks", JAVA_INT, ADDRESS, JAVA_BOOLEAN),
    OPTIONS_SET_UTC("cdrlog_options_set_utc", JAVA_INT, ADDRESS, JAVA_BOOLEAN),
    OPTIONS_SET_WRITE_RETRY_TIMEOUT_MS("cdrlog_options_set_write_retry_timeout_ms", JAVA_INT, ADDRESS, JAVA_LONG),
    PRODUCER_FREE("cdrlog_producer_free", JAVA_INT, ADDRESS),
    PRODUCER_NEW("cdrlog_producer_new", JAVA_INT, ADDRESS, ADDRESS),
    READER_FREE("cdrlog_reader_free", JAVA_INT, ADDRESS),
    READER_NEXT("cdrlog_reader_next", JAVA_INT, ADDRESS, ADDRESS, ADDRESS),
    READER_OPEN("cdrlog_reader_open", JAVA_INT, ADDRESS, ADDRESS),
    READER_OPTIONS_FREE("cdrlog_reader_options_free", JAVA_INT, ADDRESS),
    READER_OPTIONS_NEW("cdrlog_reader_options_new", ADDRESS, ADDRESS),
    READER_OPTIONS_SET_BEGIN("cdrlog_reader_options_set_begin", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG),
    READER_OPTIONS_SET_FILES("cdrlog_reader_options_set_files", JAVA_INT, ADDRESS, JAVA_INT),
    READER_OPTIONS_SET_FOLLOW("cdrlog_reader_options_set_follow", JAVA_INT, ADDRESS, JAVA_BOOLEAN),
    READER_POSITION("cdrlog_reader_position", JAVA_INT, ADDRESS, ADDRESS, ADDRESS),
    READER_WAIT("cdrlog_reader_wait", JAVA_INT, ADDRESS, JAVA_LONG),
    RECOVERY_FREE("cdrlog_recovery_free", JAVA_INT, ADDRESS),
    RECOVERY_MESSAGE("cdrlog_recovery_message", ADDRESS, ADDRESS),
    RECOVERY_OF("cdrlog_recovery_of", JAVA_INT, ADDRESS, ADDRESS),
    REJECTS_PATH("cdrlog_rejects_path", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS),
    ROTATE("cdrlog_rotate", JAVA_INT, ADDRESS),
    SEND_ACKED("cdrlog_send_acked", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, ADDRESS, ADDRESS),
    STATS("cdrlog_stats", JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS),
    STATS_COUNT("cdrlog_stats_count", JAVA_LONG),
    STATS_NAME("cdrlog_stats_name", ADDRESS, JAVA_LONG),
    SYNC("cdrlog_sync", JAVA_INT, ADDRESS),
    VERSION("cdrlog_version", ADDRESS),
    WAIT_FOR_MAINTENANCE("cdrlog_wait_for_maintenance", JAVA_INT, ADDRESS);

    private final MethodHandle handle;

    NativeFunction(String name, MemoryLayout result, MemoryLayout... arguments) {
        handle = handle(name, FunctionDescriptor.of(result, arguments));
    }

    private static final class Library {
        /** The library: by its SONAME, which all versions have that this class fits, or by the path in cdrlog.library. */
        static final SymbolLookup SYMBOLS =
                SymbolLookup.libraryLookup(System.getProperty("cdrlog.library", "libcdrlog.so.0.1"), Arena.global());
    }

    static MethodHandle handle(String name, FunctionDescriptor descriptor, Linker.Option... options) {
        MemorySegment symbol = Library.SYMBOLS.find(name)
                .orElseThrow(() -> new UnsatisfiedLinkError("libcdrlog is older than this binding: no " + name));
        return Linker.nativeLinker().downcallHandle(symbol, descriptor, options);
    }

    /** Calls it; its result is a code, which must be one of success. */
    void call(Object... arguments) throws CdrlogException {
        CdrlogException.check((int) invoke(arguments));
    }

    /** Calls it. */
    Object invoke(Object... arguments) {
        try {
            return handle.invokeWithArguments(arguments);
        } catch (Throwable thrown) {
            throw thrown(thrown);
        }
    }

    /** What the caller of a function of C throws: about an argument, such as a segment that is closed. C throws nothing. */
    static RuntimeException thrown(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        return thrown instanceof RuntimeException argument ? argument : new IllegalStateException(thrown);
    }

    /** Calls it; its result is a string of C, which is null or ends with NUL. */
    String string(Object... arguments) {
        return text((MemorySegment) invoke(arguments));
    }

    static String text(MemorySegment text) {
        return text.address() == 0 ? null : text.reinterpret(Long.MAX_VALUE).getString(0);
    }

    /**
     * A path as a string of C, in UTF-8.
     *
     * @throws IllegalArgumentException if it has other bytes: as a string, it would be that of another file
     */
    static MemorySegment path(Path path, Arena arena) {
        String text = path.toString();
        if (!path.getFileSystem().getPath(text).equals(path)) {
            throw new IllegalArgumentException("the path is not UTF-8: " + text);
        }
        return arena.allocateFrom(text);
    }

    /**
     * A time for the library: rounded up, so that a short one does not become none; none if it is negative, so that it
     * does not become one without end.
     */
    static long milliseconds(Duration time) {
        if (time.isNegative()) {
            return 0;
        }
        boolean isTooLong = time.getSeconds() >= Long.MAX_VALUE / 1000;
        return isTooLong ? Long.MAX_VALUE : time.plusNanos(999_999).toMillis();
    }

    /** Calls it; its last argument is a place for a handle, which this returns. */
    MemorySegment make(MemorySegment from) throws CdrlogException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment place = arena.allocate(ADDRESS);
            call(from, place);
            return place.get(ADDRESS, 0);
        }
    }

    /** Calls it; it stores a path. */
    String path(MemorySegment of) throws CdrlogException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment length = arena.allocate(JAVA_LONG);
            MemorySegment path = arena.allocate(JAVA_BYTE, 256);
            int code;
            while ((code = (int) invoke(of, path, path.byteSize(), length)) == CdrlogException.BUFFER_TOO_SMALL) {
                path = arena.allocate(JAVA_BYTE, length.get(JAVA_LONG, 0) + 1);
            }
            CdrlogException.check(code);
            return path.getString(0);
        }
    }
}
