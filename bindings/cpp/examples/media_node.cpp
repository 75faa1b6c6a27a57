// The signalling of a small media server: a thread for each connection, an event for each join and leave.
//
//     media_node DIRECTORY SOCKET
//
// A client writes "join ROOM NAME" or "leave ROOM NAME" to the unix socket, a line each, and reads "ok" once the
// event outlives this process, or "busy" if the disk has been stalled for so long that the queue is full. SIGTERM
// ends the server; nothing that was answered is missing.

#include <cdrlog.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <list>
#include <mutex>
#include <sstream>
#include <string>
#include <system_error>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

using namespace std::chrono_literals;

[[noreturn]] static void fail(const char *what) { throw std::system_error(errno, std::generic_category(), what); }

// The event of a command; empty if it is none. Names are words of letters and digits: no character to escape.
static std::string event_of(const std::string &command) {
    std::istringstream words(command);
    std::string verb, room, name;
    words >> verb >> room >> name;
    const auto is_plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
    for (const std::string *word : {&room, &name}) {
        for (char c : *word)
            if (!is_plain(c)) return "";
        if (word->empty()) return "";
    }
    if (verb != "join" && verb != "leave") return "";
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto timestamp = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    return R"({"event":")" + std::string(verb == "join" ? "participantJoined" : "participantLeft") +
           R"(","timestamp":)" + std::to_string(timestamp) + R"(,"sessionId":")" + room + R"(","participantId":")" + name +
           R"("})";
}

// Media must not wait for the disk: this tries for a second and gives up.
static const char *answer(cdrlog::Producer &producer, const std::string &event) {
    for (int tries = 0; tries < 1000; tries++) {
        if (producer.try_send(event)) return "ok\n";
        std::this_thread::sleep_for(1ms);
    }
    return "busy\n";
}

static void serve(int connection, cdrlog::Producer producer) {
    std::string read_so_far;
    char buffer[4096];
    for (ssize_t bytes; (bytes = read(connection, buffer, sizeof buffer)) > 0;) {
        read_so_far.append(buffer, static_cast<std::size_t>(bytes));
        for (std::size_t end; (end = read_so_far.find('\n')) != std::string::npos;) {
            const std::string event = event_of(read_so_far.substr(0, end));
            read_so_far.erase(0, end + 1);
            const char *line = event.empty() ? "unknown command\n" : answer(producer, event);
            // The client is gone: the next read says so.
            if (send(connection, line, std::strlen(line), MSG_NOSIGNAL) < 0) break;
        }
    }
}

// The connections that are served, and the threads that serve them.
class Connections {
public:
    void add(int connection, cdrlog::Producer producer) {
        const std::lock_guard<std::mutex> lock(mutex_);
        threads_.emplace_back([this, connection, producer = std::move(producer)]() mutable {
            try {
                serve(connection, std::move(producer));
            } catch (const cdrlog::Error &error) {
                std::cerr << "a connection ends: " << error.what() << "\n";
            }
            const std::lock_guard<std::mutex> lock(mutex_);
            open_.remove(connection);
            close(connection);
        });
        open_.push_back(connection);
    }

    void end() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            for (int connection : open_) shutdown(connection, SHUT_RDWR);
        }
        for (std::thread &thread : threads_) thread.join();
    }

private:
    std::mutex mutex_;
    std::list<int> open_;
    std::list<std::thread> threads_;
};

static int listen_at(const char *path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (std::strlen(path) >= sizeof address.sun_path) throw std::invalid_argument("the path of the socket is too long");
    std::strcpy(address.sun_path, path);
    unlink(path);
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) fail("socket");
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) < 0) fail(path);
    if (listen(listener, 128) < 0) fail("listen");
    return listener;
}

static void run(const char *directory, const char *socket_path) {
    // Threads inherit this: the signals wait for the call of sigwait.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);

    cdrlog::Options options(directory);
    options.on_notice([](cdrlog_notice, const char *message) { std::cerr << message << "\n"; });
    if (const char *inboxes = std::getenv("CDRLOG_INBOX_DIRECTORY")) options.inbox_directory(inboxes);
    cdrlog::Appender appender(options);
    if (const std::string repaired = appender.recovery().message(); !repaired.empty()) std::cerr << repaired << "\n";

    const int listener = listen_at(socket_path);
    Connections connections;
    std::thread accepts([&] {
        for (int connection; (connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;)
            connections.add(connection, appender.producer());
    });
    std::cout << "ready" << std::endl;

    int signal = 0;
    sigwait(&ends, &signal);
    shutdown(listener, SHUT_RDWR);
    accepts.join();
    connections.end();
    appender.flush();
    const std::uint64_t lines = appender.stat("events_journaled");
    appender.close();
    std::cout << lines << " lines" << std::endl;
}

int main(int count, char **arguments) {
    if (count != 3) {
        std::cerr << "usage: media_node DIRECTORY SOCKET\n";
        return 2;
    }
    try {
        run(arguments[1], arguments[2]);
    } catch (const std::exception &error) {
        std::cerr << "error: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
