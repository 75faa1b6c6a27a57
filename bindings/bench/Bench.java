import ch.qos.logback.classic.AsyncAppender;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.encoder.PatternLayoutEncoder;
import ch.qos.logback.core.FileAppender;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.cdrlog.Appender;
import org.cdrlog.CdrlogException;
import org.cdrlog.Options;
import org.cdrlog.Producer;

/** What an event costs in Java: cdrlog, and logback's AsyncAppender, whose file has the same bytes: Bench NAME DIRECTORY EVENTS. */
public final class Bench {
    /** Between two flushes: fewer than a queue has room for. */
    private static final int BURST = 10_000;

    private static final String EVENT = System.getenv("BENCH_EVENT");
    private static final String LINE = System.getenv("BENCH_LINE");

    private interface Call {
        void run() throws CdrlogException;
    }

    private record Log(Call send, Call flush, Call end) {}

    private static Log ofCdrlog(String directory) throws CdrlogException {
        Appender appender = new Options(Path.of(directory)).syncNever().open();
        Producer producer = appender.producer();
        byte[] event = EVENT.getBytes(StandardCharsets.UTF_8);
        return new Log(() -> producer.send(event), appender::flush, appender::close);
    }

    private static Log ofLogback(String directory) {
        LoggerContext context = new LoggerContext();
        PatternLayoutEncoder encoder = new PatternLayoutEncoder();
        encoder.setContext(context);
        encoder.setPattern("%msg%n");
        encoder.start();
        FileAppender<ch.qos.logback.classic.spi.ILoggingEvent> file = new FileAppender<>();
        file.setContext(context);
        file.setFile(directory + "/logback.log");
        file.setEncoder(encoder);
        file.setImmediateFlush(false);
        file.start();
        AsyncAppender async = new AsyncAppender();
        async.setContext(context);
        async.setQueueSize(4 * BURST);
        async.setDiscardingThreshold(0);
        async.addAppender(file);
        async.start();
        Logger logger = context.getLogger("cdr");
        logger.addAppender(async);
        return new Log(() -> logger.info(LINE), () -> {
            while (async.getNumberOfElementsInQueue() > 0) {
                Thread.onSpinWait();
            }
        }, context::stop);
    }

    private static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean) java.lang.management.ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    public static void main(String[] arguments) throws Exception {
        Log log = arguments[0].equals("cdrlog") ? ofCdrlog(arguments[1]) : ofLogback(arguments[1]);
        int rounds = Integer.parseInt(arguments[2]) / BURST;
        long sending = 0;
        long cpuBegin = 0;
        long begin = 0;
        // The first rounds, in which it is compiled, are not counted.
        for (int round = -20; round < rounds; round++) {
            if (round == 0) {
                sending = 0;
                cpuBegin = cpu();
                begin = System.nanoTime();
            }
            long roundBegin = System.nanoTime();
            for (int sent = 0; sent < BURST; sent++) {
                log.send.run();
            }
            sending += System.nanoTime() - roundBegin;
            log.flush.run();
        }
        long events = (long) rounds * BURST;
        System.out.printf("java\t%s\t%d\t%d\t%d%n", arguments[0], sending / events, (cpu() - cpuBegin) / events,
                (System.nanoTime() - begin) / events);
        log.end.run();
    }
}
