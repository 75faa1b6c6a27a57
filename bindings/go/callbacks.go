package cdrlog

// The functions that the library calls. A file of their own: what is exported to C may not be defined in the
// preamble of the same file.

/*
#include <stdint.h>
#include <cdrlog.h>
*/
import "C"

import "runtime/cgo"

//export cdrlogGoNotice
func cdrlogGoNotice(context C.uintptr_t, notice C.cdrlog_notice, message *C.char) {
	listener := cgo.Handle(context).Value().(func(Notice))
	listener(Notice{Kind: NoticeKind(notice), Message: C.GoString(message)})
}

//export cdrlogGoOutcome
func cdrlogGoOutcome(context C.uintptr_t, code C.cdrlog_result, file *C.char, offset, lineBytes C.uint64_t) {
	handle := cgo.Handle(context)
	outcome := handle.Value().(chan Outcome)
	handle.Delete()
	if code == C.CDRLOG_OK {
		outcome <- Outcome{Position: Position{C.GoString(file), uint64(offset)}, LineBytes: uint64(lineBytes)}
	} else {
		// This is the thread whose failure it is.
		outcome <- Outcome{Err: failureOf(code, C.cdrlog_last_error_message(), C.cdrlog_last_error_errno())}
	}
}
