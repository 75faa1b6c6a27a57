import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.cdrlog.Appender;
import org.cdrlog.Options;
import org.cdrlog.Producer;

/**
 * The signalling of a small media server: a thread for each connection, an event for each join and leave.
 *
 * <pre>java --enable-native-access=ALL-UNNAMED -cp CLASSES MediaNode DIRECTORY SOCKET</pre>
 *
 * A client writes "join ROOM NAME" or "leave ROOM NAME" to the unix socket, a line each, and reads "ok" once the event
 * outlives this process, or "busy" if the disk has been stalled for so long that the queue is full. SIGTERM ends the
 * server; nothing that was answered is missing.
 */
public final class MediaNode {
    private static final Map<String, String> EVENTS = Map.of("join", "participantJoined", "leave", "participantLeft");

    private final Appender appender;
    private final ServerSocketChannel listener;
    private final Set<SocketChannel> connections = ConcurrentHashMap.newKeySet();
    private final ExecutorService threads = Executors.newCachedThreadPool();

    private MediaNode(Appender appender, Path socket) throws IOException {
        this.appender = appender;
        Files.deleteIfExists(socket);
        listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(UnixDomainSocketAddress.of(socket));
    }

    /** The event of a command; null if it is none. Names are letters and digits: there is nothing to escape. */
    private static String eventOf(String command) {
        String[] words = command.split(" ");
        if (words.length != 3 || !EVENTS.containsKey(words[0]) || !(words[1] + words[2]).matches("[0-9A-Za-z]+")) {
            return null;
        }
        return """
                {"event":"%s","timestamp":%d,"sessionId":"%s","participantId":"%s"}"""
                .formatted(EVENTS.get(words[0]), System.currentTimeMillis(), words[1], words[2]);
    }

    private static String answer(Producer producer, String command) throws IOException, InterruptedException {
        String event = eventOf(command);
        if (event == null) {
            return "unknown command\n";
        }
        byte[] body = event.getBytes(StandardCharsets.UTF_8);
        // Media must not wait for the disk: this tries for a second and gives up.
        for (int tries = 0; tries < 1000; tries++) {
            if (producer.trySend(body)) {
                return "ok\n";
            }
            Thread.sleep(1);
        }
        return "busy\n";
    }

    private void serve(SocketChannel connection) {
        try (connection; Producer producer = appender.producer()) {
            BufferedReader lines = new BufferedReader(new InputStreamReader(Channels.newInputStream(connection), StandardCharsets.UTF_8));
            OutputStream answers = Channels.newOutputStream(connection);
            for (String line; (line = lines.readLine()) != null;) {
                answers.write(answer(producer, line).getBytes(StandardCharsets.UTF_8));
            }
        } catch (ClosedChannelException ended) {
            // By this server.
        } catch (IOException | InterruptedException failure) {
            System.err.println("a connection ends: " + failure.getMessage());
        } finally {
            connections.remove(connection);
        }
    }

    private void acceptAll() throws IOException {
        while (true) {
            SocketChannel connection;
            try {
                connection = listener.accept();
            } catch (ClosedChannelException ended) {
                return;
            }
            connections.add(connection);
            threads.execute(() -> serve(connection));
        }
    }

    private void end(Thread accepting) throws IOException, InterruptedException {
        listener.close();
        accepting.join();
        for (SocketChannel connection : connections) {
            connection.close();
        }
        threads.close();
        appender.flush();
        long lines = appender.stats().get("events_journaled");
        appender.close();
        System.out.println(lines + " lines");
    }

    public static void main(String[] arguments) throws IOException {
        if (arguments.length != 2) {
            System.err.println("usage: MediaNode DIRECTORY SOCKET");
            System.exit(2);
        }
        Options options = new Options(Path.of(arguments[0])).onNotice(System.err::println);
        String inboxes = System.getenv("CDRLOG_INBOX_DIRECTORY");
        if (inboxes != null) {
            options.inboxDirectory(Path.of(inboxes));
        }
        Appender appender = options.open();
        System.err.print(appender.recovered().isEmpty() ? "" : appender.recovered() + "\n");
        MediaNode node = new MediaNode(appender, Path.of(arguments[1]));
        Thread accepting = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            int status = 1;
            try {
                node.end(accepting);
                status = 0;
            } catch (IOException | InterruptedException failure) {
                System.err.println("error: " + failure.getMessage());
            }
            // Without this the status would say that a signal ended it.
            Runtime.getRuntime().halt(status);
        }));
        System.out.println("ready");
        node.acceptAll();
    }
}
