package org.cdrlog;

import java.lang.foreign.MemorySegment;

/** A handle of the library, as long as it is open: its memory may be that of a later one afterwards. */
final class Handle {
    private final MemorySegment memory;
    private final String name;
    private volatile boolean isClosed;

    Handle(MemorySegment memory, String name) {
        this.memory = memory;
        this.name = name;
    }

    MemorySegment get() {
        if (isClosed) {
            throw new IllegalStateException("the " + name + " is closed");
        }
        return memory;
    }

    /**
     * Ends it with a function that does so, unless that refuses because it would wait for its own thread. A second call
     * does nothing, and neither does one while another thread makes the first; true for the one that ended it.
     */
    boolean close(NativeFunction free) throws CdrlogException {
        if (isClosed) {
            return false;
        }
        int code = (int) free.invoke(memory);
        if (code == CdrlogException.INVALID_HANDLE) {
            return false;
        }
        isClosed = code != CdrlogException.WOULD_DEADLOCK;
        CdrlogException.check(code);
        return true;
    }

    boolean isClosed() {
        return isClosed;
    }
}
