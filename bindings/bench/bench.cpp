// What an event costs in C++: cdrlog, and spdlog's asynchronous logger, whose file has the same bytes.
//
//     bench cdrlog|spdlog DIRECTORY EVENTS

#include <cdrlog.hpp>

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

namespace {

// Between two flushes: fewer than a queue has room for.
constexpr int burst = 10'000;

long long wall_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

long long cpu_ns() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const auto ns = [](const timeval &time) { return time.tv_sec * 1'000'000'000LL + time.tv_usec * 1000LL; };
    return ns(usage.ru_utime) + ns(usage.ru_stime);
}

template <typename Send, typename Flush> void bench(const char *name, int events, Send send, Flush flush) {
    long long sending = 0, cpu_begin = 0, begin = 0;
    const int rounds = events / burst;
    // The first round is not counted.
    for (int round = -1; round < rounds; round++) {
        if (round == 0) {
            sending = 0;
            cpu_begin = cpu_ns();
            begin = wall_ns();
        }
        const auto round_begin = wall_ns();
        for (int sent = 0; sent < burst; sent++) send();
        sending += wall_ns() - round_begin;
        flush();
    }
    const long long sent = static_cast<long long>(rounds) * burst;
    std::printf("c++\t%s\t%lld\t%lld\t%lld\n", name, sending / sent, (cpu_ns() - cpu_begin) / sent, (wall_ns() - begin) / sent);
}

void bench_cdrlog(const std::string &directory, int events) {
    cdrlog::Options options(directory);
    options.sync_never();
    cdrlog::Appender appender(options);
    cdrlog::Producer producer = appender.producer();
    const std::string event = std::getenv("BENCH_EVENT");
    bench("cdrlog", events, [&] { producer.send(event); }, [&] { appender.flush(); });
    appender.close();
}

void bench_spdlog(const std::string &directory, int events) {
    spdlog::init_thread_pool(4 * burst, 1);
    auto logger = spdlog::basic_logger_mt<spdlog::async_factory>("cdr", directory + "/spdlog.log");
    logger->set_pattern("%v");
    const std::string line = std::getenv("BENCH_LINE");
    const auto flush = [] {
        while (spdlog::thread_pool()->queue_size() > 0) std::this_thread::yield();
    };
    bench("spdlog", events, [&] { logger->info(line); }, flush);
    spdlog::shutdown();
}

} // namespace

int main(int count, char **arguments) {
    if (count != 4) return 2;
    const int events = std::atoi(arguments[3]);
    const bool is_cdrlog = std::string_view(arguments[1]) == "cdrlog";
    (is_cdrlog ? bench_cdrlog : bench_spdlog)(arguments[2], events);
}
