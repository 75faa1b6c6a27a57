// Reading and following the lines.

#define _GNU_SOURCE
#include "check.h"

#include <errno.h>

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
    CHECK(cdrlog_last_error_errno() == ENOENT);
    CHECK_OK(cdrlog_reader_options_free(options));
}

const struct test reading_tests[] = {
    TEST(a_reader_follows_and_goes_on_where_it_stopped),
    TEST(a_reader_reads_rejects_too),
    {NULL, NULL},
};
