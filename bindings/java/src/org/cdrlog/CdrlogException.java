package org.cdrlog;

import java.io.IOException;

/** Why a call failed. The message is a sentence that names the file, argument or option concerned. */
public final class CdrlogException extends IOException {
    private static final long serialVersionUID = 1;

    static final int OK = 0;
    static final int FULL = 1;
    static final int INVALID_HANDLE = 4;
    static final int TIMED_OUT = 10;
    static final int END = 11;
    static final int BUFFER_TOO_SMALL = 12;
    static final int WOULD_DEADLOCK = 15;

    /** What the caller can do; cdrlog.h explains each. */
    public enum Code {
        /** The queue is full now: try again later. */
        FULL,
        /** Nothing is accepted any more. */
        CLOSED,
        /** A fault of the program. */
        INVALID_ARGUMENT,
        /** Something was used after its close. A fault of the program. */
        INVALID_HANDLE,
        /** Another appender has the directory open. */
        LOCKED,
        /** A file of the journal is missing or damaged; nothing was changed. */
        DAMAGED,
        /** The system refused something. Nothing that was accepted is lost. */
        IO,
        /** A sync failed, now or earlier. */
        SYNC_FAILED,
        /** The body is not an event. */
        REJECTED,
        /** The time is over. */
        TIMED_OUT,
        /** There is no further line. */
        END,
        /** The result does not fit. */
        BUFFER_TOO_SMALL,
        /** The line is longer than the limit. */
        LINE_TOO_LONG,
        /** The position to start at does not exist. */
        NO_SUCH_POSITION,
        /** A callback made a call that would wait for the callback. */
        WOULD_DEADLOCK,
        /** A sealed file needs a person. */
        SEALED_FILE,
        /** A fault in cdrlog. */
        PANIC,
        /** The file of the position to start at was removed or renamed. */
        POSITION_GONE,
        /** A code of a later version; what can be done is the same as for {@link #IO}. */
        UNKNOWN
    }

    private final Code code;
    private final int errno;

    private CdrlogException(Code code, String message, int errno) {
        super(message);
        this.code = code;
        this.errno = errno;
    }

    /** What the caller can do. */
    public Code code() {
        return code;
    }

    /** The number of the system's error; 0 if the system was not the cause. */
    public int errno() {
        return errno;
    }

    static void check(int code) throws CdrlogException {
        if (code != OK) {
            throw last(code);
        }
    }

    /**
     * The failure of the last call. The library keeps it for each thread of the system: nothing may block between the
     * two, because a virtual thread goes on elsewhere then.
     */
    static CdrlogException last(int code) {
        Code[] codes = Code.values();
        Code known = code > 0 && code < codes.length ? codes[code - 1] : Code.UNKNOWN;
        String message = NativeFunction.LAST_ERROR_MESSAGE.string();
        return new CdrlogException(known, message, (int) NativeFunction.LAST_ERROR_ERRNO.invoke());
    }
}
