// Package cdrlog appends the webhook events of a media server to Call Detail Record files, and loses none: an
// event that Send took is in the CDR, even if the process is killed right after Send returned.
//
// It is the C library libcdrlog, which must be installed, with its header. What each call does, how long it may
// take and what it costs is in cdrlog.h.
//
// Everything here may be used by any number of goroutines, unless it says otherwise.
package cdrlog

/*
#cgo LDFLAGS: -lcdrlog
#include <cdrlog.h>
*/
import "C"

import (
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Version is that of the library that is loaded.
func Version() string { return C.GoString(C.cdrlog_version()) }

// A Code says what the caller can do about a failed call. It is an error of its own, for errors.Is:
//
//	if errors.Is(err, cdrlog.Full) { … }
type Code uint32

// The codes; cdrlog.h explains them. A later version may have more.
const (
	Full            Code = C.CDRLOG_FULL
	Closed          Code = C.CDRLOG_CLOSED
	InvalidArgument Code = C.CDRLOG_INVALID_ARGUMENT
	InvalidHandle   Code = C.CDRLOG_INVALID_HANDLE
	Locked          Code = C.CDRLOG_LOCKED
	Damaged         Code = C.CDRLOG_DAMAGED
	IO              Code = C.CDRLOG_IO
	SyncFailed      Code = C.CDRLOG_SYNC_FAILED
	Rejected        Code = C.CDRLOG_REJECTED
	TimedOut        Code = C.CDRLOG_TIMED_OUT
	LineTooLong     Code = C.CDRLOG_LINE_TOO_LONG
	NoSuchPosition  Code = C.CDRLOG_NO_SUCH_POSITION
	WouldDeadlock   Code = C.CDRLOG_WOULD_DEADLOCK
	SealedFile      Code = C.CDRLOG_SEALED_FILE
	Panic           Code = C.CDRLOG_PANIC
	PositionGone    Code = C.CDRLOG_POSITION_GONE
)

var codeNames = map[Code]string{
	Full: "the queue is full", Closed: "the appender is closed", InvalidArgument: "an argument is invalid",
	InvalidHandle: "the handle was closed", Locked: "another appender has the directory open",
	Damaged: "the journal is damaged", IO: "the system refused something", SyncFailed: "a sync has failed",
	Rejected: "the body is not an event", TimedOut: "the time is over", LineTooLong: "the line is too long",
	NoSuchPosition: "the position does not exist", WouldDeadlock: "the call would wait for its own thread",
	SealedFile: "a sealed file needs a person", Panic: "a fault in cdrlog",
	PositionGone: "the file of the position is gone",
}

func (code Code) Error() string {
	if name, ok := codeNames[code]; ok {
		return name
	}
	return "a failure that this version does not know"
}

// An Error is why a call failed.
type Error struct {
	Code Code
	// A sentence that names the file, argument or option concerned.
	Message string
	// Such as ENOSPC; 0 if the system was not the cause.
	Errno syscall.Errno
}

func (failure *Error) Error() string { return failure.Message }

// Unwrap gives the code, and the error of the system if there is one.
func (failure *Error) Unwrap() []error {
	if failure.Errno != 0 {
		return []error{failure.Code, failure.Errno}
	}
	return []error{failure.Code}
}

// check makes a call that can fail. The library keeps the reason for each thread, so the goroutine must stay on
// its thread until it has it.
func check(call func() C.cdrlog_result) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	code := call()
	if code == C.CDRLOG_OK {
		return nil
	}
	return failureOf(code, C.cdrlog_last_error_message(), C.cdrlog_last_error_errno())
}

func failureOf(code C.cdrlog_result, message *C.char, errno C.int) error {
	return &Error{Code: Code(code), Message: C.GoString(message), Errno: syscall.Errno(errno)}
}

// cPath gives a path as a string of C, which the caller frees. A NUL in it would end it early, at another path.
func cPath(path string) (*C.char, error) {
	if strings.IndexByte(path, 0) >= 0 {
		return nil, &Error{Code: InvalidArgument, Message: "a path has a NUL in it"}
	}
	return C.CString(path), nil
}

// milliseconds rounds up, so that a short time does not become none.
func milliseconds(duration time.Duration) C.uint64_t {
	if duration <= 0 {
		return 0
	}
	return C.uint64_t((duration + time.Millisecond - 1) / time.Millisecond)
}
