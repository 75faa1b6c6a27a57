package cdrlog

/*
#include <stdlib.h>
#include <cdrlog.h>
*/
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// An Appender is an open directory. It must be closed.
type Appender struct {
	settings settings
	handle   *C.cdrlog_appender
	isClosed atomic.Bool
}

var errAppenderClosed error = &Error{Code: InvalidHandle, Message: "the appender was closed"}

// call makes a call with the handle, unless it was closed: it may be that of another appender by now.
func (appender *Appender) call(call func() C.cdrlog_result) error {
	if appender.isClosed.Load() {
		return errAppenderClosed
	}
	return check(call)
}

// Open opens a directory: creates it if it does not exist, locks it, and writes what an earlier process left.
func Open(directory string, options ...Option) (*Appender, error) {
	name, err := cPath(directory)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(name))
	appender := &Appender{}
	settings := &appender.settings
	err = check(func() C.cdrlog_result {
		settings.handle = C.cdrlog_options_new(name)
		if settings.handle == nil {
			return C.CDRLOG_INVALID_ARGUMENT
		}
		return C.CDRLOG_OK
	})
	if err != nil {
		return nil, err
	}
	defer C.cdrlog_options_free(settings.handle)
	for _, option := range options {
		if err := option(settings); err != nil {
			settings.forgetListener()
			return nil, err
		}
	}
	if err := check(func() C.cdrlog_result { return C.cdrlog_open(settings.handle, &appender.handle) }); err != nil {
		settings.forgetListener()
		return nil, err
	}
	return appender, nil
}

// Flush waits until everything sent before is written: readers see it.
func (appender *Appender) Flush() error {
	return appender.call(func() C.cdrlog_result { return C.cdrlog_flush(appender.handle) })
}

// Sync waits until everything sent before survives a power loss.
func (appender *Appender) Sync() error {
	return appender.call(func() C.cdrlog_result { return C.cdrlog_sync(appender.handle) })
}

// Rotate starts new files after everything sent before.
func (appender *Appender) Rotate() error {
	return appender.call(func() C.cdrlog_result { return C.cdrlog_rotate(appender.handle) })
}

// WaitForMaintenance waits until sealed files are listed, compressed, and the oldest removed: maybe minutes.
func (appender *Appender) WaitForMaintenance() error {
	return appender.call(func() C.cdrlog_result { return C.cdrlog_wait_for_maintenance(appender.handle) })
}

// WriteFailure is the write that fails now and is retried, or nil.
func (appender *Appender) WriteFailure() error {
	return appender.call(func() C.cdrlog_result { return C.cdrlog_write_failure(appender.handle) })
}

// CDRPath is the file that lines are being written to.
func (appender *Appender) CDRPath() (string, error) {
	return appender.path(func(path *C.char, capacity C.size_t, length *C.size_t) C.cdrlog_result {
		return C.cdrlog_cdr_path(appender.handle, path, capacity, length)
	})
}

// RejectsPath is the file of bodies that are not events. It exists once there is one.
func (appender *Appender) RejectsPath() (string, error) {
	return appender.path(func(path *C.char, capacity C.size_t, length *C.size_t) C.cdrlog_result {
		return C.cdrlog_rejects_path(appender.handle, path, capacity, length)
	})
}

// InboxPath is the file of accepted events; "" if there is none, and they do not outlive the process.
func (appender *Appender) InboxPath() (string, error) {
	return appender.path(func(path *C.char, capacity C.size_t, length *C.size_t) C.cdrlog_result {
		return C.cdrlog_inbox_path(appender.handle, path, capacity, length)
	})
}

func (appender *Appender) path(
	get func(path *C.char, capacity C.size_t, length *C.size_t) C.cdrlog_result,
) (string, error) {
	buffer := make([]byte, 256)
	for {
		var length C.size_t
		var code C.cdrlog_result
		err := appender.call(func() C.cdrlog_result {
			code = get((*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(len(buffer)), &length)
			return code
		})
		if err == nil {
			return string(buffer[:length]), nil
		}
		if code != C.CDRLOG_BUFFER_TOO_SMALL {
			return "", err
		}
		buffer = make([]byte, length+1)
	}
}

// Stats are all counters since the open, by their names, such as "events_journaled".
func (appender *Appender) Stats() (map[string]uint64, error) {
	values := make([]C.uint64_t, C.cdrlog_stats_count())
	err := appender.call(func() C.cdrlog_result {
		return C.cdrlog_stats(appender.handle, &values[0], C.size_t(len(values)), nil)
	})
	if err != nil {
		return nil, err
	}
	stats := make(map[string]uint64, len(values))
	for index, value := range values {
		stats[C.GoString(C.cdrlog_stats_name(C.size_t(index)))] = uint64(value)
	}
	return stats, nil
}

// Recovered says what Open repaired after a process that did not close, as one sentence for the log; "" if there
// was nothing to repair.
func (appender *Appender) Recovered() (string, error) {
	var recovery *C.cdrlog_recovery
	err := appender.call(func() C.cdrlog_result { return C.cdrlog_recovery_of(appender.handle, &recovery) })
	if err != nil {
		return "", err
	}
	defer C.cdrlog_recovery_free(recovery)
	return C.GoString(C.cdrlog_recovery_message(recovery)), nil
}

// Close writes and syncs everything that was accepted. After an error, what could not be written is in the journal
// and the inbox, and the next Open writes it; the appender is closed all the same, unless this is called by a listener
// (WouldDeadlock). A second Close does nothing.
func (appender *Appender) Close() error {
	if appender.isClosed.Load() {
		return nil
	}
	var code C.cdrlog_result
	err := check(func() C.cdrlog_result {
		code = C.cdrlog_close(appender.handle)
		return code
	})
	switch code {
	case C.CDRLOG_WOULD_DEADLOCK:
		return err
	case C.CDRLOG_INVALID_HANDLE:
		// Another Close is at it.
		return nil
	}
	appender.isClosed.Store(true)
	appender.settings.forgetListener()
	return err
}
