// cdrlog for C++17 and newer: the C interface with owners, exceptions and views of bytes.
//
// Link with -pthread -lcdrlog. What each call does, how long it may take and what it costs is in cdrlog.h; here is what
// C++ adds:
//
// Errors. What fails throws cdrlog::Error, whose code() says what the caller can do. A queue that is full is no
// error: try_send returns false.
//
// Owners. All classes can be moved and not copied, and free in their destructors what they own. A destructor
// cannot throw: call Appender::close to learn whether everything was written. An appender that a callback destroys
// is closed by another thread, after the callback. An owner that was moved from may be assigned to or destroyed;
// any other call throws Error.
//
// Threads. As in cdrlog.h. To move from, assign to or destroy an object while another thread uses it is
// undefined behaviour.
//
// Callbacks. A function that is called by the library must not throw: the program would be terminated.

#ifndef CDRLOG_HPP
#define CDRLOG_HPP

#include <cdrlog.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if __cplusplus >= 202002L
#include <span>
#endif

namespace cdrlog {

// Why a call failed. what() is a sentence that names the file, argument or option concerned.
class Error : public std::runtime_error {
public:
    Error(cdrlog_result code, const char *message, int system_error)
        : std::runtime_error(message), code_(code), system_error_(system_error) {}

    // What the caller can do: one of the CDRLOG constants. Never CDRLOG_OK.
    cdrlog_result code() const noexcept { return code_; }

    // The errno, such as ENOSPC; 0 if the system was not the cause.
    int system_error() const noexcept { return system_error_; }

private:
    cdrlog_result code_;
    int system_error_;
};

namespace detail {

[[noreturn]] inline void fail(cdrlog_result code) {
    throw Error(code, cdrlog_last_error_message(), cdrlog_last_error_errno());
}

inline void check(cdrlog_result code) {
    if (code != CDRLOG_OK) fail(code);
}

// Like check, for calls that may find nothing: false for the code that says so.
inline bool check_unless(cdrlog_result nothing, cdrlog_result code) {
    if (code == nothing) return false;
    check(code);
    return true;
}

template <auto Free> struct Freer {
    template <typename Handle> void operator()(Handle *handle) const noexcept { Free(handle); }
};

template <typename Handle, auto Free> using Owned = std::unique_ptr<Handle, Freer<Free>>;

// Calls a function that stores a handle, and owns what it stored.
template <typename Owner, typename Make> Owner made(Make make) {
    typename Owner::pointer handle = nullptr;
    check(make(&handle));
    return Owner(handle);
}

// Calls a function that stores a path of unknown length.
template <typename Get> std::string path(Get get) {
    std::string path(255, '\0'); // and the NUL after it
    std::size_t bytes = 0;
    // The path may become longer between two calls, when a new file is started.
    while (!check_unless(CDRLOG_BUFFER_TOO_SMALL, get(path.data(), path.size() + 1, &bytes)))
        path.resize(bytes);
    path.resize(bytes);
    return path;
}

// None if it is negative, so that it does not become one without end.
template <typename Time> std::uint64_t count_of(Time time) {
    return time.count() < 0 ? 0 : static_cast<std::uint64_t>(time.count());
}

inline std::uint64_t milliseconds(std::chrono::milliseconds time) { return count_of(time); }

// A path as a string of C, which a NUL in it would end early, at another path.
inline const char *c_path(const std::string &path) {
    if (path.find('\0') != std::string::npos) throw Error(CDRLOG_INVALID_ARGUMENT, "a path has a NUL in it", 0);
    return path.c_str();
}

template <typename T> constexpr bool is_byte = sizeof(T) == 1 && std::is_trivially_copyable_v<T>;

} // namespace detail

// The bytes of an event, which belong to the caller: a std::span of bytes, std::string, std::string_view,
// std::vector of bytes, a string that ends with NUL, or a pointer and a length. Used during the call only.
class Bytes {
public:
    Bytes(const void *data, std::size_t bytes) noexcept : data_(static_cast<const std::uint8_t *>(data)), bytes_(bytes) {}
    Bytes(const char *text) noexcept : Bytes(std::string_view(text)) {}

    // Everything that has bytes in a row, std::span among it.
    template <typename Container, typename Element = std::remove_pointer_t<decltype(std::declval<const Container &>().data())>,
              typename = std::enable_if_t<detail::is_byte<Element>>>
    Bytes(const Container &container) noexcept : Bytes(container.data(), container.size()) {}

    const std::uint8_t *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return bytes_; }

private:
    const std::uint8_t *data_;
    std::size_t bytes_;
};

// A level that an event reaches.
enum class Durability : cdrlog_durability {
    journaled = CDRLOG_JOURNALED, // it outlives the process, but not a power loss
    written = CDRLOG_WRITTEN,     // readers see it; it survives the same
    synced = CDRLOG_SYNCED,       // it survives a power loss too
};

// What became of an event that was sent with a callback.
struct Outcome {
    cdrlog_result code;       // CDRLOG_OK: it has reached the level
    std::string_view file;    // the file of its line; empty without CDRLOG_OK. Valid during the callback
    std::uint64_t offset;     // where its line starts in the file
    std::uint64_t line_bytes; // the length of its line with the line feed
    std::string_view message; // why it did not reach the level; empty after CDRLOG_OK. Valid during the callback
};

// Called from several threads of the library, maybe at the same time. message is a sentence for the log.
using NoticeCallback = std::function<void(cdrlog_notice notice, const char *message)>;
using OutcomeCallback = std::function<void(const Outcome &)>;

// Options of an appender; cdrlog.h has the ranges and defaults.
class Options {
public:
    explicit Options(const char *directory) : handle_(cdrlog_options_new(directory)) {
        if (!handle_) detail::fail(CDRLOG_INVALID_ARGUMENT);
    }
    explicit Options(const std::string &directory) : Options(detail::c_path(directory)) {}

    Options &queue_events_max(std::size_t events) { return set(cdrlog_options_set_queue_events_max, events); }
    Options &queue_bytes_max(std::size_t bytes) { return set(cdrlog_options_set_queue_bytes_max, bytes); }
    Options &event_bytes_max(std::size_t bytes) { return set(cdrlog_options_set_event_bytes_max, bytes); }
    Options &segment_count(std::size_t segments) { return set(cdrlog_options_set_segment_count, segments); }
    Options &segment_bytes(std::size_t bytes) { return set(cdrlog_options_set_segment_bytes, bytes); }
    Options &flush_interval(std::chrono::milliseconds time) {
        return set(cdrlog_options_set_flush_interval_ms, detail::milliseconds(time));
    }
    // Nothing: writes are retried for ever, the default.
    Options &write_retry_timeout(std::optional<std::chrono::milliseconds> time) {
        return set(cdrlog_options_set_write_retry_timeout_ms, time ? detail::milliseconds(*time) : CDRLOG_FOREVER);
    }
    Options &close_timeout(std::chrono::milliseconds time) {
        return set(cdrlog_options_set_close_timeout_ms, detail::milliseconds(time));
    }
    Options &utc(bool utc) { return set(cdrlog_options_set_utc, utc); }
    Options &rotate_daily(bool daily) { return set(cdrlog_options_set_rotate_daily, daily); }
    Options &rotate_bytes(std::uint64_t bytes) { return set(cdrlog_options_set_rotate_bytes, bytes); }
    // Nothing: files are kept.
    Options &retention_age(std::optional<std::chrono::seconds> age) {
        return set(cdrlog_options_set_retention_age_s, age ? detail::count_of(*age) : CDRLOG_FOREVER);
    }
    // Nothing: files are kept.
    Options &retention_bytes(std::optional<std::uint64_t> bytes) {
        return set(cdrlog_options_set_retention_bytes, bytes.value_or(CDRLOG_UNLIMITED));
    }
    Options &manage_foreign(bool manage) { return set(cdrlog_options_set_manage_foreign, manage); }
    Options &time_marks(bool marks) { return set(cdrlog_options_set_time_marks, marks); }
    Options &sync_never() { return set(cdrlog_options_set_sync_policy, CDRLOG_SYNC_NEVER, 0); }
    Options &sync_always() { return set(cdrlog_options_set_sync_policy, CDRLOG_SYNC_ALWAYS, 0); }
    Options &sync_interval(std::chrono::milliseconds time) {
        return set(cdrlog_options_set_sync_policy, CDRLOG_SYNC_INTERVAL, detail::milliseconds(time));
    }
    // One of the CDRLOG_COMPRESSION constants.
    Options &compression(cdrlog_compression compression) { return set(cdrlog_options_set_compression, compression); }
    Options &inbox_directory(const std::string &directory) {
        return set(cdrlog_options_set_inbox_directory, detail::c_path(directory));
    }
    // Events that are accepted and not journaled are lost if the process dies.
    Options &no_inbox() { return set(cdrlog_options_set_inbox_directory, nullptr); }
    // An empty function: nothing is called, the default.
    Options &on_notice(NoticeCallback callback) {
        auto shared = callback ? std::make_shared<NoticeCallback>(std::move(callback)) : nullptr;
        set(cdrlog_options_set_notice_callback, shared ? &Options::notify : nullptr, shared.get());
        callback_ = std::move(shared);
        return *this;
    }

private:
    friend class Appender;
    friend class Recovery;

    template <typename Set, typename... Values> Options &set(Set set, Values... values) {
        detail::check(set(handle_.get(), values...));
        return *this;
    }

    static void notify(void *context, cdrlog_notice notice, const char *message) noexcept {
        (*static_cast<NoticeCallback *>(context))(notice, message);
    }

    detail::Owned<cdrlog_options, cdrlog_options_free> handle_;
    std::shared_ptr<NoticeCallback> callback_;
};

// Counts the events that have reached their level. Producers of several appenders may share one.
class Acks {
public:
    Acks() : handle_(detail::made<Handle>([](auto place) { return cdrlog_acks_new(place); })) {}

    // How many events of this level are acknowledged, without a gap.
    std::uint64_t acked(Durability level) const noexcept {
        return cdrlog_acked(handle_.get(), static_cast<cdrlog_durability>(level));
    }

    // How many of these are not events, and are in the rejects file.
    std::uint64_t rejected(Durability level) const noexcept {
        return cdrlog_acks_rejected(handle_.get(), static_cast<cdrlog_durability>(level));
    }

    // Waits until the event of this number has reached the level; false if the time is over. Throws if it never
    // will.
    [[nodiscard]] bool wait(Durability level, std::uint64_t number, std::chrono::milliseconds timeout) const {
        const auto code = cdrlog_acks_wait(handle_.get(), static_cast<cdrlog_durability>(level), number,
                                           detail::milliseconds(timeout));
        return detail::check_unless(CDRLOG_TIMED_OUT, code);
    }

    // Waits without a limit.
    void wait(Durability level, std::uint64_t number) const {
        detail::check(cdrlog_acks_wait(handle_.get(), static_cast<cdrlog_durability>(level), number, CDRLOG_FOREVER));
    }

    // Throws if an event did not reach this level.
    void check(Durability level) const {
        detail::check(cdrlog_acks_failure(handle_.get(), static_cast<cdrlog_durability>(level)));
    }

    // A descriptor for poll and epoll that is readable after an event was acknowledged. Owned by this object.
    int eventfd() const {
        int fd = -1;
        detail::check(cdrlog_acks_eventfd(handle_.get(), &fd));
        return fd;
    }

private:
    friend class Producer;
    using Handle = detail::Owned<cdrlog_acks, cdrlog_acks_free>;
    Handle handle_;
};

// Sends events to an appender. Each thread should have its own.
class Producer {
public:
    // Sends an event, the body of a webhook; waits while the queue is full. Once it returns, the event outlives
    // the process.
    void send(Bytes event) { detail::check(cdrlog_send(handle_.get(), event.data(), event.size())); }

    // The same without waiting: false if the queue is full, or another thread waits in a send with this producer, and
    // then the event was not taken.
    [[nodiscard]] bool try_send(Bytes event) {
        return detail::check_unless(CDRLOG_FULL, cdrlog_try_send(handle_.get(), event.data(), event.size()));
    }

    // An event in parts, which are joined in this order.
    void send_parts(const iovec *parts, std::size_t part_count) {
        detail::check(cdrlog_send_iovec(handle_.get(), parts, part_count));
    }
    [[nodiscard]] bool try_send_parts(const iovec *parts, std::size_t part_count) {
        return detail::check_unless(CDRLOG_FULL, cdrlog_try_send_iovec(handle_.get(), parts, part_count));
    }
#if __cplusplus >= 202002L
    void send_parts(std::span<const iovec> parts) { send_parts(parts.data(), parts.size()); }
    [[nodiscard]] bool try_send_parts(std::span<const iovec> parts) { return try_send_parts(parts.data(), parts.size()); }
#endif

    // Like send; returns the number of the event among those of this level that acks counts.
    std::uint64_t send_acked(Bytes event, Durability level, Acks &acks) {
        std::uint64_t number = 0;
        detail::check(cdrlog_send_acked(handle_.get(), event.data(), event.size(),
                                        static_cast<cdrlog_durability>(level), acks.handle_.get(), &number));
        return number;
    }

    // Nothing if the queue is full. Without wake, call Producer::wake once after many events.
    [[nodiscard]] std::optional<std::uint64_t> try_send_acked(Bytes event, Durability level, Acks &acks, bool wake = true) {
        std::uint64_t number = 0;
        const auto code = cdrlog_try_send_acked(handle_.get(), event.data(), event.size(),
                                                static_cast<cdrlog_durability>(level), acks.handle_.get(), wake, &number);
        if (!detail::check_unless(CDRLOG_FULL, code)) return std::nullopt;
        return number;
    }

    // Like send, and calls the function once the event has reached the level, or never will: from a thread of the
    // library or from this one. It should hand on the outcome and return.
    void send(Bytes event, Durability level, OutcomeCallback callback) {
        detail::check(with_callback(cdrlog_send_with_callback, event, level, std::move(callback)));
    }

    // False if the queue is full, and then the function is not called.
    [[nodiscard]] bool try_send(Bytes event, Durability level, OutcomeCallback callback) {
        return detail::check_unless(
            CDRLOG_FULL, with_callback(cdrlog_try_send_with_callback, event, level, std::move(callback)));
    }

    // Has what was sent processed now.
    void wake() { detail::check(cdrlog_wake(handle_.get())); }

private:
    friend class Appender;
    using Handle = detail::Owned<cdrlog_producer, cdrlog_producer_free>;

    explicit Producer(Handle handle) : handle_(std::move(handle)) {}

    template <typename Send>
    cdrlog_result with_callback(Send send, Bytes event, Durability level, OutcomeCallback callback) {
        if (!callback) throw Error(CDRLOG_INVALID_ARGUMENT, "callback is an empty function", 0);
        auto context = std::make_unique<OutcomeCallback>(std::move(callback));
        const auto code = send(handle_.get(), event.data(), event.size(), static_cast<cdrlog_durability>(level),
                               &Producer::tell, context.get());
        // The callback is called once, and frees the context, if the event was taken; it may have been called by now.
        if (code == CDRLOG_OK) static_cast<void>(context.release());
        return code;
    }

    static void tell(void *context, cdrlog_result code, const char *file, std::uint64_t offset,
                     std::uint64_t line_bytes) noexcept {
        const std::unique_ptr<OutcomeCallback> callback(static_cast<OutcomeCallback *>(context));
        const bool is_there = code == CDRLOG_OK;
        (*callback)(Outcome{code, is_there ? std::string_view(file) : std::string_view(), offset, line_bytes,
                            is_there ? std::string_view() : std::string_view(cdrlog_last_error_message())});
    }

    Handle handle_;
};

// What an open repaired after a process that did not close, or would repair.
class Recovery {
public:
    // What opening with these options would repair; nothing is changed.
    static Recovery plan(const Options &options) {
        return Recovery([&](auto place) { return cdrlog_plan_recovery(options.handle_.get(), place); });
    }

    // Repairs it, and does nothing else.
    static Recovery run(const Options &options) {
        return Recovery([&](auto place) { return cdrlog_recover(options.handle_.get(), place); });
    }

    bool is_nothing() const noexcept { return cdrlog_recovery_is_nothing(handle_.get()); }

    // One of the CDRLOG_RECOVERY constants for numbers.
    std::uint64_t value(cdrlog_recovery_number number) const noexcept {
        return cdrlog_recovery_value(handle_.get(), number);
    }

    // One of the CDRLOG_RECOVERY constants that end in FILES, OTHERS or INBOXES.
    std::vector<std::string> paths(cdrlog_recovery_paths kind) const {
        std::vector<std::string> paths;
        for (std::size_t index = 0; index < cdrlog_recovery_path_count(handle_.get(), kind); index++)
            paths.emplace_back(cdrlog_recovery_path(handle_.get(), kind, index));
        return paths;
    }

    // All of it as one sentence for the log; empty if there was nothing to repair.
    std::string message() const {
        const char *message = cdrlog_recovery_message(handle_.get());
        if (message == nullptr) detail::fail(CDRLOG_INVALID_HANDLE);
        return message;
    }

private:
    friend class Appender;
    using Handle = detail::Owned<cdrlog_recovery, cdrlog_recovery_free>;

    template <typename Make> explicit Recovery(Make make) : handle_(detail::made<Handle>(make)) {}

    Handle handle_;
};

// A counter with its name, such as "events_journaled". The name is never freed.
struct Counter {
    std::string_view name;
    std::uint64_t value;
};

// An open directory. Producers may outlive it; their sends throw then.
class Appender {
public:
    explicit Appender(const Options &options)
        : handle_(detail::made<Handle>([&](auto place) { return cdrlog_open(options.handle_.get(), place); })),
          callback_(options.callback_) {}
    explicit Appender(const std::string &directory) : Appender(Options(directory)) {}

    Appender(Appender &&) noexcept = default;
    // The appender that was here is closed; first, because its notices need the callback.
    Appender &operator=(Appender &&other) noexcept {
        if (this == &other) return *this;
        end();
        handle_ = std::move(other.handle_);
        callback_ = std::move(other.callback_);
        return *this;
    }
    Appender(const Appender &) = delete;
    Appender &operator=(const Appender &) = delete;
    ~Appender() { end(); }

    Producer producer() const {
        return Producer(detail::made<Producer::Handle>([&](auto place) { return cdrlog_producer_new(handle_.get(), place); }));
    }

    // Waits until everything sent before is written: readers see it.
    void flush() const { detail::check(cdrlog_flush(handle_.get())); }
    // Waits until everything sent before is synced: it survives a power loss.
    void sync() const { detail::check(cdrlog_sync(handle_.get())); }
    // Starts new files after everything sent before.
    void rotate() const { detail::check(cdrlog_rotate(handle_.get())); }
    // Waits until sealed files are listed, compressed, and the oldest removed. It may take minutes.
    void wait_for_maintenance() const { detail::check(cdrlog_wait_for_maintenance(handle_.get())); }
    // Throws if writes fail now and are being retried.
    void check_writes() const { detail::check(cdrlog_write_failure(handle_.get())); }

    std::string cdr_path() const { return path(cdrlog_cdr_path); }
    std::string rejects_path() const { return path(cdrlog_rejects_path); }
    // Empty if there is no inbox.
    std::string inbox_path() const { return path(cdrlog_inbox_path); }

    // The number of CDR and rejects files that cdrlog did not create in the directory.
    std::size_t foreign_files() const {
        std::size_t files = 0;
        detail::check(cdrlog_foreign_files(handle_.get(), &files));
        return files;
    }

    // All counters since the open.
    std::vector<Counter> stats() const {
        std::vector<std::uint64_t> values(cdrlog_stats_count());
        detail::check(cdrlog_stats(handle_.get(), values.data(), values.size(), nullptr));
        std::vector<Counter> counters;
        counters.reserve(values.size());
        for (std::size_t index = 0; index < values.size(); index++)
            counters.push_back({cdrlog_stats_name(index), values[index]});
        return counters;
    }

    // One counter.
    std::uint64_t stat(const char *name) const {
        std::uint64_t value = 0;
        detail::check(cdrlog_stat(handle_.get(), name, &value));
        return value;
    }

    // What the open repaired.
    Recovery recovery() const {
        return Recovery([&](auto place) { return cdrlog_recovery_of(handle_.get(), place); });
    }

    // Writes and syncs everything that was accepted, and ends the threads. Throws if something could not be
    // written; it is in the journal and the inbox then, and the next open writes it. The appender is closed all the
    // same, unless this is called in a callback (CDRLOG_WOULD_DEADLOCK); to close it again does nothing. The
    // destructor does the same without saying so.
    void close() {
        const auto code = cdrlog_close(handle_.get());
        if (code != CDRLOG_WOULD_DEADLOCK) {
            static_cast<void>(handle_.release());
            callback_.reset(); // which may own what owns this
        }
        detail::check(code);
    }

private:
    using Handle = detail::Owned<cdrlog_appender, cdrlog_close>;

    // Closes what is here. In a callback, which the close would wait for, another thread does it.
    void end() noexcept {
        auto *const handle = handle_.release();
        if (cdrlog_close(handle) != CDRLOG_WOULD_DEADLOCK) return;
        try {
            std::thread([handle, callback = callback_] { cdrlog_close(handle); }).detach();
        } catch (const std::system_error &) {
            // There is no thread for it: it stays open, and so what its notices need.
            static_cast<void>(new (std::nothrow) auto(callback_));
        }
    }

    template <typename Get> std::string path(Get get) const {
        return detail::path([&](char *path, std::size_t capacity_bytes, std::size_t *bytes) {
            return get(handle_.get(), path, capacity_bytes, bytes);
        });
    }

    Handle handle_;
    std::shared_ptr<NoticeCallback> callback_;
};

// A place in the CDR: save it, and start the next reader there.
struct Position {
    std::string file;
    std::uint64_t offset;
};

// Options of a reader; cdrlog.h has the defaults.
class ReaderOptions {
public:
    explicit ReaderOptions(const std::string &directory) : handle_(cdrlog_reader_options_new(detail::c_path(directory))) {
        if (!handle_) detail::fail(CDRLOG_INVALID_ARGUMENT);
    }

    // One of the CDRLOG_FILES constants.
    ReaderOptions &files(cdrlog_files files) { return set(cdrlog_reader_options_set_files, files); }
    ReaderOptions &follow(bool follow) { return set(cdrlog_reader_options_set_follow, follow); }
    ReaderOptions &line_bytes_max(std::size_t bytes) { return set(cdrlog_reader_options_set_line_bytes_max, bytes); }
    ReaderOptions &begin(const Position &position) {
        return set(cdrlog_reader_options_set_begin, detail::c_path(position.file), position.offset);
    }

private:
    friend class Reader;

    template <typename Set, typename... Values> ReaderOptions &set(Set set, Values... values) {
        detail::check(set(handle_.get(), values...));
        return *this;
    }

    detail::Owned<cdrlog_reader_options, cdrlog_reader_options_free> handle_;
};

// Reads the lines of a CDR directory, oldest first, each once, compressed or not.
class Reader {
public:
    explicit Reader(const ReaderOptions &options)
        : handle_(detail::made<Handle>([&](auto place) { return cdrlog_reader_open(options.handle_.get(), place); })) {}
    explicit Reader(const std::string &directory) : Reader(ReaderOptions(directory)) {}

    // The next line without its line feed; nothing at the end, or while there is none yet. The view is valid until
    // the next call with this reader.
    std::optional<std::string_view> next() { return view(cdrlog_reader_next); }
    // The next lines with their line feeds, as many as are in memory.
    std::optional<std::string_view> next_lines() { return view(cdrlog_reader_next_lines); }

    // Where the line starts that was returned last.
    std::optional<Position> line_position() { return position(cdrlog_reader_line_position); }
    // Where the next line starts.
    std::optional<Position> position() { return position(cdrlog_reader_position); }

    // Waits until there may be a line to read, or for this time.
    void wait(std::chrono::milliseconds timeout) {
        detail::check(cdrlog_reader_wait(handle_.get(), detail::milliseconds(timeout)));
    }
    void skip_file() { detail::check(cdrlog_reader_skip_file(handle_.get())); }

private:
    using Handle = detail::Owned<cdrlog_reader, cdrlog_reader_free>;

    template <typename Next> std::optional<std::string_view> view(Next next) {
        const std::uint8_t *start = nullptr;
        std::size_t bytes = 0;
        if (!detail::check_unless(CDRLOG_END, next(handle_.get(), &start, &bytes))) return std::nullopt;
        return std::string_view(reinterpret_cast<const char *>(start), bytes);
    }

    template <typename Get> std::optional<Position> position(Get get) {
        const char *file = nullptr;
        std::uint64_t offset = 0;
        if (!detail::check_unless(CDRLOG_END, get(handle_.get(), &file, &offset))) return std::nullopt;
        return Position{file, offset};
    }

    Handle handle_;
};

// Rewrites a body as a CDR line with its line feed, without files and threads. Throws Error with CDRLOG_REJECTED,
// whose message has the reason, if the body is not an event.
inline std::string rewrite(Bytes event, std::size_t event_bytes_max = std::size_t{1} << 20) {
    std::string line(event.size(), '\0');
    std::size_t line_bytes = 0;
    detail::check(cdrlog_rewrite(event.data(), event.size(), event_bytes_max,
                                 reinterpret_cast<std::uint8_t *>(line.data()), line.size(), &line_bytes, nullptr,
                                 nullptr));
    line.resize(line_bytes);
    return line;
}

// The version of the library that is loaded.
inline const char *version() noexcept { return cdrlog_version(); }

} // namespace cdrlog

#endif // CDRLOG_HPP
