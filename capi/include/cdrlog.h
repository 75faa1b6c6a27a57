// cdrlog: turns the webhook events of a media server into Call Detail Record lines, and loses none.
//
// Linux, C99 or newer, or C++. docs/embedding.md has programs to start from. Made by cbindgen: do
// not edit.
//
// Results. Every function that can fail returns a cdrlog_result or, where it returns a value, says
// which one means failure. CDRLOG_OK is 0. cdrlog_last_error_message explains the last failure on
// the calling thread.
//
// Handles. Each type says how long its handles live and which threads may use them. A handle that
// was freed, or is of another type, gives CDRLOG_INVALID_HANDLE, until its memory is a new handle
// of that type, after 64 others of it were freed. Freeing NULL does nothing. A pointer that this
// library did not return is undefined behaviour. dlclose does not unload the library: its threads
// may be running.
//
// Memory. Bytes are a pointer and a length, and need no NUL; NULL is allowed for a length of 0.
// Strings (const char *) end with NUL; paths may hold any other byte. Arguments are used during the
// call only. What the library returns belongs to it.
//
// Signals, output, panics. The library installs no signal handler, its threads block the signals of
// the program, and it prints nothing. A fault in it is CDRLOG_PANIC and does not unwind into the
// caller. No function may be called in a signal handler.
//
// Fork. A child of a process that has an open appender must not use it: calls return CDRLOG_CLOSED
// and touch nothing of the parent's. It may open another directory.


#ifndef CDRLOG_H
#define CDRLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

// No time limit, for options and functions that take a time.
#define CDRLOG_FOREVER UINT64_MAX

// No limit, for cdrlog_options_set_retention_bytes.
#define CDRLOG_UNLIMITED UINT64_MAX

// What a call came to, by what the caller can do. A later version may add codes: treat one that
// you do not know as CDRLOG_IO. cdrlog_last_error_message explains all of them but CDRLOG_OK.
typedef enum {
  // Success.
  CDRLOG_OK = 0,
  // The queue is full now. Try again later, or use cdrlog_send, which waits.
  CDRLOG_FULL = 1,
  // The appender is closed, has given up, or belongs to the parent of this forked process:
  // nothing is accepted any more. The event was not taken.
  CDRLOG_CLOSED = 2,
  // An argument is NULL or out of its range; the message names it. A fault of the program.
  CDRLOG_INVALID_ARGUMENT = 3,
  // The handle was freed, or has another type. A fault of the program.
  CDRLOG_INVALID_HANDLE = 4,
  // Another appender has the directory open, in this process or another one. Close that one, or
  // wait until its process has ended.
  CDRLOG_LOCKED = 5,
  // A file of the journal is missing or damaged; nothing was changed. The message says what a
  // person can do.
  CDRLOG_DAMAGED = 6,
  // The system refused something, usually because the disk is full; cdrlog_last_error_errno has
  // its number. Nothing that was accepted is lost, and the same call may succeed later.
  CDRLOG_IO = 7,
  // A sync failed, now or earlier: what is not synced may not survive a power loss, and is not
  // synced again. Close the appender, check the disk, open the directory again.
  CDRLOG_SYNC_FAILED = 8,
  // The body is not an event. If it was sent, it is kept in the rejects file.
  CDRLOG_REJECTED = 9,
  // The time is over. The same call may succeed later.
  CDRLOG_TIMED_OUT = 10,
  // There is no further line; while following, there is none yet.
  CDRLOG_END = 11,
  // The result does not fit into the buffer. The length that it needs was stored.
  CDRLOG_BUFFER_TOO_SMALL = 12,
  // The line is longer than line_bytes_max. The next call continues after it.
  CDRLOG_LINE_TOO_LONG = 13,
  // The position to start at does not exist. Start at byte 0 of the file, or at the next file.
  CDRLOG_NO_SUCH_POSITION = 14,
  // A callback made a call that would wait for the thread of the callback. Call it from another
  // thread.
  CDRLOG_WOULD_DEADLOCK = 15,
  // A sealed file needs a person; the message names it and says why. No line is affected.
  CDRLOG_SEALED_FILE = 16,
  // A fault in cdrlog itself; the message says where. Close the handle, and please report it.
  CDRLOG_PANIC = 17,
  // The file of the position to start at was removed or renamed, and lines after the position
  // may be missing. The message names the next file; a reader that starts at byte 0 of it gives
  // all lines that are left.
  CDRLOG_POSITION_GONE = 18,
} cdrlog_result;

// Counts the events that were sent with cdrlog_send_acked and have reached their level.
//
// Lifetime: from cdrlog_acks_new to cdrlog_acks_free, which may come at any time: events that are
// not acknowledged yet are written all the same. It belongs to no appender; producers of several
// may share it.
// Threads: any number may use it at the same time.
typedef struct cdrlog_acks cdrlog_acks;

// An open directory: appends events to its CDR files. Events come in through producers.
//
// Lifetime: from cdrlog_open to cdrlog_close or cdrlog_close_with_report. A call with a closed
// appender returns CDRLOG_INVALID_HANDLE. Its producers may outlive it, and must still be freed.
// Threads: any number may use it at the same time. A close waits for calls that are running.
// Fork: a child has none of its threads. Every call in the child returns CDRLOG_CLOSED, and
// touches nothing of the parent's.
typedef struct cdrlog_appender cdrlog_appender;

// What a close came to.
//
// Lifetime: from cdrlog_close_with_report to cdrlog_close_report_free, and so the events that it
// gives.
// Threads: any number may read it at the same time.
typedef struct cdrlog_close_report cdrlog_close_report;

// Options of an appender.
//
// Lifetime: from cdrlog_options_new to cdrlog_options_free. cdrlog_open copies them, so they may
// be freed right after it.
// Threads: any thread may use it; calls at the same time wait for each other.
typedef struct cdrlog_options cdrlog_options;

// Sends events to an appender.
//
// Lifetime: from cdrlog_producer_new to cdrlog_producer_free. It may outlive the appender: every
// send then returns CDRLOG_CLOSED.
// Threads: any thread may use it, but calls at the same time wait for each other, so each thread
// should have its own. From its first send on, each has 4 to 64 KiB of the inbox: a server with
// thousands of connections should share a few.
// Order: if a send returns before another one is called, on any threads and producers, its event
// comes first in the file.
// Fork: in a child every send returns CDRLOG_CLOSED.
typedef struct cdrlog_producer cdrlog_producer;

// Reads the lines of a CDR directory, oldest first, each once, compressed or not.
//
// Lifetime: from cdrlog_reader_open to cdrlog_reader_free. It needs no appender, and may read in
// another process.
// Threads: any thread may use it; calls at the same time wait for each other. What it points to
// stays valid until the next call with the same reader, on whatever thread.
typedef struct cdrlog_reader cdrlog_reader;

// Options of a reader.
//
// Lifetime: from cdrlog_reader_options_new to cdrlog_reader_options_free. cdrlog_reader_open
// copies them.
// Threads: any thread may use it; calls at the same time wait for each other.
typedef struct cdrlog_reader_options cdrlog_reader_options;

// What an open repaired after a process that did not close, or would repair.
//
// Lifetime: until cdrlog_recovery_free, and so the strings that it gives.
// Threads: any number may read it at the same time.
typedef struct cdrlog_recovery cdrlog_recovery;

// When written lines are synced: one of the CDRLOG_SYNC constants.
typedef uint32_t cdrlog_sync_policy;

// How sealed files are compressed: one of the CDRLOG_COMPRESSION constants.
typedef uint32_t cdrlog_compression;

// What a notice is about: one of the CDRLOG_NOTICE constants. A later version may have more.
typedef uint32_t cdrlog_notice;

// A callback for notices. message is a sentence in UTF-8 for the log, valid until the callback
// returns.
//
// It must not end by longjmp or by an exception. cdrlog_flush, cdrlog_sync, cdrlog_rotate,
// cdrlog_wait_for_maintenance, cdrlog_acks_wait and a close return CDRLOG_WOULD_DEADLOCK in it, and
// so does a send that would have to wait.
typedef void (*cdrlog_notice_callback)(void *context,
                                       cdrlog_notice notice,
                                       const char *message);

// A level that an event reaches: one of the constants from CDRLOG_JOURNALED to CDRLOG_SYNCED.
typedef uint32_t cdrlog_durability;

// A callback for one event.
//
// result is CDRLOG_OK if the event has reached the level: its line is in file, line_bytes long
// with its line feed, from byte offset on. CDRLOG_REJECTED: the body is not an event, and is kept
// in the rejects file. Otherwise it did not reach the level, and the line may be in the file all
// the same. Without CDRLOG_OK, file is NULL, offset and line_bytes are 0, and
// cdrlog_last_error_message says why. file is valid until the callback returns.
//
// It is called from a thread of cdrlog, or from the thread that sends before the send returns; no
// line is written meanwhile, so it should hand on the answer and return. It must not end by
// longjmp or by an exception. cdrlog_flush, cdrlog_sync, cdrlog_rotate,
// cdrlog_wait_for_maintenance, cdrlog_acks_wait and a close return CDRLOG_WOULD_DEADLOCK in it, and
// so does a send that would have to wait.
typedef void (*cdrlog_ack_callback)(void *context,
                                    cdrlog_result result,
                                    const char *file,
                                    uint64_t offset,
                                    uint64_t line_bytes);

// A number of a recovery: one of the CDRLOG_RECOVERY constants.
typedef uint32_t cdrlog_recovery_number;

// Paths of a recovery: one of the CDRLOG_RECOVERY constants that end in FILES, OTHERS or INBOXES.
typedef uint32_t cdrlog_recovery_paths;

// The files that a reader reads: one of the CDRLOG_FILES constants.
typedef uint32_t cdrlog_files;

// Something that has no constant yet. The message says what.
#define CDRLOG_NOTICE_OTHER 0

// A write failed, usually because the disk is full. Nothing is lost; it is retried.
#define CDRLOG_NOTICE_WRITES_FAIL 1

// Writes succeed again.
#define CDRLOG_NOTICE_WRITES_GO_ON 2

// A sync failed. Nothing will be synced any more.
#define CDRLOG_NOTICE_SYNC_FAILED 3

// Another program changed, moved or removed a file. Lines continue in the file of this name.
#define CDRLOG_NOTICE_CHANGED_BY_OTHERS 4

// The directory or a part of its state was moved or removed. Close and open it again.
#define CDRLOG_NOTICE_LOCK_REPLACED 5

// The appender gave up: nothing is accepted any more.
#define CDRLOG_NOTICE_GAVE_UP 6

// There is no inbox: accepted events that are not journaled do not outlive the process.
#define CDRLOG_NOTICE_NO_INBOX 7

// Another program removed the inbox. Close the appender and open it again.
#define CDRLOG_NOTICE_INBOX_REMOVED 8

// A sealed file could not be listed, compressed or removed. No line is affected.
#define CDRLOG_NOTICE_MAINTENANCE_FAILS 9

// The clock jumped forward. Retention by age waits until it is trusted.
#define CDRLOG_NOTICE_CLOCK_JUMPED 10

// The directory has CDR files that cdrlog did not create there. They are left alone.
#define CDRLOG_NOTICE_FOREIGN_FILES 11

// Retention removed a file. Not a problem.
#define CDRLOG_NOTICE_FILE_REMOVED 12

// What a program that ships the directory still needs cannot be read. No file is removed
// meanwhile.
#define CDRLOG_NOTICE_PIN_UNREADABLE 13

// Never, not even on close. The kernel writes data back after about 30 seconds.
#define CDRLOG_SYNC_NEVER 0

// A given time after the last sync, if anything was written since, and on close.
#define CDRLOG_SYNC_INTERVAL 1

// After every write; all that arrives during one sync shares the next.
#define CDRLOG_SYNC_ALWAYS 2

// Not compressed.
#define CDRLOG_COMPRESSION_NONE 0

// zstd, level 3, with a checksum.
#define CDRLOG_COMPRESSION_ZSTD 1

// gzip, level 6. Slower and larger than zstd.
#define CDRLOG_COMPRESSION_GZIP 2

// Its line is in the journal: it outlives the process, but not a power loss.
#define CDRLOG_JOURNALED 0

// Its line is in the CDR file: readers see it. It survives the same.
#define CDRLOG_WRITTEN 1

// Its line is on the disk: it survives a power loss too.
#define CDRLOG_SYNCED 2

// Bytes of lines that the last process had accepted or journaled, and that were appended.
#define CDRLOG_RECOVERY_LINES_BYTES 0

// The same of records of rejected bodies.
#define CDRLOG_RECOVERY_REJECTS_BYTES 1

// Events that came from the inbox; their lines are part of the bytes.
#define CDRLOG_RECOVERY_INBOX_EVENTS 2

// Bytes that are not whole lines and were set aside.
#define CDRLOG_RECOVERY_TORN_BYTES 3

// 1 if the machine went down, 0 if only the process ended.
#define CDRLOG_RECOVERY_POWER_LOSS 4

// The files that lines and records were appended to.
#define CDRLOG_RECOVERY_FILES 0

// The files that keep the bytes that are not whole lines.
#define CDRLOG_RECOVERY_TORN_FILES 1

// Files that another program had changed, so that their length says nothing.
#define CDRLOG_RECOVERY_CHANGED_BY_OTHERS 2

// The inbox of the last process, if nothing could be recovered from it: accepted events may be
// lost. cdrlog_recovery_message says why. At most one.
#define CDRLOG_RECOVERY_UNUSABLE_INBOXES 3

// Inboxes of this directory that no open will use, for a person to decide. Only
// cdrlog_plan_recovery and cdrlog_recover look for them.
#define CDRLOG_RECOVERY_UNCLAIMED_INBOXES 4

// The CDR files.
#define CDRLOG_FILES_CDR 0

// The files of rejected bodies.
#define CDRLOG_FILES_REJECTS 1

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library that is loaded, such as "0.1.0". The string is never freed.
const char *cdrlog_version(void);

// Why the last call on this thread that failed has failed, as one sentence in UTF-8 that names the
// file, argument or option concerned. It is never NULL, and empty if no call has failed. It stays
// valid until the next call on this thread fails, or the thread ends: in a destructor of data of
// the thread (pthread_key_create) it is empty. In a callback it explains the result that the
// callback was given.
const char *cdrlog_last_error_message(void);

// The errno of the last call on this thread that failed, such as ENOSPC; 0 if the system was not
// the cause.
int cdrlog_last_error_errno(void);

// Options for an appender to this directory, which cdrlog_open creates if it does not exist. A
// relative path is resolved by cdrlog_open.
//
// Returns NULL if directory is NULL or empty. Free the options with cdrlog_options_free.
cdrlog_options *cdrlog_options_new(const char *directory);

// Frees the options. NULL is allowed.
cdrlog_result cdrlog_options_free(cdrlog_options *options);

// The number of events in the queue above which cdrlog_send waits. From 1 to 16 777 216. Default:
// 32 768.
cdrlog_result cdrlog_options_set_queue_events_max(cdrlog_options *options,
                                                  size_t events);

// The bytes of events in the queue above which cdrlog_send waits; each event counts 64 bytes more
// than its length. The inbox takes as much memory and an eighth more, but at most a quarter of what
// is free there, all of it at the open. From 1 to 16 GiB. Default: 16 MiB.
cdrlog_result cdrlog_options_set_queue_bytes_max(cdrlog_options *options,
                                                 size_t bytes);

// The length above which a body is rejected, in bytes. From 1 to segment_bytes. Default: 1 MiB.
cdrlog_result cdrlog_options_set_event_bytes_max(cdrlog_options *options,
                                                 size_t bytes);

// The number of segments in the ring of the journal. From 2 to 64. Default: 4.
cdrlog_result cdrlog_options_set_segment_count(cdrlog_options *options,
                                               size_t segments);

// The length of a segment of the journal in bytes. From event_bytes_max to 1 GiB, rounded up to
// 4 KiB. Default: 1 MiB.
cdrlog_result cdrlog_options_set_segment_bytes(cdrlog_options *options,
                                               size_t bytes);

// The time from sending an event until its line is in the file, at most, while the disk keeps up.
// In milliseconds, from 1 to 60 000. Default: 20.
cdrlog_result cdrlog_options_set_flush_interval_ms(cdrlog_options *options,
                                                   uint64_t milliseconds);

// How long writes may fail before the appender gives up, in milliseconds; with 0 it gives up at
// the first failure. Default: CDRLOG_FOREVER.
cdrlog_result cdrlog_options_set_write_retry_timeout_ms(cdrlog_options *options,
                                                        uint64_t milliseconds);

// How long a close retries writes that fail, in milliseconds. Default: 5 000.
cdrlog_result cdrlog_options_set_close_timeout_ms(cdrlog_options *options,
                                                  uint64_t milliseconds);

// Whether names of files have UTC and not local time. Default: false.
cdrlog_result cdrlog_options_set_utc(cdrlog_options *options,
                                     bool utc);

// Whether the first line of a new day starts a new file. Default: true.
cdrlog_result cdrlog_options_set_rotate_daily(cdrlog_options *options,
                                              bool daily);

// The length of a file in bytes above which a new one is started. At least 1. Default: no limit.
cdrlog_result cdrlog_options_set_rotate_bytes(cdrlog_options *options,
                                              uint64_t bytes);

// How long a file is kept after the last write to it, in seconds, at least 1; CDRLOG_FOREVER keeps
// it. Default: 2 592 000, which is 30 days.
cdrlog_result cdrlog_options_set_retention_age_s(cdrlog_options *options,
                                                 uint64_t seconds);

// The length of all files together in bytes above which the oldest are removed. At least 1;
// CDRLOG_UNLIMITED removes none. Default: 20 000 000 000.
cdrlog_result cdrlog_options_set_retention_bytes(cdrlog_options *options,
                                                 uint64_t bytes);

// Whether compression and retention also apply to CDR files in the directory that cdrlog did not
// create there. Default: false.
cdrlog_result cdrlog_options_set_manage_foreign(cdrlog_options *options,
                                                bool manage);

// Whether to note on the disk, once a second, up to which time all that was accepted is synced,
// for programs that ship the directory elsewhere. Default: false.
cdrlog_result cdrlog_options_set_time_marks(cdrlog_options *options,
                                            bool time_marks);

// When written lines are synced: interval_ms, at least 1, is for CDRLOG_SYNC_INTERVAL alone.
// Default: CDRLOG_SYNC_INTERVAL with 1 000.
cdrlog_result cdrlog_options_set_sync_policy(cdrlog_options *options,
                                             cdrlog_sync_policy policy,
                                             uint64_t interval_ms);

// How sealed files are compressed. Default: CDRLOG_COMPRESSION_NONE.
cdrlog_result cdrlog_options_set_compression(cdrlog_options *options,
                                             cdrlog_compression compression);

// The directory of the inbox, in which accepted events outlive the process; it must be on a tmpfs.
// NULL turns the inbox off: if the process dies, events that are not journaled are lost. Default:
// /dev/shm.
cdrlog_result cdrlog_options_set_inbox_directory(cdrlog_options *options,
                                                 const char *directory);

// A callback for what an operator should know: failed writes and syncs, their end, and the other
// CDRLOG_NOTICE constants. NULL sets none. Default: none.
//
// It is called from threads of cdrlog, several at the same time maybe, and from the thread that
// calls cdrlog_open; until the appender is closed. No line is written meanwhile, so it should hand
// on the message and return.
cdrlog_result cdrlog_options_set_notice_callback(cdrlog_options *options,
                                                 cdrlog_notice_callback callback,
                                                 void *context);

// Opens the directory: creates it if it does not exist, locks it, writes what an earlier process
// left in the journal and the inbox, and starts three threads, which block all signals that can be
// blocked. The options may be freed then.
//
// Stores the appender in *appender; after an error, NULL. CDRLOG_INVALID_ARGUMENT: an option is
// out of its range. CDRLOG_LOCKED, CDRLOG_DAMAGED, CDRLOG_IO: nothing was changed, except that
// directories may have been created.
cdrlog_result cdrlog_open(const cdrlog_options *options,
                          cdrlog_appender **appender);

// Waits until everything sent before this call is written: in the files, visible to readers.
//
// CDRLOG_IO: a write failed meanwhile; it is retried, and a later call may succeed. CDRLOG_CLOSED:
// the appender gave up.
cdrlog_result cdrlog_flush(const cdrlog_appender *appender);

// Waits until everything sent before this call is synced: it survives a power loss.
//
// The errors of cdrlog_flush, and CDRLOG_SYNC_FAILED once any sync has failed.
cdrlog_result cdrlog_sync(const cdrlog_appender *appender);

// Starts a new CDR file and a new rejects file, after everything sent before this call. The files
// before are complete. A file that holds nothing yet is kept.
//
// The errors of cdrlog_sync; after CDRLOG_SYNC_FAILED the new files are started all the same.
cdrlog_result cdrlog_rotate(const cdrlog_appender *appender);

// Waits until all due work on sealed files is done: they are listed in the manifest, compressed,
// and the oldest removed. It is done without this call too. It may take minutes, and a close waits
// for it then.
//
// CDRLOG_IO, CDRLOG_SYNC_FAILED, CDRLOG_SEALED_FILE: the first failure; the work on all other
// files is done.
cdrlog_result cdrlog_wait_for_maintenance(const cdrlog_appender *appender);

// Whether writes fail now. CDRLOG_OK: they do not. CDRLOG_IO: a write failed, is being retried,
// and the message says which. Never waits.
cdrlog_result cdrlog_write_failure(const cdrlog_appender *appender);

// The path of the CDR file that lines are being written to, as a string that ends with NUL.
//
// Stores its length without the NUL in *path_bytes, if that is not NULL. CDRLOG_BUFFER_TOO_SMALL:
// path has fewer than *path_bytes + 1 bytes, and nothing else was stored.
cdrlog_result cdrlog_cdr_path(const cdrlog_appender *appender,
                              char *path,
                              size_t path_capacity_bytes,
                              size_t *path_bytes);

// The path of the rejects file that was written to last, or will be first: it is created when the
// first body is rejected. The arguments are those of cdrlog_cdr_path.
cdrlog_result cdrlog_rejects_path(const cdrlog_appender *appender,
                                  char *path,
                                  size_t path_capacity_bytes,
                                  size_t *path_bytes);

// The path of the inbox; empty if there is none, and accepted events do not outlive the process.
// The arguments are those of cdrlog_cdr_path.
cdrlog_result cdrlog_inbox_path(const cdrlog_appender *appender,
                                char *path,
                                size_t path_capacity_bytes,
                                size_t *path_bytes);

// The number of CDR and rejects files that were in the directory at the open and that cdrlog did
// not create there. Stores it in *files.
cdrlog_result cdrlog_foreign_files(const cdrlog_appender *appender,
                                   size_t *files);

// Accepts nothing more, writes and (unless the policy is CDRLOG_SYNC_NEVER) syncs everything that
// was accepted, ends the threads, and ends the handle, whatever it returns; only after
// CDRLOG_WOULD_DEADLOCK, CDRLOG_INVALID_HANDLE and CDRLOG_CLOSED nothing has happened. NULL is
// allowed, and does nothing.
//
// CDRLOG_IO, CDRLOG_SYNC_FAILED, CDRLOG_PANIC: not everything was written or synced. What was
// accepted stays in the journal and in the inbox, and the next open of the directory writes it.
// cdrlog_close_with_report tells what is lost without an inbox.
cdrlog_result cdrlog_close(cdrlog_appender *appender);

// Closes like cdrlog_close, and reports the counters and the events that were accepted and could
// not be journaled. With keep, such events stay in the inbox as cdrlog_close leaves them, and only
// those without a place in it are reported; otherwise all are reported and none is kept, so that
// the caller can send them elsewhere.
//
// Stores the report in *report whenever the appender was closed, with an error too; otherwise
// NULL. Free it with cdrlog_close_report_free.
cdrlog_result cdrlog_close_with_report(cdrlog_appender *appender,
                                       bool keep,
                                       cdrlog_close_report **report);

// A new producer for this appender, stored in *producer; after an error, NULL.
cdrlog_result cdrlog_producer_new(const cdrlog_appender *appender,
                                  cdrlog_producer **producer);

// Frees the producer; what it has sent is not affected. NULL is allowed.
//
// CDRLOG_WOULD_DEADLOCK, only in a callback: another thread sends with it.
cdrlog_result cdrlog_producer_free(cdrlog_producer *producer);

// Sends an event, the body of a webhook; waits while the queue is full. The bytes are copied.
//
// CDRLOG_OK: the event is accepted, and outlives the process if there is an inbox. A body that is
// not an event is accepted too, and goes to the rejects file. CDRLOG_CLOSED: it was not accepted.
//
// CDRLOG_WOULD_DEADLOCK, only in a callback: the queue is full, or another thread sends with this
// producer. The event was not accepted.
cdrlog_result cdrlog_send(cdrlog_producer *producer,
                          const uint8_t *event,
                          size_t event_bytes);

// Like cdrlog_send, but never waits. CDRLOG_FULL: the queue is full, or another thread is waiting
// in a send with this producer; the event was not accepted.
cdrlog_result cdrlog_try_send(cdrlog_producer *producer,
                              const uint8_t *event,
                              size_t event_bytes);

// Like cdrlog_send, for an event in parts, which are joined in this order.
cdrlog_result cdrlog_send_iovec(cdrlog_producer *producer,
                                const struct iovec *parts,
                                size_t part_count);

// Like cdrlog_try_send, for an event in parts, which are joined in this order.
cdrlog_result cdrlog_try_send_iovec(cdrlog_producer *producer,
                                    const struct iovec *parts,
                                    size_t part_count);

// Like cdrlog_send, and counts the event among those of its level that acks knows: stores the
// number of the event in *number, if that is not NULL. When cdrlog_acked(acks, level) is not less
// than this number, the event has reached the level. Each level counts its own events, from 1.
//
// An acknowledgement costs a few allocations, and a system call if the rewriter thread must be
// woken.
cdrlog_result cdrlog_send_acked(cdrlog_producer *producer,
                                const uint8_t *event,
                                size_t event_bytes,
                                cdrlog_durability level,
                                cdrlog_acks *acks,
                                uint64_t *number);

// Like cdrlog_send_acked, but never waits, as cdrlog_try_send. With wake, it wakes the rewriter
// thread as cdrlog_send_acked does; without, events gather for up to 20 ms: an event loop sends
// many, and calls cdrlog_wake once before it blocks.
cdrlog_result cdrlog_try_send_acked(cdrlog_producer *producer,
                                    const uint8_t *event,
                                    size_t event_bytes,
                                    cdrlog_durability level,
                                    cdrlog_acks *acks,
                                    bool wake,
                                    uint64_t *number);

// Like cdrlog_send, and calls the callback once the event has reached the level, or never will:
// once for each call that returned CDRLOG_OK, for no other.
cdrlog_result cdrlog_send_with_callback(cdrlog_producer *producer,
                                        const uint8_t *event,
                                        size_t event_bytes,
                                        cdrlog_durability level,
                                        cdrlog_ack_callback callback,
                                        void *context);

// Like cdrlog_send_with_callback, but never waits, as cdrlog_try_send.
cdrlog_result cdrlog_try_send_with_callback(cdrlog_producer *producer,
                                            const uint8_t *event,
                                            size_t event_bytes,
                                            cdrlog_durability level,
                                            cdrlog_ack_callback callback,
                                            void *context);

// Wakes the rewriter thread, if it sleeps, to process now what was sent.
//
// CDRLOG_WOULD_DEADLOCK, only in a callback: another thread sends with this producer.
cdrlog_result cdrlog_wake(cdrlog_producer *producer);

// A new counter of acknowledgements, stored in *acks; after an error, NULL.
cdrlog_result cdrlog_acks_new(cdrlog_acks **acks);

// Frees the counter. NULL is allowed. Its eventfd is closed when the last of its events has an
// outcome: take it out of your event loop first.
cdrlog_result cdrlog_acks_free(cdrlog_acks *acks);

// How many events of this level are acknowledged, without a gap: all whose number is not greater
// have reached it, or are not events and are kept in the rejects file. It only grows, and stops
// for good before an event that did not reach the level: cdrlog_acks_failure tells. 0 for a wrong
// handle and an unknown level too. Never waits.
uint64_t cdrlog_acked(const cdrlog_acks *acks,
                      cdrlog_durability level);

// How many of the acknowledged ones are not events, and are in the rejects file. 0 for a wrong
// handle and an unknown level too. Never waits.
uint64_t cdrlog_acks_rejected(const cdrlog_acks *acks,
                              cdrlog_durability level);

// Why an event did not reach this level. CDRLOG_OK: none has failed. CDRLOG_IO,
// CDRLOG_SYNC_FAILED, CDRLOG_CLOSED: the one after those that cdrlog_acked counts has failed, and
// its line may be in the file all the same; later ones may have reached the level, but are not
// counted any more.
cdrlog_result cdrlog_acks_failure(const cdrlog_acks *acks,
                                  cdrlog_durability level);

// Waits until cdrlog_acked(acks, level) is at least number, for at most timeout_ms milliseconds;
// CDRLOG_FOREVER has no limit. CDRLOG_TIMED_OUT: it is not. Otherwise what cdrlog_acks_failure
// returns, because it will never be.
cdrlog_result cdrlog_acks_wait(const cdrlog_acks *acks,
                               cdrlog_durability level,
                               uint64_t number,
                               uint64_t timeout_ms);

// An eventfd that is readable after an event was acknowledged, or has failed, at any level, since
// it was last read. Stores it in *fd. Each call gives the same one; it does not block and is
// closed in a new program (EFD_NONBLOCK, EFD_CLOEXEC). The counter owns it: do not close it.
//
// CDRLOG_IO: the system gave none.
cdrlog_result cdrlog_acks_eventfd(const cdrlog_acks *acks,
                                  int *fd);

// How many counters there are. A later version may have more of them, at the end.
size_t cdrlog_stats_count(void);

// The name of a counter, such as "events_journaled": index is from 0 to cdrlog_stats_count. The
// name starts or ends with its unit; names that end in "_queued" are gauges, all others only grow.
// NULL if there is no such counter. The string is never freed.
const char *cdrlog_stats_name(size_t index);

// A snapshot of all counters since the open, in the order of cdrlog_stats_name. Never waits.
//
// Stores how many there are in *values_count, if that is not NULL. CDRLOG_BUFFER_TOO_SMALL: values
// has room for fewer; as many as fit were stored.
cdrlog_result cdrlog_stats(const cdrlog_appender *appender,
                           uint64_t *values,
                           size_t values_capacity,
                           size_t *values_count);

// One counter by its name. CDRLOG_INVALID_ARGUMENT: there is none of that name.
cdrlog_result cdrlog_stat(const cdrlog_appender *appender,
                          const char *name,
                          uint64_t *value);

// What cdrlog_open repaired. Stores the report in *recovery; free it with cdrlog_recovery_free.
cdrlog_result cdrlog_recovery_of(const cdrlog_appender *appender,
                                 cdrlog_recovery **recovery);

// What cdrlog_open with these options would repair; nothing is changed. Stores the report in
// *recovery; free it with cdrlog_recovery_free. The errors of cdrlog_open.
cdrlog_result cdrlog_plan_recovery(const cdrlog_options *options,
                                   cdrlog_recovery **recovery);

// Repairs what cdrlog_open with these options would, and nothing else: it creates no journal and
// no CDR file. Stores the report in *recovery; free it with cdrlog_recovery_free. The errors of
// cdrlog_open.
cdrlog_result cdrlog_recover(const cdrlog_options *options,
                             cdrlog_recovery **recovery);

// Whether there was nothing to repair. False for a wrong handle.
bool cdrlog_recovery_is_nothing(const cdrlog_recovery *recovery);

// One of the numbers. 0 for a wrong handle and for an unknown number.
uint64_t cdrlog_recovery_value(const cdrlog_recovery *recovery,
                               cdrlog_recovery_number number);

// How many paths there are of a kind. 0 for a wrong handle and for an unknown kind.
size_t cdrlog_recovery_path_count(const cdrlog_recovery *recovery,
                                  cdrlog_recovery_paths paths);

// One of these paths; index is from 0 to the count. NULL if there is none. It stays valid until
// the report is freed.
const char *cdrlog_recovery_path(const cdrlog_recovery *recovery,
                                 cdrlog_recovery_paths paths,
                                 size_t index);

// All of it as one sentence in UTF-8 for the log; empty if there was nothing to repair, NULL for a
// wrong handle. It stays valid until the report is freed.
const char *cdrlog_recovery_message(const cdrlog_recovery *recovery);

// Frees the report. NULL is allowed.
cdrlog_result cdrlog_recovery_free(cdrlog_recovery *recovery);

// The counters at the end, as cdrlog_stats gives them.
cdrlog_result cdrlog_close_report_stats(const cdrlog_close_report *report,
                                        uint64_t *values,
                                        size_t values_capacity,
                                        size_t *values_count);

// Whether the journal is where it was opened. If false, another program removed or moved the
// directory or .cdrlog in it, and opening the same path recovers nothing. False for a wrong handle
// too.
bool cdrlog_close_report_journal_is_in_place(const cdrlog_close_report *report);

// How many events were accepted, could not be journaled, and are given back; 0 for a wrong handle
// too.
size_t cdrlog_close_report_event_count(const cdrlog_close_report *report);

// One of these events, in the order of sending: index is from 0 to the count. Stores its start in
// *event and its length in *event_bytes; it stays valid until the report is freed.
cdrlog_result cdrlog_close_report_event(const cdrlog_close_report *report,
                                        size_t index,
                                        const uint8_t **event,
                                        size_t *event_bytes);

// Frees the report. NULL is allowed.
cdrlog_result cdrlog_close_report_free(cdrlog_close_report *report);

// Options for a reader of this directory; without others it reads the CDR files from the oldest
// line to the newest. Returns NULL if directory is NULL or empty. Free them with
// cdrlog_reader_options_free.
cdrlog_reader_options *cdrlog_reader_options_new(const char *directory);

// Frees the options. NULL is allowed.
cdrlog_result cdrlog_reader_options_free(cdrlog_reader_options *options);

// Which files to read. Default: CDRLOG_FILES_CDR.
cdrlog_result cdrlog_reader_options_set_files(cdrlog_reader_options *options,
                                              cdrlog_files files);

// Whether the reader waits for lines that are written later: after CDRLOG_END, cdrlog_reader_next
// may return lines again, and cdrlog_reader_wait waits for them. Default: false.
cdrlog_result cdrlog_reader_options_set_follow(cdrlog_reader_options *options,
                                               bool follow);

// The length above which a line is an error and skipped, in bytes without its line feed. Default:
// 64 MiB.
cdrlog_result cdrlog_reader_options_set_line_bytes_max(cdrlog_reader_options *options,
                                                       size_t bytes);

// The position to start at, as cdrlog_reader_position stored it. Of the file only its name counts.
// Default: the oldest line.
cdrlog_result cdrlog_reader_options_set_begin(cdrlog_reader_options *options,
                                              const char *file,
                                              uint64_t offset);

// Opens a reader, stored in *reader; after an error, NULL. The options may be freed then.
//
// CDRLOG_IO: the directory or the first file cannot be read. CDRLOG_NO_SUCH_POSITION and
// CDRLOG_POSITION_GONE: it cannot start at the position.
cdrlog_result cdrlog_reader_open(const cdrlog_reader_options *options,
                                 cdrlog_reader **reader);

// Frees the reader. NULL is allowed.
cdrlog_result cdrlog_reader_free(cdrlog_reader *reader);

// The next line. Stores its start in *line, and its length without the line feed in *line_bytes;
// it does not end with NUL.
//
// CDRLOG_END: there is none; while following, there is none yet. CDRLOG_IO: the next call goes on
// where this one failed, after a damaged compressed file with the next file. CDRLOG_LINE_TOO_LONG.
cdrlog_result cdrlog_reader_next(cdrlog_reader *reader,
                                 const uint8_t **line,
                                 size_t *line_bytes);

// The next lines, as many as are in memory, with their line feeds: for work that is faster on many
// at once. Only the last line of a file may lack its line feed. Arguments and errors are those of
// cdrlog_reader_next.
cdrlog_result cdrlog_reader_next_lines(cdrlog_reader *reader,
                                       const uint8_t **lines,
                                       size_t *lines_bytes);

// Where the line starts that was returned last: stores the path of its file, without .zst or .gz,
// in *file, and the offset in uncompressed bytes in *offset. CDRLOG_END: none was returned yet.
cdrlog_result cdrlog_reader_line_position(cdrlog_reader *reader,
                                          const char **file,
                                          uint64_t *offset);

// The position after the last line that was returned. Save it, and start the next reader there
// with cdrlog_reader_options_set_begin: it outlives the compression of the file. The arguments are
// those of cdrlog_reader_line_position. CDRLOG_END: nothing was read yet.
cdrlog_result cdrlog_reader_position(cdrlog_reader *reader,
                                     const char **file,
                                     uint64_t *offset);

// Waits until there may be a line to read, or for timeout_ms milliseconds. It may return earlier,
// and returns at once if the reader does not follow.
cdrlog_result cdrlog_reader_wait(cdrlog_reader *reader,
                                 uint64_t timeout_ms);

// Skips the rest of the file that is being read: the next line is the first one of the next file.
cdrlog_result cdrlog_reader_skip_file(cdrlog_reader *reader);

// Rewrites a body as a CDR line with its line feed, without files, threads and state.
//
// line has room for line_capacity_bytes, at least event_bytes: a line is never longer than its
// body. The two must not overlap. event_bytes_max is the length above which a body is rejected,
// usually 1 MiB. Stores the length of the line in *line_bytes, or 0.
//
// CDRLOG_REJECTED: the body is not an event. *reason is then the reason as one word, as in the
// rejects file, and *reject_offset the byte that could not be accepted, if these pointers are not
// NULL; the string is never freed. The content of line is not specified then.
// CDRLOG_BUFFER_TOO_SMALL: line is shorter than the body.
//
// Threads: any number at the same time.
cdrlog_result cdrlog_rewrite(const uint8_t *event,
                             size_t event_bytes,
                             size_t event_bytes_max,
                             uint8_t *line,
                             size_t line_capacity_bytes,
                             size_t *line_bytes,
                             const char **reason,
                             size_t *reject_offset);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CDRLOG_H */
