package org.cdrlog;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;

/** Counts the events of {@link Producer#sendAcked} that have reached their level. Any thread may use it. */
public final class Acks implements AutoCloseable {
    private final Handle handle;

    /** A new counter. Producers of several appenders may share it. It must be closed. */
    public Acks() throws CdrlogException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment place = arena.allocate(ValueLayout.ADDRESS);
            NativeFunction.ACKS_NEW.call(place);
            handle = new Handle(place.get(ValueLayout.ADDRESS, 0), "counter");
        }
    }

    MemorySegment handle() {
        return handle.get();
    }

    /** How many events of this level are acknowledged, without a gap. */
    public long acked(Durability level) {
        return (long) NativeFunction.ACKED.invoke(handle.get(), level.ordinal());
    }

    /** How many of these are not events, and are in the rejects file. */
    public long rejected(Durability level) {
        return (long) NativeFunction.ACKS_REJECTED.invoke(handle.get(), level.ordinal());
    }

    /** Waits until the event of this number has reached the level; false if the time is over first. */
    public boolean await(Durability level, long number, Duration timeout) throws CdrlogException {
        int code = (int) NativeFunction.ACKS_WAIT.invoke(handle.get(), level.ordinal(), number, NativeFunction.milliseconds(timeout));
        if (code == CdrlogException.TIMED_OUT) {
            return false;
        }
        CdrlogException.check(code);
        return true;
    }

    /** Frees the counter. A second close does nothing. */
    @Override
    public void close() throws CdrlogException {
        handle.close(NativeFunction.ACKS_FREE);
    }
}
