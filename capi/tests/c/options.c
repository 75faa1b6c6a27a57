// Options, and what a full queue is.

#define _GNU_SOURCE
#include "check.h"

#include <unistd.h>

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
    OUT_OF_RANGE(queue_bytes_max, SIZE_MAX, 1 << 20);
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

const struct test option_tests[] = {
    TEST(each_option_has_a_setter_and_a_range),
    TEST(a_full_queue_is_full_for_try_send_and_counted),
    {NULL, NULL},
};
