// More ways to send: parts, acknowledgements, callbacks.

#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

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
    const struct iovec *between = (const struct iovec *)(const void *)((const char *)parts + 1);
    CHECK_FAILS(cdrlog_send_iovec(producer, between, 1), CDRLOG_INVALID_ARGUMENT, "parts is not aligned");
    CHECK_FAILS(cdrlog_try_send_iovec(producer, between, 0), CDRLOG_INVALID_ARGUMENT, "not aligned");
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

// A callback that holds the appender up until the queue is full, and another thread waits for room with the same
// producer.
struct hold_up {
    cdrlog_appender *appender;
    cdrlog_producer *producer;
    cdrlog_acks *acks;
    pthread_t sender;
    cdrlog_result sent, sent_parts, sent_acked, woken, freed;
};

static void *send_until_closed(void *context) {
    struct hold_up *hold_up = context;
    while (send_text(hold_up->producer, EVENT) == CDRLOG_OK) {
    }
    return NULL;
}

static void send_while_held_up(void *context, cdrlog_result result, const char *file, uint64_t offset,
                               uint64_t line_bytes) {
    (void)file, (void)offset, (void)line_bytes;
    CHECK_OK(result);
    struct hold_up *hold_up = context;
    CHECK(pthread_create(&hold_up->sender, NULL, send_until_closed, hold_up) == 0);
    // Nothing is written meanwhile: the journal and then the queue fill, and then the other thread waits.
    struct iovec part = {(void *)EVENT, strlen(EVENT)};
    do hold_up->sent = send_text(hold_up->producer, EVENT);
    while (hold_up->sent == CDRLOG_OK);
    do hold_up->sent_parts = cdrlog_send_iovec(hold_up->producer, &part, 1);
    while (hold_up->sent_parts == CDRLOG_OK);
    do hold_up->sent_acked = cdrlog_send_acked(hold_up->producer, bytes_of(EVENT), strlen(EVENT),
                                               CDRLOG_WRITTEN, hold_up->acks, NULL);
    while (hold_up->sent_acked == CDRLOG_OK);
    // In the same send for so long: it waits.
    for (int refused = 0; refused < 200; usleep(1000)) {
        hold_up->woken = cdrlog_wake(hold_up->producer);
        refused = hold_up->woken == CDRLOG_OK ? 0 : refused + 1;
    }
    hold_up->freed = cdrlog_producer_free(hold_up->producer);
}

static void a_callback_that_would_wait_for_itself_is_refused(const char *directory) {
    alarm(60);
    cdrlog_options *options = test_options(directory);
    CHECK_OK(cdrlog_options_set_queue_events_max(options, 16));
    CHECK_OK(cdrlog_options_set_event_bytes_max(options, 1000));
    CHECK_OK(cdrlog_options_set_segment_bytes(options, 4096));
    CHECK_OK(cdrlog_options_set_segment_count(options, 2));
    struct hold_up hold_up = {.appender = open_with(options)};
    hold_up.producer = producer_of(hold_up.appender);
    CHECK_OK(cdrlog_acks_new(&hold_up.acks));
    cdrlog_producer *first = producer_of(hold_up.appender);
    CHECK_OK(cdrlog_send_with_callback(first, bytes_of(EVENT), strlen(EVENT), CDRLOG_WRITTEN,
                                       send_while_held_up, &hold_up));
    CHECK_OK(cdrlog_flush(hold_up.appender));
    CHECK_OK(cdrlog_close(hold_up.appender));
    CHECK(pthread_join(hold_up.sender, NULL) == 0);
    CHECK(hold_up.sent == CDRLOG_WOULD_DEADLOCK);
    CHECK(hold_up.sent_parts == CDRLOG_WOULD_DEADLOCK);
    CHECK(hold_up.sent_acked == CDRLOG_WOULD_DEADLOCK);
    CHECK(hold_up.woken == CDRLOG_WOULD_DEADLOCK);
    CHECK(hold_up.freed == CDRLOG_WOULD_DEADLOCK);
    CHECK_OK(cdrlog_producer_free(hold_up.producer));
    CHECK_OK(cdrlog_producer_free(first));
    CHECK_OK(cdrlog_acks_free(hold_up.acks));
}

static void send_in_callback(void *context, cdrlog_result result, const char *file, uint64_t offset,
                             uint64_t line_bytes) {
    (void)file, (void)offset, (void)line_bytes;
    CHECK_OK(result);
    CHECK_OK(send_text(context, EVENT));
    CHECK_OK(cdrlog_wake(context));
    CHECK_OK(cdrlog_producer_free(context));
    CHECK_FAILS(cdrlog_producer_free(context), CDRLOG_INVALID_HANDLE, "freed");
    CHECK_OK(cdrlog_producer_free(NULL));
}

static void a_callback_may_send_while_there_is_room(const char *directory) {
    cdrlog_appender *appender = open_directory(directory);
    cdrlog_producer *producer = producer_of(appender);
    CHECK_OK(cdrlog_send_with_callback(producer, bytes_of(EVENT), strlen(EVENT), CDRLOG_WRITTEN,
                                       send_in_callback, producer_of(appender)));
    CHECK_OK(cdrlog_producer_free(producer));
    CHECK_OK(cdrlog_sync(appender)); // after the callback, because it is after its write
    CHECK_OK(cdrlog_close(appender));
    CHECK(lines_in(directory) == 2);
}

const struct test sending_tests[] = {
    TEST(the_parts_of_an_iovec_are_one_event),
    TEST(acknowledgements_are_counted_for_each_level),
    TEST(an_eventfd_wakes_an_event_loop),
    TEST(a_callback_gets_the_place_of_its_line_or_the_reason),
    TEST(a_callback_that_would_wait_for_itself_is_refused),
    TEST(a_callback_may_send_while_there_is_room),
    {NULL, NULL},
};
