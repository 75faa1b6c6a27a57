package cdrlog

/*
#include <stdlib.h>
#include <cdrlog.h>

extern void cdrlogGoNotice(uintptr_t, cdrlog_notice, char *);

static void cdrlog_go_notice(void *context, cdrlog_notice notice, const char *message) {
	cdrlogGoNotice((uintptr_t)context, notice, (char *)message);
}

static cdrlog_result cdrlog_go_on_notice(cdrlog_options *options, uintptr_t context) {
	return cdrlog_options_set_notice_callback(options, cdrlog_go_notice, (void *)context);
}
*/
import "C"

import (
	"math"
	"runtime/cgo"
	"time"
	"unsafe"
)

// An Option changes how an appender works. cdrlog.h has the ranges; Open says which value is out of its range.
type Option func(*settings) error

// settings are options while Open uses them.
type settings struct {
	handle *C.cdrlog_options
	// Of the notice callback, until the appender is closed; 0 if there is none.
	listener cgo.Handle
}

func set(call func(options *C.cdrlog_options) C.cdrlog_result) Option {
	return func(settings *settings) error {
		return check(func() C.cdrlog_result { return call(settings.handle) })
	}
}

// QueueEventsMax is the number of events in the queue above which Send waits. Default: 32 768.
func QueueEventsMax(events uint) Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_queue_events_max(options, C.size_t(events))
	})
}

// QueueBytesMax is the length of the events in the queue above which Send waits. Default: 16 MiB.
func QueueBytesMax(bytes uint) Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_queue_bytes_max(options, C.size_t(bytes))
	})
}

// EventBytesMax is the length above which a body is rejected. Default: 1 MiB.
func EventBytesMax(bytes uint) Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_event_bytes_max(options, C.size_t(bytes))
	})
}

// Journal is the number of segments of the journal and their length. Default: 4 of 1 MiB.
func Journal(segments, segmentBytes uint) Option {
	return func(settings *settings) error {
		err := check(func() C.cdrlog_result {
			return C.cdrlog_options_set_segment_count(settings.handle, C.size_t(segments))
		})
		if err != nil {
			return err
		}
		return check(func() C.cdrlog_result {
			return C.cdrlog_options_set_segment_bytes(settings.handle, C.size_t(segmentBytes))
		})
	}
}

// FlushInterval is the time from sending an event until its line is in the file, at most. Default: 20 ms.
func FlushInterval(interval time.Duration) Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_flush_interval_ms(options, milliseconds(interval))
	})
}

// WriteRetryTimeout is how long writes may fail before the appender gives up. Default: for ever.
func WriteRetryTimeout(timeout time.Duration) Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_write_retry_timeout_ms(options, milliseconds(timeout))
	})
}

// CloseTimeout is how long Close retries writes that fail. Default: 5 s.
func CloseTimeout(timeout time.Duration) Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_close_timeout_ms(options, milliseconds(timeout))
	})
}

// UTC gives names of files in UTC and not in local time.
func UTC() Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_utc(options, true)
	})
}

// RotateDaily is whether the first line of a new day starts a new file. Default: true.
func RotateDaily(daily bool) Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_rotate_daily(options, C.bool(daily))
	})
}

// RotateBytes is the length of a file above which a new one is started. Default: no limit.
func RotateBytes(bytes uint64) Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_rotate_bytes(options, C.uint64_t(bytes))
	})
}

// KeepForever is for Retention.
const (
	KeepForever  = time.Duration(math.MaxInt64)
	KeepAllBytes = uint64(math.MaxUint64)
)

// Retention removes files that are older than this, and the oldest ones if all together are larger. KeepForever
// and KeepAllBytes are no limit. Default: 30 days, 20 000 000 000 bytes.
func Retention(age time.Duration, bytes uint64) Option {
	return func(settings *settings) error {
		err := check(func() C.cdrlog_result {
			// A negative one is out of its range, and not for ever.
			seconds := C.uint64_t(max(age, 0) / time.Second)
			if age == KeepForever {
				seconds = math.MaxUint64
			}
			return C.cdrlog_options_set_retention_age_s(settings.handle, seconds)
		})
		if err != nil {
			return err
		}
		return check(func() C.cdrlog_result {
			return C.cdrlog_options_set_retention_bytes(settings.handle, C.uint64_t(bytes))
		})
	}
}

// ManageForeign applies compression and retention to CDR files that cdrlog did not create in the directory, too.
func ManageForeign() Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_manage_foreign(options, true)
	})
}

// TimeMarks notes on the disk, once a second, up to which time all that was accepted is synced, for programs that ship
// the directory elsewhere.
func TimeMarks() Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_time_marks(options, true)
	})
}

// SyncNever leaves it to the system when lines reach the disk.
func SyncNever() Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_sync_policy(options, C.CDRLOG_SYNC_NEVER, 0)
	})
}

// SyncAlways syncs after every write.
func SyncAlways() Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_sync_policy(options, C.CDRLOG_SYNC_ALWAYS, 0)
	})
}

// SyncInterval syncs this long after the last sync, if anything was written since. Default: 1 s.
func SyncInterval(interval time.Duration) Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_sync_policy(options, C.CDRLOG_SYNC_INTERVAL, milliseconds(interval))
	})
}

// How sealed files are compressed.
const (
	None uint32 = C.CDRLOG_COMPRESSION_NONE
	Zstd uint32 = C.CDRLOG_COMPRESSION_ZSTD
	Gzip uint32 = C.CDRLOG_COMPRESSION_GZIP
)

// Compression is None, Zstd or Gzip, for sealed files. Default: None.
func Compression(compression uint32) Option {
	return set(func(options *C.cdrlog_options) C.cdrlog_result {
		return C.cdrlog_options_set_compression(options, C.cdrlog_compression(compression))
	})
}

// InboxDirectory is where accepted events outlive the process, on a tmpfs. "" turns the inbox off: events that are
// not journaled are lost if the process dies. Default: /dev/shm.
func InboxDirectory(directory string) Option {
	return func(settings *settings) error {
		if directory == "" {
			return check(func() C.cdrlog_result {
				return C.cdrlog_options_set_inbox_directory(settings.handle, nil)
			})
		}
		name, err := cPath(directory)
		if err != nil {
			return err
		}
		defer C.free(unsafe.Pointer(name))
		return check(func() C.cdrlog_result {
			return C.cdrlog_options_set_inbox_directory(settings.handle, name)
		})
	}
}

// A Notice is what an operator should know.
type Notice struct {
	Kind NoticeKind
	// A sentence for the log.
	Message string
}

// A NoticeKind is what a notice is about. A later version may have more.
type NoticeKind uint32

// cdrlog.h explains them.
const (
	OtherNotice      NoticeKind = C.CDRLOG_NOTICE_OTHER
	WritesFail       NoticeKind = C.CDRLOG_NOTICE_WRITES_FAIL
	WritesGoOn       NoticeKind = C.CDRLOG_NOTICE_WRITES_GO_ON
	SyncFails        NoticeKind = C.CDRLOG_NOTICE_SYNC_FAILED
	ChangedByOthers  NoticeKind = C.CDRLOG_NOTICE_CHANGED_BY_OTHERS
	LockReplaced     NoticeKind = C.CDRLOG_NOTICE_LOCK_REPLACED
	GaveUp           NoticeKind = C.CDRLOG_NOTICE_GAVE_UP
	NoInbox          NoticeKind = C.CDRLOG_NOTICE_NO_INBOX
	InboxRemoved     NoticeKind = C.CDRLOG_NOTICE_INBOX_REMOVED
	MaintenanceFails NoticeKind = C.CDRLOG_NOTICE_MAINTENANCE_FAILS
	ClockJumped      NoticeKind = C.CDRLOG_NOTICE_CLOCK_JUMPED
	ForeignFiles     NoticeKind = C.CDRLOG_NOTICE_FOREIGN_FILES
	FileRemoved      NoticeKind = C.CDRLOG_NOTICE_FILE_REMOVED
	PinUnreadable    NoticeKind = C.CDRLOG_NOTICE_PIN_UNREADABLE
)

// OnNotice has notices given to a function, by threads of the library, several at the same time maybe. No line is
// written meanwhile: it should hand the notice on and return. It must not panic, which ends the program. nil: nothing is
// called, the default.
func OnNotice(listener func(Notice)) Option {
	return func(settings *settings) error {
		settings.forgetListener()
		if listener == nil {
			return check(func() C.cdrlog_result {
				return C.cdrlog_options_set_notice_callback(settings.handle, nil, nil)
			})
		}
		settings.listener = cgo.NewHandle(listener)
		return check(func() C.cdrlog_result {
			return C.cdrlog_go_on_notice(settings.handle, C.uintptr_t(settings.listener))
		})
	}
}

func (settings *settings) forgetListener() {
	if settings.listener != 0 {
		settings.listener.Delete()
		settings.listener = 0
	}
}
