package org.cdrlog;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;

/**
 * Gives the lines of a CDR directory, oldest first, each once, compressed or not. Needs no appender. One thread may use
 * it at a time. It must be closed.
 */
public final class Reader implements AutoCloseable {
    private final Handle handle;

    /** A place in the CDR, in uncompressed bytes. */
    public record Position(String file, long offset) {}

    /** Where and how a reader reads. */
    public static final class Options {
        private final Path directory;
        private boolean readsRejects;
        private boolean follows;
        private Position begin;

        /** Everything that is in a directory. */
        public Options(Path directory) {
            this.directory = directory;
        }

        /** Reads rejected bodies and not the CDR. */
        public Options rejects() {
            readsRejects = true;
            return this;
        }

        /** Lines that are written later are returned too. */
        public Options follow() {
            follows = true;
            return this;
        }

        /** Starts there, and not with the oldest line. */
        public Options begin(Position position) {
            begin = position;
            return this;
        }
    }

    /** A reader of everything that is in a directory. */
    public Reader(Path directory) throws CdrlogException {
        this(new Options(directory));
    }

    /** A reader with options. */
    public Reader(Options options) throws CdrlogException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment directory = NativeFunction.path(options.directory, arena);
            MemorySegment made = (MemorySegment) NativeFunction.READER_OPTIONS_NEW.invoke(directory);
            if (made.address() == 0) {
                throw CdrlogException.last(CdrlogException.Code.INVALID_ARGUMENT.ordinal() + 1);
            }
            try {
                NativeFunction.READER_OPTIONS_SET_FILES.call(made, options.readsRejects ? 1 : 0);
                NativeFunction.READER_OPTIONS_SET_FOLLOW.call(made, options.follows);
                if (options.begin != null) {
                    MemorySegment file = arena.allocateFrom(options.begin.file);
                    NativeFunction.READER_OPTIONS_SET_BEGIN.call(made, file, options.begin.offset);
                }
                handle = new Handle(NativeFunction.READER_OPEN.make(made), "reader");
            } finally {
                NativeFunction.READER_OPTIONS_FREE.invoke(made);
            }
        }
    }

    /** The next line without its line feed; null if there is none, or none yet. */
    public byte[] next() throws CdrlogException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment line = arena.allocate(ADDRESS);
            MemorySegment length = arena.allocate(JAVA_LONG);
            int code = (int) NativeFunction.READER_NEXT.invoke(handle.get(), line, length);
            if (code == CdrlogException.END) {
                return null;
            }
            CdrlogException.check(code);
            return line.get(ADDRESS, 0).reinterpret(length.get(JAVA_LONG, 0)).toArray(JAVA_BYTE);
        }
    }

    /** Waits until there may be a line to read, or for this time. */
    public void await(Duration timeout) throws CdrlogException {
        NativeFunction.READER_WAIT.call(handle.get(), NativeFunction.milliseconds(timeout));
    }

    /** Where the next line starts: save it, and begin there later. Null if nothing was read yet. */
    public Position position() throws CdrlogException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment file = arena.allocate(ADDRESS);
            MemorySegment offset = arena.allocate(JAVA_LONG);
            int code = (int) NativeFunction.READER_POSITION.invoke(handle.get(), file, offset);
            if (code == CdrlogException.END) {
                return null;
            }
            CdrlogException.check(code);
            return new Position(NativeFunction.text(file.get(ADDRESS, 0)), offset.get(JAVA_LONG, 0));
        }
    }

    /** Frees the reader. A second close does nothing. */
    @Override
    public void close() throws CdrlogException {
        handle.close(NativeFunction.READER_FREE);
    }
}
