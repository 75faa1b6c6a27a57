import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.management.ManagementFactory;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.cdrlog.Acks;
import org.cdrlog.Appender;
import org.cdrlog.CdrlogException;
import org.cdrlog.CdrlogException.Code;
import org.cdrlog.Compression;
import org.cdrlog.Durability;
import org.cdrlog.Options;
import org.cdrlog.Producer;
import org.cdrlog.Reader;

/** The classes keep what they say. Each method is a test and gets a directory of its own. */
final class CdrlogTest {
    private static final byte[] EVENT = bytes("{\"event\":\"sessionCreated\",\"timestamp\":1}");
    private static final String LINE = "{\"sessionCreated\":{\"timestamp\":1}}";

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void check(boolean condition, Object... seen) {
        if (!condition) {
            throw new AssertionError(Arrays.toString(seen));
        }
    }

    private static Options options(Path directory) {
        String inboxes = System.getenv("CDRLOG_INBOX_DIRECTORY");
        Options options = new Options(directory);
        return inboxes == null ? options : options.inboxDirectory(Path.of(inboxes));
    }

    private interface Call {
        void run() throws Exception;
    }

    private static CdrlogException failure(Call call) throws Exception {
        try {
            call.run();
        } catch (CdrlogException failure) {
            check(!failure.getMessage().isEmpty());
            return failure;
        }
        throw new AssertionError("it does not fail");
    }

    private static List<String> lines(Path directory) throws IOException {
        List<String> lines = new ArrayList<>();
        try (Reader reader = new Reader(directory)) {
            for (byte[] line; (line = reader.next()) != null;) {
                lines.add(new String(line, StandardCharsets.UTF_8));
            }
        }
        return lines;
    }

    static void arraysAndSegmentsBecomeLines(Path directory) throws Exception {
        try (Appender appender = options(directory).open(); Producer producer = appender.producer()) {
            producer.send(EVENT);
            check(producer.trySend(EVENT));
            byte[] padded = bytes("  " + new String(EVENT, StandardCharsets.UTF_8) + "  ");
            producer.send(padded, 2, EVENT.length);
            try (Arena arena = Arena.ofConfined()) {
                producer.send(arena.allocate(EVENT.length).copyFrom(MemorySegment.ofArray(EVENT)));
            }
            producer.send(new byte[0]);
            appender.flush();
            check(Files.readString(Path.of(appender.cdrPath())).equals((LINE + "\n").repeat(4)));
            check(Files.readString(Path.of(appender.rejectsPath())).contains("\"reason\":\"empty\""));
            check(appender.stats().get("events_journaled") == 4 && appender.stats().get("events_rejected") == 1);
        }
    }

    static void everyOptionIsTaken(Path directory) throws Exception {
        Options options = options(directory).queueEventsMax(10).queueBytesMax(1 << 20).eventBytesMax(1 << 12)
                .journal(2, 1 << 12).flushInterval(Duration.ofMillis(1)).writeRetryTimeout(Duration.ofSeconds(1))
                .closeTimeout(Duration.ofSeconds(1)).utc(true).rotateDaily(false).rotateBytes(1).retentionAge(null)
                .retainAllBytes().manageForeign(true).timeMarks(true).syncAlways().compression(Compression.ZSTD).inboxDirectory(null);
        try (Appender appender = options.open(); Producer producer = appender.producer()) {
            check(appender.inboxPath().isEmpty() && appender.recovered().isEmpty());
            producer.send(EVENT);
            producer.send(EVENT);
            appender.sync();
            appender.rotate();
            appender.waitForMaintenance();
            try (var files = Files.list(directory)) {
                check(files.filter(file -> file.toString().endsWith(".log.zst")).count() == 2);
            }
        }
        check(lines(directory).equals(List.of(LINE, LINE)));
    }

    static void aFailureHasACodeASentenceAndTheNumberOfTheSystem(Path directory) throws Exception {
        Appender appender = options(directory).open();
        check(failure(() -> options(directory).open()).code() == Code.LOCKED);
        check(failure(() -> new Options(directory.resolve("other")).journal(1, 1 << 20).open()).code() == Code.INVALID_ARGUMENT);
        CdrlogException missing = failure(() -> new Options(Path.of("/proc/no directory")).open());
        check(missing.code() == Code.IO && missing.errno() == 2 && missing.getMessage().contains("/proc/no directory"));
        Producer producer = appender.producer();
        appender.close();
        appender.close();
        check(failure(() -> producer.send(EVENT)).code() == Code.CLOSED);
        check(failure(() -> producer.trySend(EVENT)).code() == Code.CLOSED);
        producer.close();
        producer.close();
    }

    /** The library uses the memory of a handle again: what was closed must not become what was opened later. */
    static void whatWasClosedDoesNotBecomeWhatIsOpenedLater(Path directory) throws Exception {
        Appender first = options(directory.resolve("first")).open();
        Acks acks = new Acks();
        Producer closed = first.producer();
        Reader reader = new Reader(directory.resolve("first"));
        closed.close();
        acks.close();
        acks.close();
        reader.close();
        reader.close();
        for (int number = 0; number < 200; number++) {
            first.producer().close();
            new Acks().close();
        }
        first.close();
        refused("the producer is closed", () -> closed.send(EVENT));
        refused("the producer is closed", () -> closed.trySend(EVENT));
        refused("the counter is closed", () -> acks.acked(Durability.WRITTEN));
        refused("the reader is closed", reader::next);
        refused("the appender is closed", first::flush);
        refused("the appender is closed", first::cdrPath);
        refused("the appender is closed", first::producer);
    }

    private static void refused(String message, Call call) throws Exception {
        try {
            call.run();
        } catch (IllegalStateException expected) {
            check(expected.getMessage().equals(message), expected.getMessage());
            return;
        }
        throw new AssertionError("not refused: " + message);
    }

    /** Sizes that overflowed are negative, and would be limits that are none. */
    static void aNegativeSizeOrTimeIsNotOneWithoutEnd(Path directory) throws Exception {
        List<Call> wrong = List.of(() -> options(directory).retentionBytes(-1), () -> options(directory).rotateBytes(-1_474_836_480),
                () -> options(directory).queueEventsMax(-1), () -> options(directory).queueBytesMax(-1),
                () -> options(directory).eventBytesMax(-1), () -> options(directory).journal(-1, 4096),
                () -> options(directory).journal(2, -4096));
        for (Call call : wrong) {
            check(thrown(call) instanceof IllegalArgumentException, wrong.indexOf(call));
        }
        Duration negative = Duration.ofMillis(-1);
        check(failure(() -> options(directory).retentionAge(negative).open()).code() == Code.INVALID_ARGUMENT);
        check(failure(() -> options(directory).syncInterval(negative).open()).code() == Code.INVALID_ARGUMENT);
        check(failure(() -> options(directory).flushInterval(negative).open()).code() == Code.INVALID_ARGUMENT);
        // Short ones are not none, and long ones no overflow.
        Duration shortest = Duration.ofNanos(1);
        Duration longest = Duration.ofSeconds(Long.MAX_VALUE);
        options(directory).syncInterval(shortest).flushInterval(shortest).writeRetryTimeout(longest).closeTimeout(longest).open().close();
        try (Acks acks = new Acks(); Reader reader = new Reader(new Reader.Options(directory).follow())) {
            check(!acks.await(Durability.WRITTEN, 1, negative));
            reader.await(negative);
            reader.await(longest);
        }
    }

    private static Throwable thrown(Call call) {
        try {
            call.run();
        } catch (Throwable thrown) {
            return thrown;
        }
        throw new AssertionError("it throws nothing");
    }

    static void aSegmentThatCannotBeUsedIsAFaultOfTheCaller(Path directory) throws Exception {
        try (Appender appender = options(directory).open(); Producer producer = appender.producer(); Arena other = Arena.ofShared()) {
            Arena arena = Arena.ofConfined();
            MemorySegment closed = arena.allocate(EVENT.length);
            arena.close();
            check(thrown(() -> producer.send(closed)) instanceof IllegalStateException);
            check(thrown(() -> producer.trySend((MemorySegment) null)) instanceof NullPointerException);
            producer.send(other.allocate(EVENT.length).copyFrom(MemorySegment.ofArray(EVENT)));
        }
        check(lines(directory).equals(List.of(LINE)));
    }

    /** As a string, such a path is that of another directory, which would be created. */
    static void aPathThatIsNotUtf8IsRefused(Path directory) throws Exception {
        Files.createDirectories(directory);
        String make = "mkdir \"$1/$(printf '\\377\\376')\"";
        check(new ProcessBuilder("sh", "-c", make, "sh", directory.toString()).inheritIO().start().waitFor() == 0);
        Path path;
        try (var files = Files.list(directory)) {
            path = files.findFirst().orElseThrow();
        }
        check(thrown(() -> new Options(path).open()) instanceof IllegalArgumentException);
        check(thrown(() -> options(directory.resolve("other")).inboxDirectory(path).open()) instanceof IllegalArgumentException);
        check(thrown(() -> new Reader(path)) instanceof IllegalArgumentException);
        try (var files = Files.list(directory)) {
            check(files.count() == 1);
        }
    }

    /** In a notice, the appender waits for the listener. */
    static void aListenerThatWouldWaitForItselfIsRefused(Path directory) throws Exception {
        Appender[] appender = new Appender[1];
        Producer[] producer = new Producer[1];
        List<Code> codes = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch told = new CountDownLatch(1);
        Options options = options(directory).eventBytesMax(4096).journal(2, 4096).queueEventsMax(4).onNotice(notice -> {
            if (told.getCount() == 0) {
                return;
            }
            try {
                // No line is written meanwhile: the journal and then the queue fill.
                codes.add(failure(() -> {
                    for (int sent = 0; sent < 1_000_000; sent++) {
                        producer[0].send(EVENT);
                    }
                }).code());
                codes.add(failure(appender[0]::close).code());
            } catch (Exception fault) {
                throw new AssertionError(fault);
            } finally {
                told.countDown();
            }
        });
        try (Appender opened = options.open(); Producer sender = opened.producer()) {
            appender[0] = opened;
            producer[0] = sender;
            Files.delete(Path.of(opened.cdrPath()));
            sender.send(EVENT);
            told.await();
            check(codes.equals(List.of(Code.WOULD_DEADLOCK, Code.WOULD_DEADLOCK)), codes);
        }
    }

    static void aFullQueueIsToldByTrySendAndWaitedForBySend(Path directory) throws Exception {
        CountDownLatch held = new CountDownLatch(1);
        CountDownLatch hold = new CountDownLatch(1);
        // No line is written while a notice is given: the journal and then the queue fill.
        Options options = options(directory).eventBytesMax(4096).journal(2, 4096).queueEventsMax(4).onNotice(notice -> {
            held.countDown();
            try {
                hold.await();
            } catch (InterruptedException never) {
                throw new AssertionError(never);
            }
        });
        try (Appender appender = options.open(); Producer producer = appender.producer()) {
            Files.delete(Path.of(appender.cdrPath()));
            producer.send(EVENT);
            Thread rotating = started(appender::rotate);
            held.await();
            long taken = 1;
            for (long refusedAt = System.nanoTime(); System.nanoTime() - refusedAt < 200_000_000;) {
                if (producer.trySend(EVENT)) {
                    taken++;
                    refusedAt = System.nanoTime();
                }
            }
            Thread sending = started(() -> producer.send(EVENT));
            System.gc(); // runs although a thread waits for room
            check(sending.isAlive());
            hold.countDown();
            sending.join();
            rotating.join();
            appender.flush();
            check(appender.stats().get("events_journaled") == taken + 1, taken, appender.stats());
        } finally {
            hold.countDown();
        }
    }

    private static Thread started(Call call) {
        return Thread.ofPlatform().start(() -> {
            try {
                call.run();
            } catch (Exception failure) {
                throw new AssertionError(failure);
            }
        });
    }

    static void aSendAllocatesNothing(Path directory) throws Exception {
        var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (Appender appender = options(directory).open(); Producer producer = appender.producer()) {
            // Until it is compiled.
            for (int sent = 0; sent < 50_000; sent++) {
                producer.send(EVENT);
            }
            long sends = 0;
            long before = threads.getCurrentThreadAllocatedBytes();
            long allocated = Long.MAX_VALUE;
            // It is compiled some time later, while the queue may be full.
            for (int round = 0; round < 200 && allocated > 0; round++) {
                before = threads.getCurrentThreadAllocatedBytes();
                for (sends = 0; sends < 1000 && producer.trySend(EVENT); sends++) {}
                allocated = sends == 0 ? Long.MAX_VALUE : threads.getCurrentThreadAllocatedBytes() - before;
                appender.flush();
            }
            check(allocated == 0, "bytes", allocated, "sends", sends);
        }
    }

    static void acknowledgementsAreCounted(Path directory) throws Exception {
        try (Appender appender = options(directory).open(); Producer producer = appender.producer(); Acks acks = new Acks()) {
            check(producer.sendAcked(EVENT, Durability.WRITTEN, acks) == 1);
            check(producer.sendAcked(bytes("[]"), Durability.WRITTEN, acks) == 2);
            check(acks.await(Durability.WRITTEN, 2, Duration.ofSeconds(20)));
            check(acks.acked(Durability.WRITTEN) == 2 && acks.rejected(Durability.WRITTEN) == 1);
            check(acks.acked(Durability.SYNCED) == 0);
            check(!acks.await(Durability.SYNCED, 1, Duration.ofMillis(1)));
        }
    }

    static void aNoticeIsGivenAndWhatItThrowsIsNot(Path directory) throws Exception {
        List<String> notices = Collections.synchronizedList(new ArrayList<>());
        Options options = options(directory).onNotice(notice -> {
            notices.add(notice);
            throw new IllegalStateException("on purpose");
        });
        Thread.UncaughtExceptionHandler handler = Thread.getDefaultUncaughtExceptionHandler();
        Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> {
            notices.add(thrown.getMessage());
            throw new IllegalStateException("must not end the JVM");
        });
        try (Appender appender = options.open(); Producer producer = appender.producer()) {
            Files.delete(Path.of(appender.cdrPath()));
            producer.send(EVENT);
            appender.rotate();
        } finally {
            Thread.setDefaultUncaughtExceptionHandler(handler);
        }
        check(notices.size() == 2 && notices.get(1).equals("on purpose"), notices);
    }

    static void aReaderFollowsAndGoesOnAtAPosition(Path directory) throws Exception {
        try (Appender appender = options(directory).open(); Producer producer = appender.producer();
                Reader reader = new Reader(new Reader.Options(directory).follow())) {
            check(reader.position() == null && reader.next() == null);
            producer.send(EVENT);
            producer.send(EVENT);
            byte[] line;
            while ((line = reader.next()) == null) {
                reader.await(Duration.ofSeconds(10));
            }
            check(new String(line, StandardCharsets.UTF_8).equals(LINE));
            Reader.Position position = reader.position();
            appender.flush();
            try (Reader later = new Reader(new Reader.Options(directory).begin(position))) {
                check(later.next() != null && later.next() == null);
            }
            Reader.Position missing = new Reader.Position(position.file(), 1L << 40);
            check(failure(() -> new Reader(new Reader.Options(directory).begin(missing))).code() == Code.NO_SUCH_POSITION);
            producer.send(bytes("[]"));
            appender.flush();
            try (Reader rejects = new Reader(new Reader.Options(directory).rejects())) {
                check(new String(rejects.next(), StandardCharsets.UTF_8).contains("not_an_object"));
            }
        }
    }

    static void whatSendTookOutlivesAKill(Path directory) throws Exception {
        String java = ProcessHandle.current().info().command().orElseThrow();
        Process child = new ProcessBuilder(java, "--enable-native-access=ALL-UNNAMED", "-cp",
                System.getProperty("java.class.path"), "CdrlogTest", "child", directory.toString()).inheritIO().start();
        check(child.waitFor() == 128 + 9, child.exitValue());
        try (Appender appender = options(directory).open()) {
            check(!appender.recovered().isEmpty());
        }
        check(lines(directory).equals(Collections.nCopies(100, LINE)));
    }

    private static void sendAndDie(Path directory) throws Throwable {
        // The library is slower than the death.
        Producer producer = options(directory).flushInterval(Duration.ofMinutes(1)).open().producer();
        MethodHandle kill = Linker.nativeLinker().downcallHandle(Linker.nativeLinker().defaultLookup().find("kill").orElseThrow(),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
        int self = (int) ProcessHandle.current().pid();
        for (int sent = 0; sent < 100; sent++) {
            producer.send(EVENT);
        }
        check((int) kill.invokeExact(self, 9) == 0);
    }

    public static void main(String[] arguments) throws Throwable {
        if (arguments.length == 2 && arguments[0].equals("child")) {
            sendAndDie(Path.of(arguments[1]));
            throw new AssertionError("it is alive");
        }
        Path root = Path.of(arguments[0]);
        int failures = 0;
        for (Method test : CdrlogTest.class.getDeclaredMethods()) {
            if (!Arrays.equals(test.getParameterTypes(), new Class<?>[] {Path.class}) || test.getReturnType() != void.class
                    || java.lang.reflect.Modifier.isPrivate(test.getModifiers())) {
                continue;
            }
            try {
                test.invoke(null, root.resolve(test.getName()));
                System.out.println("ok " + test.getName());
            } catch (InvocationTargetException thrown) {
                failures++;
                System.out.println("FAILED " + test.getName() + ": " + thrown.getCause());
                thrown.getCause().printStackTrace();
            }
        }
        System.exit(failures == 0 ? 0 : 1);
    }
}
