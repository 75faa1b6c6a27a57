// What an appender tells: its files, its counters, its notices.

#define _GNU_SOURCE
#include "check.h"

#include <unistd.h>

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

const struct test telling_tests[] = {
    TEST(a_rotation_starts_a_new_file),
    TEST(counters_have_names_and_a_snapshot),
    TEST(an_operator_learns_of_foreign_files_and_of_changes),
    {NULL, NULL},
};
