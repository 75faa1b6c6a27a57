// Every function of the interface: `api TEST DIRECTORY` runs one test in an empty directory.

#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EVENT "{\"event\":\"sessionCreated\",\"timestamp\":1}"
#define LINE "{\"sessionCreated\":{\"timestamp\":1}}\n"

// ===== the core =====

static void what_is_sent_is_in_the_file(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    CHECK_OK(send_text(producer, EVENT));
    CHECK_OK(cdrlog_try_send(producer, bytes_of(EVENT), strlen(EVENT)));
    CHECK_OK(cdrlog_flush(appender));
    char *cdr = cdr_of(appender);
    CHECK(strcmp(cdr, LINE LINE) == 0);
    free(cdr);
    CHECK_OK(cdrlog_sync(appender));
    CHECK(stat_of(appender, "bytes_synced") == 2 * strlen(LINE));
    CHECK_OK(cdrlog_write_failure(appender));
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
}

static void a_body_that_is_not_an_event_is_kept_with_its_reason(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    CHECK_OK(send_text(producer, "{\"timestamp\":1}"));
    CHECK_OK(cdrlog_send(producer, NULL, 0));
    CHECK_OK(cdrlog_flush(appender));
    char path[4096];
    CHECK_OK(cdrlog_rejects_path(appender, path, sizeof path, NULL));
    char *rejects = content_of(path);
    CHECK(strstr(rejects, "\"reason\":\"event_missing\"") != NULL);
    CHECK(strstr(rejects, "\"reason\":\"empty\"") != NULL);
    free(rejects);
    CHECK(stat_of(appender, "events_rejected") == 2);
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
}

static void null_is_an_error_that_names_the_argument(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    size_t length = 0;
    uint64_t number = 0;

    CHECK(cdrlog_options_new(NULL) == NULL);
    CHECK(strstr(cdrlog_last_error_message(), "directory is NULL") != NULL);
    CHECK(cdrlog_options_new("") == NULL);
    CHECK(strstr(cdrlog_last_error_message(), "directory is empty") != NULL);
    CHECK(cdrlog_reader_options_new(NULL) == NULL);

    const cdrlog_result wrong = CDRLOG_INVALID_ARGUMENT;
    CHECK_FAILS(cdrlog_open(NULL, NULL), wrong, "appender is NULL");
    cdrlog_appender *none = appender;
    CHECK_FAILS(cdrlog_open(NULL, &none), wrong, "handle is NULL");
    CHECK(none == NULL);
    CHECK_FAILS(cdrlog_producer_new(appender, NULL), wrong, "producer is NULL");
    cdrlog_producer *no_producer = producer;
    CHECK_FAILS(cdrlog_producer_new(NULL, &no_producer), wrong, "handle is NULL");
    CHECK(no_producer == NULL);
    CHECK_FAILS(cdrlog_send(NULL, bytes_of(EVENT), 5), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_send(producer, NULL, 5), wrong, "event is NULL");
    CHECK_FAILS(cdrlog_try_send(NULL, bytes_of(EVENT), 5), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_try_send(producer, NULL, 5), wrong, "event is NULL");
    CHECK_FAILS(cdrlog_send(producer, bytes_of(EVENT), SIZE_MAX), wrong, "the length of event");
    CHECK_FAILS(cdrlog_send_iovec(producer, NULL, 1), wrong, "parts is NULL");
    struct iovec part = {NULL, 5};
    CHECK_FAILS(cdrlog_send_iovec(producer, &part, 1), wrong, "a part is NULL");
    CHECK_FAILS(cdrlog_try_send_iovec(producer, &part, 1), wrong, "a part is NULL");
    CHECK_FAILS(cdrlog_flush(NULL), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_sync(NULL), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_rotate(NULL), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_wait_for_maintenance(NULL), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_write_failure(NULL), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_wake(NULL), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_cdr_path(appender, NULL, 10, &length), wrong, "path is NULL");
    CHECK_FAILS(cdrlog_cdr_path(NULL, NULL, 0, &length), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_foreign_files(appender, NULL), wrong, "files is NULL");
    CHECK_FAILS(cdrlog_stats(appender, NULL, 3, NULL), wrong, "values is NULL");
    CHECK_FAILS(cdrlog_stats(NULL, NULL, 0, NULL), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_stat(appender, NULL, &number), wrong, "name is NULL");
    CHECK_FAILS(cdrlog_stat(appender, "syncs", NULL), wrong, "value is NULL");
    CHECK_FAILS(cdrlog_stat(appender, "sinks", &number), wrong, "no counter \"sinks\"");
    CHECK_FAILS(cdrlog_acks_new(NULL), wrong, "acks is NULL");
    CHECK_FAILS(cdrlog_send_acked(producer, bytes_of(EVENT), 5, CDRLOG_WRITTEN, NULL, NULL), wrong,
                "handle is NULL");
    CHECK_FAILS(cdrlog_send_with_callback(producer, bytes_of(EVENT), 5, CDRLOG_WRITTEN, NULL, NULL),
                wrong, "callback is NULL");
    CHECK(cdrlog_acked(NULL, CDRLOG_SYNCED) == 0);
    CHECK_FAILS(cdrlog_acks_failure(NULL, CDRLOG_SYNCED), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_acks_wait(NULL, CDRLOG_SYNCED, 1, 1), wrong, "handle is NULL");
    CHECK_FAILS(cdrlog_recovery_of(appender, NULL), wrong, "recovery is NULL");
    CHECK_FAILS(cdrlog_close_with_report(appender, true, NULL), wrong, "report is NULL");
    CHECK_FAILS(cdrlog_reader_next(NULL, NULL, NULL), wrong, "NULL");
    CHECK_FAILS(cdrlog_rewrite(NULL, 0, 100, NULL, 0, NULL, NULL, NULL), wrong, "line_bytes is NULL");
    CHECK_FAILS(cdrlog_rewrite(NULL, 1, 100, NULL, 0, &length, NULL, NULL), wrong, "event is NULL");
    CHECK_FAILS(cdrlog_options_set_utc(NULL, true), wrong, "handle is NULL");

    // To free nothing is no mistake.
    CHECK_OK(cdrlog_options_free(NULL));
    CHECK_OK(cdrlog_producer_free(NULL));
    CHECK_OK(cdrlog_close(NULL));
    CHECK_OK(cdrlog_acks_free(NULL));
    CHECK_OK(cdrlog_recovery_free(NULL));
    CHECK_OK(cdrlog_close_report_free(NULL));
    CHECK_OK(cdrlog_reader_options_free(NULL));
    CHECK_OK(cdrlog_reader_free(NULL));

    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
}

static void a_wrong_or_freed_handle_is_an_error(const char *directory) {
    cdrlog_options *options = test_options(directory);
    cdrlog_appender *appender = NULL;
    CHECK_OK(cdrlog_open(options, &appender));
    cdrlog_producer *producer = producer_of(appender);
    const cdrlog_result wrong = CDRLOG_INVALID_HANDLE;

    CHECK_FAILS(cdrlog_send((cdrlog_producer *)(void *)appender, bytes_of(EVENT), 5), wrong,
                "another type");
    CHECK_FAILS(cdrlog_flush((cdrlog_appender *)(void *)producer), wrong, "another type");
    CHECK_FAILS(cdrlog_close((cdrlog_appender *)(void *)options), wrong, "another type");
    CHECK_FAILS(cdrlog_producer_free((cdrlog_producer *)(void *)options), wrong, "another type");
    CHECK_FAILS(cdrlog_flush((cdrlog_appender *)(void *)((char *)appender + 1)), wrong, "");

    CHECK_OK(cdrlog_options_free(options));
    CHECK_FAILS(cdrlog_options_free(options), wrong, "freed");
    CHECK_FAILS(cdrlog_options_set_utc(options, true), wrong, "freed");
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_FAILS(cdrlog_producer_free(producer), wrong, "freed");
    CHECK_FAILS(send_text(producer, EVENT), wrong, "freed");
    CHECK_OK(cdrlog_close(appender));
    CHECK_FAILS(cdrlog_close(appender), wrong, "freed");
    CHECK_FAILS(cdrlog_flush(appender), wrong, "freed");
    CHECK_FAILS(cdrlog_producer_new(appender, &producer), wrong, "freed");
}

static void a_producer_outlives_its_appender_and_sends_nothing(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    cdrlog_acks *acks = NULL;
    CHECK_OK(cdrlog_acks_new(&acks));
    CHECK_OK(send_text(producer, EVENT));
    CHECK_OK(cdrlog_close(appender));
    struct iovec part = {(void *)"{}", 2};
    uint64_t number = 77;
    const cdrlog_result closed = CDRLOG_CLOSED;
    CHECK_FAILS(send_text(producer, EVENT), closed, "the appender is closed");
    CHECK_FAILS(cdrlog_try_send(producer, bytes_of(EVENT), 5), closed, "closed");
    CHECK_FAILS(cdrlog_send_iovec(producer, &part, 1), closed, "closed");
    CHECK_FAILS(cdrlog_try_send_iovec(producer, &part, 1), closed, "closed");
    CHECK_FAILS(cdrlog_send_acked(producer, bytes_of(EVENT), 5, CDRLOG_SYNCED, acks, &number),
                closed, "closed");
    CHECK_FAILS(
        cdrlog_try_send_acked(producer, bytes_of(EVENT), 5, CDRLOG_SYNCED, acks, true, &number),
        closed, "closed");
    CHECK(number == 77);
    CHECK(cdrlog_acked(acks, CDRLOG_SYNCED) == 0);
    CHECK_OK(cdrlog_wake(producer));
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_acks_free(acks));
}

static void a_second_open_is_locked_and_says_by_whom(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_options *options = test_options(directory);
    cdrlog_appender *second = appender;
    CHECK_FAILS(cdrlog_open(options, &second), CDRLOG_LOCKED, directory);
    CHECK(second == NULL);
    CHECK_OK(cdrlog_close(appender));
    CHECK_OK(cdrlog_open(options, &second));
    CHECK_OK(cdrlog_options_free(options));
    CHECK_OK(cdrlog_close(second));
}

static void an_open_that_the_system_refuses_has_its_errno(const char *directory) {
    char path[4096];
    snprintf(path, sizeof path, "%s/file", directory);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fclose(file);
    strcat(path, "/cdr");
    cdrlog_options *options = test_options(path);
    cdrlog_appender *appender = NULL;
    CHECK_FAILS(cdrlog_open(options, &appender), CDRLOG_IO, "file/cdr");
    CHECK(cdrlog_last_error_errno() == ENOTDIR);
    CHECK(appender == NULL);
    CHECK_OK(cdrlog_options_free(options));
}

// ===== options =====

static void each_option_has_a_setter_and_a_range(const char *directory) {
    cdrlog_options *options = test_options(directory);
    cdrlog_appender *appender = NULL;
    const cdrlog_result wrong = CDRLOG_INVALID_ARGUMENT;
#define OUT_OF_RANGE(option, bad, good)                                                           \
    CHECK_OK(cdrlog_options_set_##option(options, bad));                                          \
    CHECK_FAILS(cdrlog_open(options, &appender), wrong, " must be ");                             \
    CHECK_OK(cdrlog_options_set_##option(options, good))
    OUT_OF_RANGE(queue_events_max, 0, 1000);
    OUT_OF_RANGE(queue_bytes_max, 0, 1 << 20);
    OUT_OF_RANGE(event_bytes_max, 0, 64);
    OUT_OF_RANGE(segment_count, 1, 2);
    OUT_OF_RANGE(segment_bytes, 10, 1 << 16);
    OUT_OF_RANGE(flush_interval_ms, 0, 5);
    OUT_OF_RANGE(rotate_bytes, 0, 100);
    OUT_OF_RANGE(retention_age_s, 0, CDRLOG_FOREVER);
    OUT_OF_RANGE(retention_bytes, 0, CDRLOG_UNLIMITED);
#undef OUT_OF_RANGE
    CHECK_OK(cdrlog_options_set_sync_policy(options, CDRLOG_SYNC_INTERVAL, 0));
    CHECK_FAILS(cdrlog_open(options, &appender), wrong, "sync_policy must be");
    CHECK_FAILS(cdrlog_options_set_sync_policy(options, 99, 0), wrong, "policy is none");
    CHECK_FAILS(cdrlog_options_set_compression(options, 99), wrong, "compression is none");
    CHECK_OK(cdrlog_options_set_sync_policy(options, CDRLOG_SYNC_ALWAYS, 0));
    CHECK_OK(cdrlog_options_set_sync_policy(options, CDRLOG_SYNC_NEVER, 0));
    CHECK_OK(cdrlog_options_set_compression(options, CDRLOG_COMPRESSION_GZIP));
    CHECK_OK(cdrlog_options_set_compression(options, CDRLOG_COMPRESSION_ZSTD));
    CHECK_OK(cdrlog_options_set_write_retry_timeout_ms(options, CDRLOG_FOREVER));
    CHECK_OK(cdrlog_options_set_close_timeout_ms(options, 1000));
    CHECK_OK(cdrlog_options_set_utc(options, true));
    CHECK_OK(cdrlog_options_set_rotate_daily(options, false));
    CHECK_OK(cdrlog_options_set_manage_foreign(options, true));
    CHECK_OK(cdrlog_options_set_time_marks(options, true));
    CHECK_OK(cdrlog_options_set_notice_callback(options, NULL, NULL));
    CHECK_OK(cdrlog_options_set_inbox_directory(options, NULL));

    CHECK_OK(cdrlog_open(options, &appender));
    cdrlog_producer *producer = producer_of(appender);
    // No inbox, so no event is protected; a body above event_bytes_max is rejected; four lines of
    // 34 bytes do not fit into a file of 100, and the first file becomes .zst.
    char path[4096];
    size_t length = 1;
    CHECK_OK(cdrlog_inbox_path(appender, path, sizeof path, &length));
    CHECK(length == 0);
    for (int i = 0; i < 4; i++) CHECK_OK(send_text(producer, EVENT));
    char large[100];
    memset(large, ' ', sizeof large);
    CHECK_OK(cdrlog_send(producer, (const uint8_t *)large, sizeof large));
    CHECK_OK(cdrlog_flush(appender));
    // Counted when the rewriter has ended its round, which may be after the flush.
    while (stat_of(appender, "events_unprotected") < 5) usleep(1000);
    CHECK(stat_of(appender, "events_unprotected") == 5);
    CHECK(stat_of(appender, "events_rejected") == 1);
    CHECK(stat_of(appender, "rotations") >= 1);
    CHECK_OK(cdrlog_wait_for_maintenance(appender));
    CHECK(stat_of(appender, "files_compressed") >= 1);
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
    CHECK_OK(cdrlog_options_free(options));
}

static void a_full_queue_is_full_for_try_send_and_counted(const char *directory) {
    cdrlog_options *options = test_options(directory);
    CHECK_OK(cdrlog_options_set_queue_events_max(options, 1));
    cdrlog_appender *appender = open_with(options);
    cdrlog_producer *producer = producer_of(appender);
    // The rewriter takes events out meanwhile, and cannot always be faster.
    cdrlog_result result;
    do {
        result = cdrlog_try_send(producer, bytes_of(EVENT), strlen(EVENT));
    } while (result == CDRLOG_OK);
    CHECK(result == CDRLOG_FULL);
    CHECK(strcmp(cdrlog_last_error_message(), "the queue is full") == 0);
    CHECK(cdrlog_last_error_errno() == 0);
    CHECK(stat_of(appender, "queue_full") >= 1);
    CHECK_OK(send_text(producer, EVENT));
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
}

// ===== more ways to send =====

static void the_parts_of_an_iovec_are_one_event(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    char first[] = "{\"event\":\"session", second[] = "Created\",\"timestamp\"", third[] = ":1}";
    struct iovec parts[] = {{first, strlen(first)}, {NULL, 0}, {second, strlen(second)},
                            {third, strlen(third)}};
    CHECK_OK(cdrlog_send_iovec(producer, parts, 4));
    CHECK_OK(cdrlog_try_send_iovec(producer, parts, 4));
    CHECK_OK(cdrlog_send_iovec(producer, NULL, 0));
    CHECK_OK(cdrlog_flush(appender));
    char *cdr = cdr_of(appender);
    CHECK(strcmp(cdr, LINE LINE) == 0);
    free(cdr);
    CHECK(stat_of(appender, "events_rejected") == 1);
#ifndef __SANITIZE_ADDRESS__ // It prints a warning when an allocation is refused.
    struct iovec huge[] = {{first, SIZE_MAX / 2}, {first, SIZE_MAX / 2}};
    CHECK(cdrlog_send_iovec(producer, huge, 2) == CDRLOG_INVALID_ARGUMENT);
#endif
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
}

static void acknowledgements_are_counted_for_each_level(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    cdrlog_acks *acks = NULL;
    CHECK_OK(cdrlog_acks_new(&acks));
    int fd = -1;
    CHECK_OK(cdrlog_acks_eventfd(acks, &fd));
    uint64_t signalled = 0;
    CHECK(read(fd, &signalled, sizeof signalled) == sizeof signalled);
    CHECK(read(fd, &signalled, sizeof signalled) == -1 && errno == EAGAIN);

    const uint8_t *event = bytes_of(EVENT);
    uint64_t number = 0;
    for (cdrlog_durability level = CDRLOG_JOURNALED; level <= CDRLOG_SYNCED; level++) {
        CHECK(cdrlog_acked(acks, level) == 0);
        CHECK_FAILS(cdrlog_acks_wait(acks, level, 1, 1), CDRLOG_TIMED_OUT, "not acknowledged");
        CHECK_OK(cdrlog_send_acked(producer, event, strlen(EVENT), level, acks, &number));
        CHECK(number == 1);
        CHECK_OK(cdrlog_try_send_acked(producer, event, strlen(EVENT), level, acks, true, &number));
        CHECK(number == 2);
        CHECK_OK(cdrlog_try_send_acked(producer, event, strlen(EVENT), level, acks, false, NULL));
        CHECK_OK(cdrlog_wake(producer));
        CHECK_OK(cdrlog_send_acked(producer, bytes_of("{}"), 2, level, acks, &number));
        CHECK(number == 4);
        CHECK_OK(cdrlog_acks_wait(acks, level, 4, CDRLOG_FOREVER));
        CHECK(cdrlog_acked(acks, level) == 4);
        CHECK(cdrlog_acks_rejected(acks, level) == 1);
        CHECK_OK(cdrlog_acks_failure(acks, level));
    }
    CHECK(stat_of(appender, "syncs") >= 1);
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    CHECK(poll(&waiting, 1, 0) == 1);
    int same = -1;
    CHECK_OK(cdrlog_acks_eventfd(acks, &same));
    CHECK(same == fd);

    CHECK_FAILS(cdrlog_send_acked(producer, event, 5, 3, acks, &number), CDRLOG_INVALID_ARGUMENT,
                "level is none");
    CHECK(cdrlog_acked(acks, 3) == 0);
    // The count may go before its events have an outcome.
    CHECK_OK(cdrlog_send_acked(producer, event, strlen(EVENT), CDRLOG_SYNCED, acks, NULL));
    CHECK_OK(cdrlog_acks_free(acks));
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
}

static void an_eventfd_wakes_an_event_loop(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    cdrlog_acks *acks = NULL;
    int fd = -1;
    CHECK_OK(cdrlog_acks_new(&acks));
    CHECK_OK(cdrlog_acks_eventfd(acks, &fd));
    uint64_t last = 0;
    for (int i = 0; i < 100; i++) {
        CHECK_OK(cdrlog_try_send_acked(producer, bytes_of(EVENT), strlen(EVENT), CDRLOG_WRITTEN,
                                       acks, false, &last));
    }
    CHECK_OK(cdrlog_wake(producer));
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    while (cdrlog_acked(acks, CDRLOG_WRITTEN) < last) {
        CHECK(poll(&waiting, 1, 60000) == 1);
        uint64_t signalled;
        CHECK(read(fd, &signalled, sizeof signalled) == sizeof signalled);
    }
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
    CHECK_OK(cdrlog_acks_free(acks));
}

struct answers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    cdrlog_appender *appender;
    int lines, rejected, failed;
    uint64_t end;
};

static void note_answer(void *context, cdrlog_result result, const char *file, uint64_t offset,
                        uint64_t line_bytes) {
    struct answers *answers = context;
    pthread_mutex_lock(&answers->lock);
    if (result == CDRLOG_OK) {
        CHECK(strstr(file, "/CDR.") != NULL);
        CHECK(line_bytes == strlen(LINE));
        CHECK(offset == answers->end);
        answers->end += line_bytes;
        answers->lines++;
    } else {
        CHECK(file == NULL && offset == 0 && line_bytes == 0);
        const char *message = cdrlog_last_error_message();
        if (result == CDRLOG_REJECTED) {
            CHECK(strstr(message, "has no member \"event\"") != NULL);
            answers->rejected++;
        } else {
            CHECK(result == CDRLOG_CLOSED);
            answers->failed++;
        }
    }
    // Nothing here may wait for the thread that this runs on.
    CHECK(cdrlog_flush(answers->appender) == CDRLOG_WOULD_DEADLOCK);
    CHECK(cdrlog_sync(answers->appender) == CDRLOG_WOULD_DEADLOCK);
    CHECK(cdrlog_rotate(answers->appender) == CDRLOG_WOULD_DEADLOCK);
    CHECK(cdrlog_wait_for_maintenance(answers->appender) == CDRLOG_WOULD_DEADLOCK);
    CHECK(cdrlog_close(answers->appender) == CDRLOG_WOULD_DEADLOCK);
    cdrlog_close_report *report = NULL;
    CHECK(cdrlog_close_with_report(answers->appender, true, &report) == CDRLOG_WOULD_DEADLOCK);
    CHECK(report == NULL);
    pthread_cond_signal(&answers->changed);
    pthread_mutex_unlock(&answers->lock);
}

static void a_callback_gets_the_place_of_its_line_or_the_reason(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    struct answers answers = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER,
                              .appender = appender};
    for (int i = 0; i < 10; i++) {
        CHECK_OK(cdrlog_send_with_callback(producer, bytes_of(EVENT), strlen(EVENT),
                                           CDRLOG_WRITTEN, note_answer, &answers));
    }
    CHECK_OK(cdrlog_try_send_with_callback(producer, bytes_of("{}"), 2, CDRLOG_WRITTEN, note_answer,
                                           &answers));
    pthread_mutex_lock(&answers.lock);
    while (answers.lines + answers.rejected < 11) {
        pthread_cond_wait(&answers.changed, &answers.lock);
    }
    CHECK(answers.lines == 10 && answers.rejected == 1 && answers.failed == 0);
    pthread_mutex_unlock(&answers.lock);
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
}

// ===== what the appender tells =====

static void a_rotation_starts_a_new_file(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    char before[4096], after[4096];
    size_t length = 0;
    CHECK_OK(send_text(producer, EVENT));
    CHECK_OK(cdrlog_cdr_path(appender, before, sizeof before, &length));
    CHECK(length == strlen(before));
    CHECK_FAILS(cdrlog_cdr_path(appender, after, length, NULL), CDRLOG_BUFFER_TOO_SMALL, "too small");
    length = 0;
    CHECK_FAILS(cdrlog_cdr_path(appender, NULL, 0, &length), CDRLOG_BUFFER_TOO_SMALL, "too small");
    CHECK(length == strlen(before));
    CHECK_OK(cdrlog_rotate(appender));
    CHECK_OK(cdrlog_cdr_path(appender, after, length + 100, NULL));
    CHECK(strcmp(before, after) != 0);
    char *sealed = content_of(before);
    CHECK(strcmp(sealed, LINE) == 0);
    free(sealed);
    CHECK_OK(cdrlog_inbox_path(appender, after, sizeof after, NULL));
    CHECK(strstr(after, ".inbox") != NULL);
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
}

static void counters_have_names_and_a_snapshot(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    CHECK_OK(send_text(producer, EVENT));
    CHECK_OK(cdrlog_flush(appender));
    size_t count = cdrlog_stats_count(), found = 0, stored = 0;
    uint64_t *values = calloc(count + 1, sizeof *values);
    CHECK(values != NULL);
    CHECK_OK(cdrlog_stats(appender, values, count + 1, &stored));
    CHECK(stored == count);
    for (size_t i = 0; i < count; i++) {
        const char *name = cdrlog_stats_name(i);
        CHECK(name != NULL && name == cdrlog_stats_name(i));
        if (strcmp(name, "events_journaled") == 0) {
            CHECK(values[i] == 1);
            found++;
        }
    }
    CHECK(found == 1);
    CHECK(cdrlog_stats_name(count) == NULL);
    memset(values, 0xff, count * sizeof *values);
    CHECK(cdrlog_stats(appender, values, 1, &stored) == CDRLOG_BUFFER_TOO_SMALL);
    CHECK(stored == count && values[0] != UINT64_MAX && values[1] == UINT64_MAX);
    free(values);
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
}

struct notices {
    int foreign_files, changed, others;
};

static void note_notice(void *context, cdrlog_notice notice, const char *message) {
    struct notices *notices = context;
    if (notice == CDRLOG_NOTICE_FOREIGN_FILES) {
        CHECK(strstr(message, "holds 1 CDR or rejects file") != NULL);
        notices->foreign_files++;
    } else if (notice == CDRLOG_NOTICE_CHANGED_BY_OTHERS) {
        CHECK(strstr(message, "was changed by another program") != NULL);
        notices->changed++;
    } else {
        notices->others++;
    }
}

static void an_operator_learns_of_foreign_files_and_of_changes(const char *directory) {
    char path[4096];
    snprintf(path, sizeof path, "%s/CDR.2020-01-01_00-00-00.log", directory);
    FILE *foreign = fopen(path, "w");
    CHECK(foreign != NULL && fputs("{}\n", foreign) >= 0 && fclose(foreign) == 0);
    struct notices notices = {0};
    cdrlog_options *options = test_options(directory);
    CHECK_OK(cdrlog_options_set_notice_callback(options, note_notice, &notices));
    cdrlog_appender *appender = open_with(options);
    size_t files = 0;
    CHECK_OK(cdrlog_foreign_files(appender, &files));
    CHECK(files == 1 && notices.foreign_files == 1);
    cdrlog_producer *producer = producer_of(appender);
    CHECK_OK(send_text(producer, EVENT));
    CHECK_OK(cdrlog_flush(appender));
    CHECK_OK(cdrlog_cdr_path(appender, path, sizeof path, NULL));
    CHECK(truncate(path, 0) == 0);
    CHECK_OK(send_text(producer, EVENT));
    CHECK_OK(cdrlog_flush(appender));
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
    CHECK(notices.changed == 1 && notices.others == 0);
}

// ===== the end of a process =====

// The exit code of a child, or 128 and its signal.
static int end_of(pid_t child) {
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void what_was_sent_is_there_after_a_kill(const char *directory) {
    pid_t child = fork();
    if (child == 0) {
        cdrlog_appender *appender = open_directory(directory);
        cdrlog_producer *producer = producer_of(appender);
        for (int i = 0; i < 999; i++) CHECK_OK(send_text(producer, EVENT));
        CHECK_OK(send_text(producer, "{\"event\":\"last\",\"n\":1000}"));
        kill(getpid(), SIGKILL);
        _Exit(1);
    }
    CHECK(end_of(child) == 128 + SIGKILL);

    cdrlog_options *options = test_options(directory);
    cdrlog_recovery *planned = NULL, *done = NULL, *again = NULL;
    CHECK_OK(cdrlog_plan_recovery(options, &planned));
    CHECK(!cdrlog_recovery_is_nothing(planned));
    CHECK(cdrlog_recovery_value(planned, CDRLOG_RECOVERY_POWER_LOSS) == 0);
    CHECK(cdrlog_recovery_value(planned, CDRLOG_RECOVERY_TORN_BYTES) == 0);
    CHECK(cdrlog_recovery_value(planned, CDRLOG_RECOVERY_REJECTS_BYTES) == 0);
    CHECK(cdrlog_recovery_value(planned, 99) == 0);
    CHECK_OK(cdrlog_recover(options, &done));
    const uint64_t bytes = cdrlog_recovery_value(done, CDRLOG_RECOVERY_LINES_BYTES);
    CHECK(bytes > 0 && bytes == cdrlog_recovery_value(planned, CDRLOG_RECOVERY_LINES_BYTES));
    CHECK(cdrlog_recovery_value(done, CDRLOG_RECOVERY_INBOX_EVENTS) > 0);
    CHECK(cdrlog_recovery_path_count(done, CDRLOG_RECOVERY_FILES) == 1);
    CHECK(strstr(cdrlog_recovery_path(done, CDRLOG_RECOVERY_FILES, 0), "/CDR.") != NULL);
    CHECK(cdrlog_recovery_path(done, CDRLOG_RECOVERY_FILES, 1) == NULL);
    for (cdrlog_recovery_paths paths = CDRLOG_RECOVERY_TORN_FILES;
         paths <= CDRLOG_RECOVERY_UNCLAIMED_INBOXES + 1; paths++) {
        CHECK(cdrlog_recovery_path_count(done, paths) == 0);
    }
    CHECK(strstr(cdrlog_recovery_message(done), "the last process ended without closing") != NULL);

    cdrlog_appender *appender = NULL;
    CHECK_OK(cdrlog_open(options, &appender));
    CHECK_OK(cdrlog_recovery_of(appender, &again));
    CHECK(cdrlog_recovery_is_nothing(again));
    CHECK(strcmp(cdrlog_recovery_message(again), "") == 0);
    CHECK_OK(cdrlog_close(appender));
    CHECK_OK(cdrlog_recovery_free(planned));
    CHECK_OK(cdrlog_recovery_free(done));
    CHECK_OK(cdrlog_recovery_free(again));
    CHECK(!cdrlog_recovery_is_nothing(again) && cdrlog_recovery_message(again) == NULL);
    CHECK_OK(cdrlog_options_free(options));

    // Each of them once and in order.
    cdrlog_reader_options *reading = cdrlog_reader_options_new(directory);
    cdrlog_reader *reader = NULL;
    CHECK_OK(cdrlog_reader_open(reading, &reader));
    CHECK_OK(cdrlog_reader_options_free(reading));
    const uint8_t *line = NULL;
    size_t line_bytes = 0;
    for (int i = 0; i < 1000; i++) {
        CHECK_OK(cdrlog_reader_next(reader, &line, &line_bytes));
        const char *expected = i < 999 ? "{\"sessionCreated\":{\"timestamp\":1}}"
                                       : "{\"last\":{\"n\":1000}}";
        CHECK(line_bytes == strlen(expected) && memcmp(line, expected, line_bytes) == 0);
    }
    CHECK(cdrlog_reader_next(reader, &line, &line_bytes) == CDRLOG_END);
    CHECK_OK(cdrlog_reader_free(reader));
}

static void a_forked_child_is_told_that_it_is_closed(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    cdrlog_acks *acks = NULL;
    CHECK_OK(cdrlog_acks_new(&acks));
    CHECK_OK(cdrlog_send_acked(producer, bytes_of(EVENT), strlen(EVENT), CDRLOG_WRITTEN, acks, NULL));
    CHECK_OK(cdrlog_acks_wait(acks, CDRLOG_WRITTEN, 1, CDRLOG_FOREVER));
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        const cdrlog_result closed = CDRLOG_CLOSED;
        CHECK_FAILS(send_text(producer, EVENT), closed, "closed");
        CHECK_FAILS(cdrlog_try_send(producer, bytes_of(EVENT), 5), closed, "closed");
        CHECK_FAILS(cdrlog_flush(appender), closed, "closed");
        CHECK_FAILS(cdrlog_sync(appender), closed, "closed");
        CHECK_FAILS(cdrlog_rotate(appender), closed, "closed");
        CHECK_FAILS(cdrlog_wait_for_maintenance(appender), closed, "closed");
        CHECK_FAILS(cdrlog_acks_wait(acks, CDRLOG_WRITTEN, 2, CDRLOG_FOREVER), closed, "closed");
        CHECK(cdrlog_acked(acks, CDRLOG_WRITTEN) == 1);
        CHECK_FAILS(cdrlog_close(appender), closed, "closed");
        cdrlog_producer *new_one = NULL;
        CHECK_FAILS(cdrlog_producer_new(appender, &new_one), closed, "closed");
        CHECK_FAILS(cdrlog_stats(appender, NULL, 0, NULL), closed, "closed");
        CHECK_FAILS(cdrlog_cdr_path(appender, NULL, 0, NULL), closed, "closed");
        CHECK_OK(cdrlog_producer_free(producer));
        CHECK_OK(cdrlog_acks_free(acks));
        // A directory of its own it may have.
        char own[4096];
        snprintf(own, sizeof own, "%s/child", directory);
        cdrlog_appender *of_child = open_directory(own);
        cdrlog_producer *in_child = producer_of(of_child);
        CHECK_OK(send_text(in_child, EVENT));
        CHECK_OK(cdrlog_producer_free(in_child));
        CHECK_OK(cdrlog_close(of_child));
#ifdef __SANITIZE_ADDRESS__
        // Memory on the stacks of threads that a child does not have would be a leak.
        _Exit(0);
#endif
        // As a program ends, with the destructors of the library.
        exit(0);
    }
    CHECK(end_of(child) == 0);
    CHECK_OK(send_text(producer, EVENT));
    CHECK_OK(cdrlog_flush(appender));
    char *cdr = cdr_of(appender);
    CHECK(strcmp(cdr, LINE LINE) == 0);
    free(cdr);
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_acks_free(acks));
    CHECK_OK(cdrlog_close(appender));
}

static volatile sig_atomic_t signals_of_main, signals_of_others;
static pthread_t main_thread;

static void note_signal(int signal) {
    (void)signal;
    if (pthread_equal(pthread_self(), main_thread)) signals_of_main++;
    else signals_of_others++;
}

static void signals_go_to_the_threads_of_the_program(const char *directory) {
    main_thread = pthread_self();
    struct sigaction action = {.sa_handler = note_signal};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    struct sigaction pipe_before, pipe_after;
    CHECK(sigaction(SIGPIPE, NULL, &pipe_before) == 0);
    cdrlog_appender *appender = open_directory(directory);
    CHECK(sigaction(SIGPIPE, NULL, &pipe_after) == 0);
    CHECK(pipe_before.sa_handler == pipe_after.sa_handler);
    sigset_t blocked, pending;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0);
    CHECK(sigismember(&blocked, SIGUSR1) == 0);
    // Blocked here, the signal has no other thread to go to, and waits.
    CHECK(sigemptyset(&blocked) == 0 && sigaddset(&blocked, SIGUSR1) == 0);
    CHECK(pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK_OK(cdrlog_flush(appender));
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &blocked, NULL) == 0);
    CHECK(signals_of_main == 1 && signals_of_others == 0);
    CHECK_OK(cdrlog_close(appender));
}

// ===== a disk that takes nothing =====

#define MANY 4000

// Sends more than the journal holds, while no file may grow.
static cdrlog_appender *stuck_appender(const char *directory, cdrlog_producer **producer) {
    cdrlog_options *options = test_options(directory);
    CHECK_OK(cdrlog_options_set_event_bytes_max(options, 1000));
    CHECK_OK(cdrlog_options_set_segment_bytes(options, 4096));
    CHECK_OK(cdrlog_options_set_segment_count(options, 2));
    CHECK_OK(cdrlog_options_set_close_timeout_ms(options, 50));
    cdrlog_appender *appender = open_with(options);
    *producer = producer_of(appender);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    for (int i = 0; i < MANY; i++) CHECK_OK(send_text(*producer, EVENT));
    CHECK_FAILS(cdrlog_flush(appender), CDRLOG_IO, "cannot write ");
    CHECK(cdrlog_last_error_errno() == EFBIG);
    CHECK_FAILS(cdrlog_write_failure(appender), CDRLOG_IO, "cannot write ");
    return appender;
}

static void let_files_grow(void) {
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static int lines_after_reopen(const char *directory) {
    CHECK_OK(cdrlog_close(open_directory(directory)));
    cdrlog_reader_options *reading = cdrlog_reader_options_new(directory);
    cdrlog_reader *reader = NULL;
    CHECK_OK(cdrlog_reader_open(reading, &reader));
    CHECK_OK(cdrlog_reader_options_free(reading));
    const uint8_t *lines = NULL;
    size_t bytes = 0, total = 0;
    while (cdrlog_reader_next_lines(reader, &lines, &bytes) == CDRLOG_OK) total += bytes;
    CHECK_OK(cdrlog_reader_free(reader));
    CHECK(total % strlen(LINE) == 0);
    return (int)(total / strlen(LINE));
}

static void a_close_that_cannot_write_gives_events_back(const char *directory) {
    cdrlog_producer *producer = NULL;
    cdrlog_appender *appender = stuck_appender(directory, &producer);
    cdrlog_close_report *report = NULL;
    CHECK_FAILS(cdrlog_close_with_report(appender, false, &report), CDRLOG_IO, "cannot write ");
    CHECK(report != NULL);
    CHECK(cdrlog_close_report_journal_is_in_place(report));
    size_t given_back = cdrlog_close_report_event_count(report);
    CHECK(given_back > 0 && given_back < MANY);
    for (size_t i = 0; i < given_back; i++) {
        const uint8_t *event = NULL;
        size_t bytes = 0;
        CHECK_OK(cdrlog_close_report_event(report, i, &event, &bytes));
        CHECK(bytes == strlen(EVENT) && memcmp(event, EVENT, bytes) == 0);
    }
    const uint8_t *event = NULL;
    size_t bytes = 0, count = 0;
    CHECK_FAILS(cdrlog_close_report_event(report, given_back, &event, &bytes),
                CDRLOG_INVALID_ARGUMENT, "index");
    uint64_t values[100];
    CHECK_OK(cdrlog_close_report_stats(report, values, 100, &count));
    CHECK(count == cdrlog_stats_count());
    CHECK_OK(cdrlog_close_report_free(report));
    CHECK_FAILS(send_text(producer, EVENT), CDRLOG_CLOSED, "closed");
    CHECK_OK(cdrlog_producer_free(producer));
    let_files_grow();
    CHECK(lines_after_reopen(directory) == MANY - (int)given_back);
}

static void a_close_that_cannot_write_keeps_what_the_inbox_has(const char *directory) {
    cdrlog_producer *producer = NULL;
    cdrlog_appender *appender = stuck_appender(directory, &producer);
    CHECK_FAILS(cdrlog_close(appender), CDRLOG_IO, "cannot write ");
    CHECK_OK(cdrlog_producer_free(producer));
    let_files_grow();
    CHECK(lines_after_reopen(directory) == MANY);
}

// ===== reading =====

static void a_reader_follows_and_goes_on_where_it_stopped(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    CHECK_OK(send_text(producer, "{\"event\":\"a\",\"n\":1}"));
    CHECK_OK(cdrlog_flush(appender));

    cdrlog_reader_options *options = cdrlog_reader_options_new(directory);
    CHECK(options != NULL);
    CHECK_OK(cdrlog_reader_options_set_follow(options, true));
    CHECK_OK(cdrlog_reader_options_set_line_bytes_max(options, 30));
    cdrlog_reader *reader = NULL;
    CHECK_OK(cdrlog_reader_open(options, &reader));
    const uint8_t *line = NULL;
    const char *file = NULL;
    size_t bytes = 0;
    uint64_t offset = 1;
    CHECK(cdrlog_reader_line_position(reader, &file, &offset) == CDRLOG_END);
    CHECK(cdrlog_reader_position(reader, &file, &offset) == CDRLOG_END);
    CHECK_OK(cdrlog_reader_next(reader, &line, &bytes));
    CHECK(bytes == 13 && memcmp(line, "{\"a\":{\"n\":1}}", 13) == 0);
    CHECK_OK(cdrlog_reader_line_position(reader, &file, &offset));
    CHECK(strstr(file, "/CDR.") != NULL && offset == 0);
    CHECK(cdrlog_reader_next(reader, &line, &bytes) == CDRLOG_END);
    CHECK(bytes == 0);

    CHECK_OK(send_text(producer, "{\"event\":\"b\",\"much too long\":\"for the reader\"}"));
    CHECK_OK(send_text(producer, "{\"event\":\"c\"}"));
    cdrlog_result result;
    while ((result = cdrlog_reader_next(reader, &line, &bytes)) == CDRLOG_END) {
        CHECK_OK(cdrlog_reader_wait(reader, 1000));
    }
    CHECK(result == CDRLOG_LINE_TOO_LONG);
    CHECK(strstr(cdrlog_last_error_message(), "longer than 30 bytes") != NULL);
    while ((result = cdrlog_reader_next(reader, &line, &bytes)) == CDRLOG_END) {
        CHECK_OK(cdrlog_reader_wait(reader, 1000));
    }
    CHECK(result == CDRLOG_OK && bytes == 8 && memcmp(line, "{\"c\":{}}", 8) == 0);
    char saved[4096];
    CHECK_OK(cdrlog_reader_position(reader, &file, &offset));
    snprintf(saved, sizeof saved, "%s", file);
    CHECK_OK(cdrlog_reader_free(reader));

    CHECK_OK(send_text(producer, "{\"event\":\"d\"}"));
    CHECK_OK(cdrlog_flush(appender));
    CHECK_OK(cdrlog_reader_options_set_begin(options, saved, offset));
    CHECK_OK(cdrlog_reader_options_set_follow(options, false));
    CHECK_OK(cdrlog_reader_open(options, &reader));
    CHECK_OK(cdrlog_reader_next(reader, &line, &bytes));
    CHECK(bytes == 8 && memcmp(line, "{\"d\":{}}", 8) == 0);
    CHECK_OK(cdrlog_reader_skip_file(reader));
    CHECK(cdrlog_reader_next(reader, &line, &bytes) == CDRLOG_END);
    CHECK_OK(cdrlog_reader_free(reader));

    CHECK_OK(cdrlog_reader_options_set_begin(options, saved, 1 << 20));
    CHECK_FAILS(cdrlog_reader_open(options, &reader), CDRLOG_NO_SUCH_POSITION, "cannot continue");
    CHECK(reader == NULL);
    CHECK_OK(cdrlog_reader_options_set_begin(options, "CDR.2001-01-01_00-00-00.log", 7));
    CHECK_FAILS(cdrlog_reader_open(options, &reader), CDRLOG_POSITION_GONE, "the next file, ");
    CHECK_FAILS(cdrlog_reader_options_set_files(options, 7), CDRLOG_INVALID_ARGUMENT, "files is none");
    CHECK_OK(cdrlog_reader_options_free(options));
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
}

static void a_reader_reads_rejects_too(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    CHECK_OK(send_text(producer, "nonsense"));
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_close(appender));
    cdrlog_reader_options *options = cdrlog_reader_options_new(directory);
    CHECK_OK(cdrlog_reader_options_set_files(options, CDRLOG_FILES_CDR));
    CHECK_OK(cdrlog_reader_options_set_files(options, CDRLOG_FILES_REJECTS));
    cdrlog_reader *reader = NULL;
    CHECK_OK(cdrlog_reader_open(options, &reader));
    CHECK_OK(cdrlog_reader_options_free(options));
    const uint8_t *line = NULL;
    size_t bytes = 0;
    CHECK_OK(cdrlog_reader_next(reader, &line, &bytes));
    CHECK(bytes > 0 && memcmp(line, "{\"reason\":", 10) == 0);
    CHECK_OK(cdrlog_reader_free(reader));
    options = cdrlog_reader_options_new("/nowhere/at/all");
    CHECK_FAILS(cdrlog_reader_open(options, &reader), CDRLOG_IO, "/nowhere/at/all");
    CHECK_OK(cdrlog_reader_options_free(options));
}

// ===== the rewriter =====

static void the_rewriter_needs_nothing_else(const char *directory) {
    (void)directory;
    uint8_t line[100];
    size_t bytes = 7, offset = 7;
    const char *reason = NULL;
    CHECK_OK(cdrlog_rewrite(bytes_of(EVENT), strlen(EVENT), 100, line, sizeof line, &bytes, &reason,
                            &offset));
    CHECK(bytes == strlen(LINE) && memcmp(line, LINE, bytes) == 0);
    CHECK(reason == NULL);
    CHECK_FAILS(cdrlog_rewrite(bytes_of("{\"a\":x}"), 7, 100, line, sizeof line, &bytes, &reason,
                               &offset),
                CDRLOG_REJECTED, "a word other than true");
    CHECK(bytes == 0 && strcmp(reason, "invalid_literal") == 0 && offset == 5);
    CHECK(cdrlog_rewrite(bytes_of(EVENT), strlen(EVENT), 10, line, sizeof line, &bytes, &reason,
                         NULL) == CDRLOG_REJECTED);
    CHECK(strcmp(reason, "too_large") == 0);
    CHECK(cdrlog_rewrite(bytes_of(EVENT), strlen(EVENT), 100, line, strlen(EVENT) - 1, &bytes, NULL,
                         NULL) == CDRLOG_BUFFER_TOO_SMALL);
    memcpy(line, EVENT, strlen(EVENT));
    CHECK_FAILS(cdrlog_rewrite(line, strlen(EVENT), 100, line + 10, 90, &bytes, NULL, NULL),
                CDRLOG_INVALID_ARGUMENT, "overlap");
    CHECK(strcmp(cdrlog_version(), CDRLOG_TEST_VERSION) == 0);
}

#define TEST(name) {#name, name}

static const struct {
    const char *name;
    void (*run)(const char *directory);
} tests[] = {
    TEST(what_is_sent_is_in_the_file),
    TEST(a_body_that_is_not_an_event_is_kept_with_its_reason),
    TEST(null_is_an_error_that_names_the_argument),
    TEST(a_wrong_or_freed_handle_is_an_error),
    TEST(a_producer_outlives_its_appender_and_sends_nothing),
    TEST(a_second_open_is_locked_and_says_by_whom),
    TEST(an_open_that_the_system_refuses_has_its_errno),
    TEST(each_option_has_a_setter_and_a_range),
    TEST(a_full_queue_is_full_for_try_send_and_counted),
    TEST(the_parts_of_an_iovec_are_one_event),
    TEST(acknowledgements_are_counted_for_each_level),
    TEST(an_eventfd_wakes_an_event_loop),
    TEST(a_callback_gets_the_place_of_its_line_or_the_reason),
    TEST(a_rotation_starts_a_new_file),
    TEST(counters_have_names_and_a_snapshot),
    TEST(an_operator_learns_of_foreign_files_and_of_changes),
    TEST(what_was_sent_is_there_after_a_kill),
    TEST(a_forked_child_is_told_that_it_is_closed),
    TEST(signals_go_to_the_threads_of_the_program),
    TEST(a_close_that_cannot_write_gives_events_back),
    TEST(a_close_that_cannot_write_keeps_what_the_inbox_has),
    TEST(a_reader_follows_and_goes_on_where_it_stopped),
    TEST(a_reader_reads_rejects_too),
    TEST(the_rewriter_needs_nothing_else),
};

int main(int count, char **arguments) {
    const size_t all = sizeof tests / sizeof tests[0];
    if (count == 1) {
        for (size_t i = 0; i < all; i++) puts(tests[i].name);
        return 0;
    }
    for (size_t i = 0; i < all && count == 3; i++) {
        if (strcmp(arguments[1], tests[i].name) == 0) {
            tests[i].run(arguments[2]);
            return 0;
        }
    }
    fprintf(stderr, "usage: api TEST DIRECTORY\n");
    return 2;
}
