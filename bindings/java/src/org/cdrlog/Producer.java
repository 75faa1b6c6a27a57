package org.cdrlog;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Sends events. Threads may share one, but their sends wait for each other: each thread should have its own. */
public final class Producer implements AutoCloseable {
    private static final FunctionDescriptor SEND_TYPE = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_LONG);
    /** Of an array without a copy of it. The collector cannot run meanwhile, so only for the call that never waits. */
    private static final MethodHandle TRY_SEND =
            NativeFunction.handle("cdrlog_try_send", SEND_TYPE, Linker.Option.critical(true));
    private static final MethodHandle SEND = NativeFunction.handle("cdrlog_send", SEND_TYPE);

    private final MemorySegment handle;
    // Sends that do not wait take turns: to the library, one that finds another one at work looks like a full queue.
    private final Object turn = new Object();
    private volatile boolean isClosed;

    Producer(MemorySegment handle) {
        this.handle = handle;
    }

    /**
     * Sends an event, the body of a webhook; waits while the queue is full. Once it returns, the event outlives the
     * process. Allocates nothing unless it must wait. In a notice it does not wait: it throws
     * {@link CdrlogException.Code#WOULD_DEADLOCK}.
     */
    public void send(byte[] event) throws CdrlogException {
        send(MemorySegment.ofArray(event));
    }

    /** Sends a part of an array. */
    public void send(byte[] event, int offset, int bytes) throws CdrlogException {
        send(MemorySegment.ofArray(event).asSlice(offset, bytes));
    }

    /** Sends the bytes of a segment, on or outside of the heap. */
    public void send(MemorySegment event) throws CdrlogException {
        if (!trySend(event)) {
            sendWhenThereIsRoom(event);
        }
    }

    /**
     * Sends an event without waiting: false if the queue is full, or another thread waits in a send with this producer,
     * and then it was not taken.
     */
    public boolean trySend(byte[] event) throws CdrlogException {
        return trySend(MemorySegment.ofArray(event));
    }

    /** The same with the bytes of a segment. */
    public boolean trySend(MemorySegment event) throws CdrlogException {
        int code = tryToSend(event);
        if (code == CdrlogException.OK) {
            return true;
        }
        if (code == CdrlogException.FULL) {
            return false;
        }
        throw CdrlogException.last(code);
    }

    private int tryToSend(MemorySegment event) {
        synchronized (turn) {
            checkOpen();
            try {
                return (int) TRY_SEND.invokeExact(handle, event, event.byteSize());
            } catch (Throwable thrown) {
                throw NativeFunction.thrown(thrown);
            }
        }
    }

    private void sendWhenThereIsRoom(MemorySegment event) throws CdrlogException {
        checkOpen();
        int code;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(event.byteSize()).copyFrom(event);
            code = (int) SEND.invokeExact(handle, copy, copy.byteSize());
        } catch (Throwable thrown) {
            throw NativeFunction.thrown(thrown);
        }
        if (code != CdrlogException.OK) {
            throw CdrlogException.last(code);
        }
    }

    /** Like send, and returns the number of the event among those of this level that acks counts. */
    public long sendAcked(byte[] event, Durability level, Acks acks) throws CdrlogException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocate(JAVA_LONG);
            MemorySegment copy = arena.allocate(event.length).copyFrom(MemorySegment.ofArray(event));
            checkOpen();
            NativeFunction.SEND_ACKED.call(handle, copy, copy.byteSize(), level.ordinal(), acks.handle(), number);
            return number.get(JAVA_LONG, 0);
        }
    }

    private void checkOpen() {
        if (isClosed) {
            throw new IllegalStateException("the producer is closed");
        }
    }

    /**
     * Frees it, after a send that waits for room; what it has sent is not affected. A second close does nothing. In a
     * notice it is refused if another thread waits in a send.
     */
    @Override
    public void close() throws CdrlogException {
        synchronized (turn) {
            if (isClosed) {
                return;
            }
            isClosed = true;
        }
        // Not in turn: senders that do not wait would wait for it.
        int code = (int) NativeFunction.PRODUCER_FREE.invoke(handle);
        isClosed = code != CdrlogException.WOULD_DEADLOCK;
        CdrlogException.check(code);
    }
}
