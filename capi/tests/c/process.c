// What the library does to its process, and what is left after the end of one.

#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

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

const struct test process_tests[] = {
    TEST(what_was_sent_is_there_after_a_kill),
    TEST(a_forked_child_is_told_that_it_is_closed),
    TEST(signals_go_to_the_threads_of_the_program),
    {NULL, NULL},
};
