package cdrlog

/*
#cgo noescape cdrlog_go_send
#cgo nocallback cdrlog_go_send
#cgo noescape cdrlog_go_try_send
#cgo nocallback cdrlog_go_try_send
#include <stdlib.h>
#include <string.h>
#include <cdrlog.h>

extern void cdrlogGoOutcome(uintptr_t, cdrlog_result, char *, uint64_t, uint64_t);

// What a send came to. The library keeps the reason of a failure for each thread, and a goroutine may be on another
// one after the call: the reason is fetched in the call. The caller frees the message.
typedef struct {
	cdrlog_result code;
	int error;
	char *message;
} cdrlog_go_result;

static cdrlog_go_result cdrlog_go_explained(cdrlog_result code) {
	cdrlog_go_result result = {code, 0, NULL};
	if (code != CDRLOG_OK && code != CDRLOG_FULL) {
		result.error = cdrlog_last_error_errno();
		result.message = strdup(cdrlog_last_error_message());
	}
	return result;
}

static cdrlog_go_result cdrlog_go_send(cdrlog_producer *producer, const uint8_t *event, size_t event_bytes) {
	return cdrlog_go_explained(cdrlog_send(producer, event, event_bytes));
}

static cdrlog_go_result cdrlog_go_try_send(cdrlog_producer *producer, const uint8_t *event, size_t event_bytes) {
	return cdrlog_go_explained(cdrlog_try_send(producer, event, event_bytes));
}

static void cdrlog_go_outcome(void *context, cdrlog_result result, const char *file, uint64_t offset,
                              uint64_t line_bytes) {
	cdrlogGoOutcome((uintptr_t)context, result, (char *)file, offset, line_bytes);
}

static cdrlog_result cdrlog_go_send_outcome(cdrlog_producer *producer, const uint8_t *event, size_t event_bytes,
                                            cdrlog_durability level, uintptr_t context) {
	return cdrlog_send_with_callback(producer, event, event_bytes, level, cdrlog_go_outcome, (void *)context);
}
*/
import "C"

import (
	"context"
	"errors"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// A Producer sends events. Goroutines may share one, but their sends wait for each other: those that send much
// should have one each.
type Producer struct {
	handle   *C.cdrlog_producer
	isClosed atomic.Bool
	// Sends that do not wait take turns: to the library, one that finds another one at work looks like a full queue.
	turn sync.Mutex
}

// Producer makes a new one. It must be closed; it may outlive the appender.
func (appender *Appender) Producer() (*Producer, error) {
	producer := &Producer{}
	err := appender.call(func() C.cdrlog_result { return C.cdrlog_producer_new(appender.handle, &producer.handle) })
	if err != nil {
		return nil, err
	}
	return producer, nil
}

// Send sends an event, the body of a webhook; it waits while the queue is full. Once it returns nil, the event
// outlives the process. The bytes are copied.
func (producer *Producer) Send(event []byte) error {
	if producer.isClosed.Load() {
		return errProducerClosed
	}
	return explained(C.cdrlog_go_send(producer.handle, start(event), C.size_t(len(event))))
}

// TrySend never waits for room: errors.Is(err, Full) says that the queue is full, or that another goroutine waits in a
// Send with this producer, and that the event was not taken.
func (producer *Producer) TrySend(event []byte) error {
	producer.turn.Lock()
	defer producer.turn.Unlock()
	if producer.isClosed.Load() {
		return errProducerClosed
	}
	return explained(C.cdrlog_go_try_send(producer.handle, start(event), C.size_t(len(event))))
}

// How long SendContext waits between two tries.
const fullPoll = time.Millisecond

// SendContext waits while the queue is full until ctx is done, and returns its error then.
func (producer *Producer) SendContext(ctx context.Context, event []byte) error {
	for {
		err := producer.TrySend(event)
		if err != errFull {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(fullPoll):
		}
	}
}

// A Durability is a level that an event reaches.
type Durability uint32

const (
	Journaled Durability = C.CDRLOG_JOURNALED // it outlives the process, but not a power loss
	Written   Durability = C.CDRLOG_WRITTEN   // readers see it; it survives the same
	Synced    Durability = C.CDRLOG_SYNCED    // it survives a power loss too
)

// A Position is a place in the CDR.
type Position struct {
	File   string
	Offset uint64 // in bytes, uncompressed
}

// An Outcome is what became of an event.
type Outcome struct {
	// Where the line of the event starts.
	Position Position
	// Its length with the line feed.
	LineBytes uint64
	// Why the event did not reach the level, or nil. errors.Is(err, Rejected): the body is not an event.
	Err error
}

// SendAcked is like Send, and gives a channel that gets one Outcome, once the event has reached the level or never
// will.
func (producer *Producer) SendAcked(event []byte, level Durability) (<-chan Outcome, error) {
	if producer.isClosed.Load() {
		return nil, errProducerClosed
	}
	outcome := make(chan Outcome, 1)
	handle := cgo.NewHandle(outcome)
	err := check(func() C.cdrlog_result {
		return C.cdrlog_go_send_outcome(producer.handle, start(event), C.size_t(len(event)),
			C.cdrlog_durability(level), C.uintptr_t(handle))
	})
	if err != nil {
		handle.Delete() // the callback is not called
		return nil, err
	}
	return outcome, nil
}

// Close frees the producer, after a Send that waits for room; what it has sent is not affected. A second Close does
// nothing, and sends after it fail. WouldDeadlock, only in a listener: another goroutine waits in a Send.
func (producer *Producer) Close() error {
	if producer.isClosed.Swap(true) {
		return nil
	}
	err := check(func() C.cdrlog_result { return C.cdrlog_producer_free(producer.handle) })
	if errors.Is(err, WouldDeadlock) {
		producer.isClosed.Store(false)
	}
	return err
}

// The same for every send, so that none allocates.
var (
	errFull error = &Error{Code: Full, Message: "the queue is full"}
	// The handle may be that of another producer by now.
	errProducerClosed error = &Error{Code: InvalidHandle, Message: "the producer was closed"}
)

func explained(result C.cdrlog_go_result) error {
	switch result.code {
	case C.CDRLOG_OK:
		return nil
	case C.CDRLOG_FULL:
		return errFull
	}
	defer C.free(unsafe.Pointer(result.message))
	return &Error{Code: Code(result.code), Message: C.GoString(result.message), Errno: syscall.Errno(result.error)}
}

func start(event []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(event)) }
