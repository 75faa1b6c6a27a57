package cdrlog

/*
#include <stdlib.h>
#include <cdrlog.h>
*/
import "C"

import (
	"errors"
	"io"
	"time"
	"unsafe"
)

// ReaderOptions are where and how a Reader reads. The zero value reads all that is there.
type ReaderOptions struct {
	// Read rejected bodies and not the CDR.
	Rejects bool
	// Wait for lines that are written later.
	Follow bool
	// Start here, as Reader.Position gave it, and not with the oldest line.
	Begin *Position
	// The length above which a line is an error and skipped. 0: 64 MiB.
	LineBytesMax uint
}

// A Reader gives the lines of a CDR directory, oldest first, each once, compressed or not. One goroutine may use
// it at a time.
type Reader struct {
	handle *C.cdrlog_reader
}

// OpenReader needs no appender, and may read in another process. The reader must be closed.
func OpenReader(directory string, options ReaderOptions) (*Reader, error) {
	name, err := cPath(directory)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(name))
	var begin *C.char
	if options.Begin != nil {
		if begin, err = cPath(options.Begin.File); err != nil {
			return nil, err
		}
		defer C.free(unsafe.Pointer(begin))
	}
	reader := &Reader{}
	err = check(func() C.cdrlog_result {
		handle := C.cdrlog_reader_options_new(name)
		if handle == nil {
			return C.CDRLOG_INVALID_ARGUMENT
		}
		defer C.cdrlog_reader_options_free(handle)
		if code := options.apply(handle, begin); code != C.CDRLOG_OK {
			return code
		}
		return C.cdrlog_reader_open(handle, &reader.handle)
	})
	if err != nil {
		return nil, err
	}
	return reader, nil
}

var errReaderClosed error = &Error{Code: InvalidHandle, Message: "the reader was closed"}

// call makes a call with the handle, unless it was closed: it may be that of another reader by now.
func (reader *Reader) call(call func() C.cdrlog_result) error {
	if reader.handle == nil {
		return errReaderClosed
	}
	return check(call)
}

func (options *ReaderOptions) apply(handle *C.cdrlog_reader_options, begin *C.char) C.cdrlog_result {
	if options.Rejects {
		if code := C.cdrlog_reader_options_set_files(handle, C.CDRLOG_FILES_REJECTS); code != C.CDRLOG_OK {
			return code
		}
	}
	if options.LineBytesMax > 0 {
		code := C.cdrlog_reader_options_set_line_bytes_max(handle, C.size_t(options.LineBytesMax))
		if code != C.CDRLOG_OK {
			return code
		}
	}
	if options.Begin != nil {
		code := C.cdrlog_reader_options_set_begin(handle, begin, C.uint64_t(options.Begin.Offset))
		if code != C.CDRLOG_OK {
			return code
		}
	}
	return C.cdrlog_reader_options_set_follow(handle, C.bool(options.Follow))
}

// Next gives the next line without its line feed; it is valid until the next call. io.EOF: there is none, or none
// yet. After another error the next call goes on.
func (reader *Reader) Next() ([]byte, error) {
	var line *C.uint8_t
	var length C.size_t
	var code C.cdrlog_result
	err := reader.call(func() C.cdrlog_result {
		code = C.cdrlog_reader_next(reader.handle, &line, &length)
		return code
	})
	if code == C.CDRLOG_END {
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(line), int(length)), nil
}

// Wait waits until there may be a line to read, or for this time.
func (reader *Reader) Wait(timeout time.Duration) error {
	return reader.call(func() C.cdrlog_result { return C.cdrlog_reader_wait(reader.handle, milliseconds(timeout)) })
}

// ErrNothingRead says that a reader has no position yet.
var ErrNothingRead = errors.New("nothing was read yet")

// Position is that after the last line: save it, and start the next reader there.
func (reader *Reader) Position() (Position, error) {
	var position Position
	var code C.cdrlog_result
	err := reader.call(func() C.cdrlog_result {
		var file *C.char
		var offset C.uint64_t
		if code = C.cdrlog_reader_position(reader.handle, &file, &offset); code == C.CDRLOG_OK {
			position = Position{C.GoString(file), uint64(offset)}
		}
		return code
	})
	if code == C.CDRLOG_END {
		return Position{}, ErrNothingRead
	}
	return position, err
}

// Close frees the reader. A second Close does nothing.
func (reader *Reader) Close() error {
	handle := reader.handle
	reader.handle = nil
	return check(func() C.cdrlog_result { return C.cdrlog_reader_free(handle) })
}
