// The header keeps what it says. `cdrlog_test DIRECTORY` runs each test in a directory of its own below.

#include <cdrlog.hpp>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <mutex>
#include <poll.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace std::chrono_literals;
using cdrlog::Appender;
using cdrlog::Durability;
using cdrlog::Error;
using cdrlog::Options;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            throw std::logic_error(std::string(__FILE__ ":") + std::to_string(__LINE__) + ": " #condition);            \
    } while (false)

static_assert(!std::is_copy_constructible_v<Appender> && std::is_nothrow_move_constructible_v<Appender>);
static_assert(!std::is_copy_constructible_v<cdrlog::Producer> && std::is_nothrow_move_assignable_v<cdrlog::Producer>);
static_assert(!std::is_copy_constructible_v<cdrlog::Reader> && std::is_nothrow_move_assignable_v<cdrlog::Reader>);

constexpr const char *EVENT = R"({"event":"sessionCreated","timestamp":1})";
constexpr const char *LINE = "{\"sessionCreated\":{\"timestamp\":1}}\n";

static Options options_of(const std::string &directory) {
    Options options(directory);
    if (const char *inboxes = std::getenv("CDRLOG_INBOX_DIRECTORY")) options.inbox_directory(inboxes);
    return options;
}

static std::string content_of(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    CHECK(file.good());
    return {std::istreambuf_iterator<char>(file), {}};
}

// The code of the error that this throws; CDRLOG_OK if it throws none.
template <typename Run> static cdrlog_result code_of(Run run) {
    try {
        run();
    } catch (const Error &error) {
        CHECK(*error.what() != '\0');
        return error.code();
    }
    return CDRLOG_OK;
}

static void bytes_of_every_kind_become_lines(const std::string &directory) {
    Appender appender(options_of(directory));
    auto producer = appender.producer();
    const std::string text = EVENT;
    producer.send(EVENT);
    producer.send(text);
    producer.send(std::string_view(text));
    producer.send(std::vector<std::uint8_t>(text.begin(), text.end()));
    producer.send({text.data(), text.size()});
    CHECK(producer.try_send(text));
    std::size_t lines = 6;
#if __cplusplus >= 202002L
    producer.send(std::span(text));
    producer.send(std::as_bytes(std::span(text)));
    lines += 2;
#endif
    const iovec parts[] = {{const_cast<char *>(EVENT), 10}, {const_cast<char *>(EVENT) + 10, text.size() - 10}};
    producer.send_parts(parts, 2);
    CHECK(producer.try_send_parts(parts, 2));
    lines += 2;
    appender.flush();
    std::string expected;
    for (std::size_t line = 0; line < lines; line++) expected += LINE;
    CHECK(content_of(appender.cdr_path()) == expected);
    CHECK(appender.stat("events_journaled") == lines);
    appender.close();
}

static void an_error_has_a_code_and_a_sentence(const std::string &directory) {
    CHECK(code_of([] { Options(""); }) == CDRLOG_INVALID_ARGUMENT);
    CHECK(code_of([&] { Appender{options_of(directory).segment_count(1)}; }) == CDRLOG_INVALID_ARGUMENT);
    Appender appender(options_of(directory));
    CHECK(code_of([&] { Appender second(options_of(directory)); }) == CDRLOG_LOCKED);
    CHECK(code_of([&] { appender.stat("no such counter"); }) == CDRLOG_INVALID_ARGUMENT);
    auto producer = appender.producer();
    appender.close();
    CHECK(code_of([&] { producer.send(EVENT); }) == CDRLOG_CLOSED);
    CHECK(code_of([&] { static_cast<void>(producer.try_send(EVENT)); }) == CDRLOG_CLOSED);
    CHECK(code_of([&] { appender.flush(); }) == CDRLOG_INVALID_ARGUMENT);
    appender.close();
}

static void what_was_moved_from_throws_and_what_was_moved_to_works(const std::string &directory) {
    Appender first(options_of(directory));
    auto producer = first.producer();
    Appender second = std::move(first);
    auto moved = std::move(producer);
    CHECK(code_of([&] { producer.send(EVENT); }) == CDRLOG_INVALID_ARGUMENT);
    CHECK(code_of([&] { first.flush(); }) == CDRLOG_INVALID_ARGUMENT);
    moved.send(EVENT);
    second.flush();
    CHECK(content_of(second.cdr_path()) == LINE);
    // The appender that was there is closed, so its directory can be opened.
    second = Appender(options_of(directory + "/other"));
    Appender again(options_of(directory));
    CHECK(code_of([&] { moved.send(EVENT); }) == CDRLOG_CLOSED);
}

static void a_destructor_closes(const std::string &directory) {
    {
        Appender appender(options_of(directory));
        appender.producer().send(EVENT);
    }
    auto reader = cdrlog::Reader(directory);
    CHECK(reader.next() == std::string_view(LINE).substr(0, std::string_view(LINE).size() - 1));
    CHECK(!reader.next());
}

static void a_full_queue_is_no_error(const std::string &directory) {
    // The events of one queue are held back by a callback that waits: no line is written meanwhile.
    Appender appender(options_of(directory).queue_events_max(4));
    auto producer = appender.producer();
    std::mutex held;
    std::unique_lock<std::mutex> hold(held);
    producer.send(EVENT, Durability::journaled, [&](const cdrlog::Outcome &) { const std::lock_guard<std::mutex> wait(held); });
    int taken = 0;
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (producer.try_send(EVENT)) {
        taken++;
        CHECK(std::chrono::steady_clock::now() < end);
    }
    cdrlog::Acks acks;
    CHECK(!producer.try_send_acked(EVENT, Durability::written, acks));
    bool is_called = false;
    CHECK(!producer.try_send(EVENT, Durability::written, [&](const cdrlog::Outcome &) { is_called = true; }));
    hold.unlock();
    appender.flush();
    CHECK(!is_called);
    CHECK(appender.stat("events_journaled") == static_cast<std::uint64_t>(taken) + 1);
    appender.close();
}

static void acknowledgements_come_by_number_eventfd_and_callback(const std::string &directory) {
    Appender appender(options_of(directory));
    auto producer = appender.producer();
    cdrlog::Acks acks;
    CHECK(producer.send_acked(EVENT, Durability::written, acks) == 1);
    CHECK(producer.send_acked("no event", Durability::written, acks) == 2);
    acks.wait(Durability::written, 2);
    CHECK(acks.acked(Durability::written) == 2 && acks.rejected(Durability::written) == 1);
    CHECK(acks.acked(Durability::synced) == 0);
    CHECK(!acks.wait(Durability::synced, 1, 1ms));
    pollfd ready = {acks.eventfd(), POLLIN, 0};
    CHECK(poll(&ready, 1, 10'000) == 1);
    acks.check(Durability::written);

    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> told;
    const auto tell = [&](const cdrlog::Outcome &outcome) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (outcome.code == CDRLOG_OK) {
            told.push_back(std::string(outcome.file) + "@" + std::to_string(outcome.offset));
            CHECK(outcome.message.empty() && outcome.line_bytes == std::string_view(LINE).size());
        } else {
            CHECK(outcome.code == CDRLOG_REJECTED && outcome.file.empty());
            told.emplace_back(outcome.message);
        }
        changed.notify_one();
    };
    producer.send(EVENT, Durability::written, tell);
    CHECK(producer.try_send("no event", Durability::written, tell));
    std::unique_lock<std::mutex> lock(mutex);
    CHECK(changed.wait_for(lock, 20s, [&] { return told.size() == 2; }));
    const std::string place = appender.cdr_path() + "@" + std::to_string(std::string_view(LINE).size());
    CHECK(std::count(told.begin(), told.end(), place) == 1 && std::count(told.begin(), told.end(), "") == 0);
}

static void notices_are_given_to_the_callback(const std::string &directory) {
    std::mutex mutex;
    std::vector<cdrlog_notice> notices;
    {
        Options options(directory);
        options.no_inbox().on_notice([&](cdrlog_notice notice, const char *message) {
            CHECK(*message != '\0');
            const std::lock_guard<std::mutex> lock(mutex);
            notices.push_back(notice);
        });
        Appender appender(options);
        options = Options("unused");
        CHECK(appender.inbox_path().empty());
        std::filesystem::remove(appender.cdr_path());
        appender.producer().send(EVENT);
        appender.rotate();
    }
    CHECK(std::count(notices.begin(), notices.end(), CDRLOG_NOTICE_CHANGED_BY_OTHERS) == 1);
}

static void an_empty_function_is_no_callback(const std::string &directory) {
    auto options = options_of(directory);
    Appender appender(options.on_notice(nullptr));
    auto producer = appender.producer();
    std::filesystem::remove(appender.cdr_path());
    producer.send(EVENT);
    appender.rotate();
    CHECK(code_of([&] { producer.send(EVENT, Durability::written, nullptr); }) == CDRLOG_INVALID_ARGUMENT);
    const auto try_send = [&] { static_cast<void>(producer.try_send(EVENT, Durability::written, cdrlog::OutcomeCallback())); };
    CHECK(code_of(try_send) == CDRLOG_INVALID_ARGUMENT);
    appender.flush();
    CHECK(appender.stat("events_journaled") == 1);
}

static void an_appender_that_its_callback_destroys_is_closed_after_it(const std::string &directory) {
    std::unique_ptr<Appender> appender;
    std::promise<std::pair<cdrlog_result, std::string>> told;
    auto options = options_of(directory);
    options.on_notice([&, kept = std::string(100, 'k')](cdrlog_notice notice, const char *) {
        if (notice != CDRLOG_NOTICE_CHANGED_BY_OTHERS) return;
        const auto refused = code_of([&] { appender->close(); });
        appender.reset();
        told.set_value({refused, kept});
    });
    appender = std::make_unique<Appender>(options);
    options = Options("unused");
    auto producer = appender->producer();
    std::filesystem::remove(appender->cdr_path());
    producer.send(EVENT);
    auto future = told.get_future();
    CHECK(future.wait_for(20s) == std::future_status::ready);
    const auto [refused, kept] = future.get();
    CHECK(refused == CDRLOG_WOULD_DEADLOCK && kept == std::string(100, 'k'));
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (code_of([&] { Appender again(options_of(directory)); }) == CDRLOG_LOCKED) {
        CHECK(std::chrono::steady_clock::now() < end);
        std::this_thread::sleep_for(1ms);
    }
    CHECK(cdrlog::Reader(directory).next());
}

static void a_path_with_a_nul_and_a_negative_age_are_refused(const std::string &directory) {
    const std::string path = directory + std::string("\0other", 6);
    const cdrlog_result refused = CDRLOG_INVALID_ARGUMENT;
    CHECK(code_of([&] { Options{path}; }) == refused);
    CHECK(code_of([&] { options_of(directory).inbox_directory(path); }) == refused);
    CHECK(code_of([&] { cdrlog::Reader{path}; }) == refused);
    CHECK(code_of([&] { cdrlog::ReaderOptions(directory).begin({path, 0}); }) == refused);
    CHECK(code_of([&] { Appender{options_of(directory).retention_age(-1s)}; }) == refused);
}

static void a_reader_follows_and_goes_on_at_a_position(const std::string &directory) {
    Appender appender(options_of(directory));
    auto producer = appender.producer();
    auto reader = cdrlog::Reader(cdrlog::ReaderOptions(directory).follow(true));
    CHECK(!reader.next() && !reader.line_position());
    producer.send(EVENT);
    producer.send(EVENT);
    std::optional<std::string_view> line;
    while (!(line = reader.next())) reader.wait(20s);
    CHECK(line == std::string_view(LINE).substr(0, std::string_view(LINE).size() - 1));
    CHECK(reader.line_position()->offset == 0);
    appender.flush();
    auto later = cdrlog::Reader(cdrlog::ReaderOptions(directory).begin(*reader.position()));
    CHECK(later.next_lines() == std::string_view(LINE));
    CHECK(!later.next());
    const auto missing = cdrlog::Position{appender.cdr_path(), 1'000'000};
    CHECK(code_of([&] { cdrlog::Reader(cdrlog::ReaderOptions(directory).begin(missing)); }) ==
          CDRLOG_NO_SUCH_POSITION);
}

static void the_recovery_says_what_a_killed_process_had_sent(const std::string &directory) {
    const pid_t child = fork();
    if (child == 0) {
        // The library is slower than the death.
        Appender appender(options_of(directory).flush_interval(1min));
        appender.producer().send(EVENT);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    const auto plan = cdrlog::Recovery::plan(options_of(directory));
    CHECK(!plan.is_nothing() && !plan.message().empty());
    Appender appender(options_of(directory));
    CHECK(appender.recovery().value(CDRLOG_RECOVERY_LINES_BYTES) == std::string_view(LINE).size());
    CHECK(appender.recovery().paths(CDRLOG_RECOVERY_FILES).size() == 1);
    CHECK(cdrlog::Reader(directory).next());
    appender.close();
    CHECK(cdrlog::Recovery::run(options_of(directory)).is_nothing());
}

static void the_rewriter_needs_no_directory(const std::string &) {
    CHECK(cdrlog::rewrite(EVENT) == LINE);
    CHECK(code_of([] { cdrlog::rewrite("[]"); }) == CDRLOG_REJECTED);
    CHECK(code_of([] { cdrlog::rewrite(EVENT, 5); }) == CDRLOG_REJECTED);
    CHECK(*cdrlog::version() != '\0');
}

static void counters_have_names(const std::string &directory) {
    Appender appender(options_of(directory));
    appender.producer().send(EVENT);
    appender.sync();
    appender.check_writes();
    appender.wait_for_maintenance();
    CHECK(appender.foreign_files() == 0);
    bool is_found = false;
    for (const auto &[name, value] : appender.stats()) is_found |= name == "events_journaled" && value == 1;
    CHECK(is_found);
}

int main(int count, char **arguments) {
    const std::string root = count > 1 ? arguments[1] : "";
    if (root.empty()) {
        std::cerr << "usage: cdrlog_test DIRECTORY\n";
        return 2;
    }
    const std::array<std::pair<const char *, void (*)(const std::string &)>, 14> tests = {{
#define TEST(name) {#name, name}
        TEST(bytes_of_every_kind_become_lines),
        TEST(an_error_has_a_code_and_a_sentence),
        TEST(what_was_moved_from_throws_and_what_was_moved_to_works),
        TEST(a_destructor_closes),
        TEST(a_full_queue_is_no_error),
        TEST(acknowledgements_come_by_number_eventfd_and_callback),
        TEST(notices_are_given_to_the_callback),
        TEST(an_empty_function_is_no_callback),
        TEST(an_appender_that_its_callback_destroys_is_closed_after_it),
        TEST(a_path_with_a_nul_and_a_negative_age_are_refused),
        TEST(a_reader_follows_and_goes_on_at_a_position),
        TEST(the_recovery_says_what_a_killed_process_had_sent),
        TEST(the_rewriter_needs_no_directory),
        TEST(counters_have_names),
    }};
    int failures = 0;
    for (const auto &[name, test] : tests) {
        try {
            test(root + "/" + name);
            std::cout << "ok " << name << std::endl;
        } catch (const std::exception &error) {
            failures++;
            std::cout << "FAILED " << name << ": " << error.what() << std::endl;
        }
    }
    return failures == 0 ? 0 : 1;
}
