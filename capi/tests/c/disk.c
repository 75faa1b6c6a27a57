// A disk that takes nothing.

#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

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
    return lines_in(directory);
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

const struct test disk_tests[] = {
    TEST(a_close_that_cannot_write_gives_events_back),
    TEST(a_close_that_cannot_write_keeps_what_the_inbox_has),
    {NULL, NULL},
};
