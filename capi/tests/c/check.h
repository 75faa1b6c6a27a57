// What the test programs share. A check that fails says where and ends the process.

#ifndef CHECK_H
#define CHECK_H

#include <cdrlog.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// An event, and its line.
#define EVENT "{\"event\":\"sessionCreated\",\"timestamp\":1}"
#define LINE "{\"sessionCreated\":{\"timestamp\":1}}\n"

struct test {
    const char *name;
    void (*run)(const char *directory);
};

#define TEST(name) {#name, name}

#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: not true: %s (last error: %s)\n", __FILE__, __LINE__,         \
                    #condition, cdrlog_last_error_message());                                     \
            _Exit(1);                                                                             \
        }                                                                                         \
    } while (0)

#define CHECK_OK(call) CHECK((call) == CDRLOG_OK)

// A call that fails with this code and a message that has this text.
#define CHECK_FAILS(call, code, text)                                                             \
    do {                                                                                          \
        CHECK((call) == (code));                                                                  \
        CHECK(strstr(cdrlog_last_error_message(), text) != NULL);                                 \
    } while (0)

static inline const uint8_t *bytes_of(const char *text) { return (const uint8_t *)text; }

static inline cdrlog_result send_text(cdrlog_producer *producer, const char *text) {
    return cdrlog_send(producer, bytes_of(text), strlen(text));
}

// Options of a test: its inboxes are where the test removes them.
static inline cdrlog_options *test_options(const char *directory) {
    cdrlog_options *options = cdrlog_options_new(directory);
    CHECK(options != NULL);
    const char *inboxes = getenv("CDRLOG_INBOX_DIRECTORY");
    CHECK(inboxes != NULL);
    CHECK_OK(cdrlog_options_set_inbox_directory(options, inboxes));
    return options;
}

static inline cdrlog_appender *open_with(cdrlog_options *options) {
    cdrlog_appender *appender = NULL;
    CHECK_OK(cdrlog_open(options, &appender));
    CHECK(appender != NULL);
    CHECK_OK(cdrlog_options_free(options));
    return appender;
}

static inline cdrlog_appender *open_directory(const char *directory) {
    return open_with(test_options(directory));
}

static inline cdrlog_producer *producer_of(const cdrlog_appender *appender) {
    cdrlog_producer *producer = NULL;
    CHECK_OK(cdrlog_producer_new(appender, &producer));
    CHECK(producer != NULL);
    return producer;
}

static inline uint64_t stat_of(const cdrlog_appender *appender, const char *name) {
    uint64_t value = 0;
    CHECK_OK(cdrlog_stat(appender, name, &value));
    return value;
}

// How many lines a directory has, if each is LINE.
static inline int lines_in(const char *directory) {
    cdrlog_reader_options *options = cdrlog_reader_options_new(directory);
    cdrlog_reader *reader = NULL;
    CHECK_OK(cdrlog_reader_open(options, &reader));
    CHECK_OK(cdrlog_reader_options_free(options));
    const uint8_t *lines = NULL;
    size_t bytes = 0, total = 0;
    while (cdrlog_reader_next_lines(reader, &lines, &bytes) == CDRLOG_OK) total += bytes;
    CHECK_OK(cdrlog_reader_free(reader));
    CHECK(total % strlen(LINE) == 0);
    return (int)(total / strlen(LINE));
}

// The whole of a file, with a NUL after it.
static inline char *content_of(const char *path) {
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    char *content = (char *)calloc(1, 1 << 20);
    CHECK(content != NULL);
    size_t length = fread(content, 1, (1 << 20) - 1, file);
    CHECK(length < (1 << 20) - 1);
    fclose(file);
    return content;
}

static inline char *cdr_of(const cdrlog_appender *appender) {
    char path[4096];
    CHECK_OK(cdrlog_cdr_path(appender, path, sizeof path, NULL));
    return content_of(path);
}

#endif
