// The load of `killed.rs`, for loggers in C++: `program DIRECTORY EVENTS EVERY_10_MS` sends EVENTS lines, at the rate of
// a server or flat out (0), and kills itself as soon as the last one was taken. With EVENTS 0 it only opens the log and
// ends, as the program does when it starts again.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>
#include <unistd.h>

struct Load {
    std::string directory;
    long events;
    long every_10_ms;

    Load(int count, char **arguments)
        : directory(count == 4 ? arguments[1] : "."), events(count == 4 ? std::atol(arguments[2]) : 0),
          every_10_ms(count == 4 ? std::atol(arguments[3]) : 0) {}

    // An event of the length of those of killed.rs.
    static std::string line() {
        std::string text = R"({"participantLeft":{"timestamp":1538481330577,"sessionId":"ses_Jd8tUyvhXO","clientData":")";
        text.append(274 - text.size() - 3, 'x');
        return text + R"("}})";
    }

    template <typename Send> void send_and_die(Send send) const {
        if (events == 0) return;
        const std::string text = line();
        const auto begin = std::chrono::steady_clock::now();
        for (long number = 0; number < events; number++) {
            if (every_10_ms != 0 && number % every_10_ms == 0)
                std::this_thread::sleep_until(begin + std::chrono::milliseconds(10) * (number / every_10_ms));
            send(text);
        }
        kill(getpid(), SIGKILL);
    }
};
