// The core: open, send, flush, close, and what is no call of the core.

#define _GNU_SOURCE
#include "check.h"

#include <errno.h>

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

const struct test core_tests[] = {
    TEST(what_is_sent_is_in_the_file),
    TEST(a_body_that_is_not_an_event_is_kept_with_its_reason),
    TEST(null_is_an_error_that_names_the_argument),
    TEST(a_wrong_or_freed_handle_is_an_error),
    TEST(a_producer_outlives_its_appender_and_sends_nothing),
    TEST(a_second_open_is_locked_and_says_by_whom),
    TEST(an_open_that_the_system_refuses_has_its_errno),
    TEST(the_rewriter_needs_nothing_else),
    {NULL, NULL},
};
