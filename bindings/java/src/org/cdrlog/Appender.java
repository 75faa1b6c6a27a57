package org.cdrlog;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;

/** An open directory. Any thread may use it. It must be closed; producers may outlive it, their sends fail then. */
public final class Appender implements AutoCloseable {
    private final Handle handle;
    private final Arena notices;

    Appender(MemorySegment handle, Arena notices) {
        this.handle = new Handle(handle, "appender");
        this.notices = notices;
    }

    /** A new producer. Each thread should have its own. It must be closed. */
    public Producer producer() throws CdrlogException {
        return new Producer(NativeFunction.PRODUCER_NEW.make(handle.get()));
    }

    /** Waits until everything sent before is written: readers see it. */
    public void flush() throws CdrlogException {
        NativeFunction.FLUSH.call(handle.get());
    }

    /** Waits until everything sent before survives a power loss. */
    public void sync() throws CdrlogException {
        NativeFunction.SYNC.call(handle.get());
    }

    /** Starts new files after everything sent before. */
    public void rotate() throws CdrlogException {
        NativeFunction.ROTATE.call(handle.get());
    }

    /** Waits until sealed files are listed, compressed, and the oldest removed: maybe minutes. */
    public void waitForMaintenance() throws CdrlogException {
        NativeFunction.WAIT_FOR_MAINTENANCE.call(handle.get());
    }

    /** The file that lines are being written to. */
    public String cdrPath() throws CdrlogException {
        return NativeFunction.CDR_PATH.path(handle.get());
    }

    /** The file of bodies that are not events. It exists once there is one. */
    public String rejectsPath() throws CdrlogException {
        return NativeFunction.REJECTS_PATH.path(handle.get());
    }

    /** The file of accepted events; empty if there is none, and they do not outlive the process. */
    public String inboxPath() throws CdrlogException {
        return NativeFunction.INBOX_PATH.path(handle.get());
    }

    /** All counters since the open, by their names, such as "events_journaled". */
    public Map<String, Long> stats() throws CdrlogException {
        long count = (long) NativeFunction.STATS_COUNT.invoke();
        Map<String, Long> stats = new LinkedHashMap<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment values = arena.allocate(JAVA_LONG, count);
            NativeFunction.STATS.call(handle.get(), values, count, MemorySegment.NULL);
            for (long index = 0; index < count; index++) {
                stats.put(NativeFunction.STATS_NAME.string(index), values.getAtIndex(JAVA_LONG, index));
            }
        }
        return stats;
    }

    /** What the open repaired after a process that did not close, as a sentence for the log; empty if nothing. */
    public String recovered() throws CdrlogException {
        MemorySegment recovery = NativeFunction.RECOVERY_OF.make(handle.get());
        try {
            return NativeFunction.RECOVERY_MESSAGE.string(recovery);
        } finally {
            NativeFunction.RECOVERY_FREE.invoke(recovery);
        }
    }

    /**
     * Writes and syncs everything that was accepted. After an exception, what could not be written is in the journal
     * and the inbox, and the next open writes it; the appender is closed all the same, unless this is called in a
     * notice. A second close does nothing.
     */
    @Override
    public void close() throws CdrlogException {
        boolean wasOpen = !handle.isClosed();
        try {
            wasOpen = handle.close(NativeFunction.CLOSE);
        } finally {
            if (wasOpen && handle.isClosed()) {
                notices.close();
            }
        }
    }
}
