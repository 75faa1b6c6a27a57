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
    private boolean isClosed;

    Producer(MemorySegment handle) {
        this.handle = handle;
    }

    /**
     * Sends an event, the body of a webhook; waits while the queue is full. Once it returns, the event outlives the
     * process. Allocates nothing unless it must wait.
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

    /** Sends an event without waiting: false if the queue is full, and then it was not taken. */
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

    // One thread at a time: in the library they would wait for each other where the collector must wait for them.
    private synchronized int tryToSend(MemorySegment event) {
        checkOpen();
        try {
            return (int) TRY_SEND.invokeExact(handle, event, event.byteSize());
        } catch (Throwable fault) {
            throw new AssertionError("a call of C does not throw", fault);
        }
    }

    private synchronized void sendWhenThereIsRoom(MemorySegment event) throws CdrlogException {
        checkOpen();
        int code;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(event.byteSize()).copyFrom(event);
            code = (int) SEND.invokeExact(handle, copy, copy.byteSize());
        } catch (Throwable fault) {
            throw new AssertionError("a call of C does not throw", fault);
        }
        CdrlogException.check(code);
    }

    /** Like send, and returns the number of the event among those of this level that acks counts. */
    public synchronized long sendAcked(byte[] event, Durability level, Acks acks) throws CdrlogException {
        checkOpen();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocate(JAVA_LONG);
            MemorySegment copy = arena.allocate(event.length).copyFrom(MemorySegment.ofArray(event));
            NativeFunction.SEND_ACKED.call(handle, copy, copy.byteSize(), level.ordinal(), acks.handle(), number);
            return number.get(JAVA_LONG, 0);
        }
    }

    private void checkOpen() {
        if (isClosed) {
            throw new IllegalStateException("the producer is closed");
        }
    }

    /** Frees it; what it has sent is not affected. A second close does nothing. */
    @Override
    public synchronized void close() throws CdrlogException {
        if (!isClosed) {
            isClosed = true;
            NativeFunction.PRODUCER_FREE.call(handle);
        }
    }
}
