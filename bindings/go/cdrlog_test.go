package cdrlog

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	event = `{"event":"sessionCreated","timestamp":1}`
	line  = `{"sessionCreated":{"timestamp":1}}`
)

// A directory for inboxes that is removed with the test.
func inboxes(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("/dev/shm", "cdrlog-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	return directory
}

func open(t *testing.T, directory string, options ...Option) *Appender {
	t.Helper()
	appender, err := Open(directory, append([]Option{InboxDirectory(inboxes(t))}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, appender.Close()) })
	return appender
}

func producerOf(t *testing.T, appender *Appender) *Producer {
	t.Helper()
	producer, err := appender.Producer()
	must(t, err)
	t.Cleanup(func() { must(t, producer.Close()) })
	return producer
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func cdrPathOf(t *testing.T, appender *Appender) string {
	t.Helper()
	path, err := appender.CDRPath()
	must(t, err)
	return path
}

func cdrOf(t *testing.T, appender *Appender) string {
	t.Helper()
	content, err := os.ReadFile(cdrPathOf(t, appender))
	must(t, err)
	return string(content)
}

func TestWhatIsSentIsInTheFile(t *testing.T) {
	appender := open(t, t.TempDir())
	producer := producerOf(t, appender)
	must(t, producer.Send([]byte(event)))
	must(t, producer.TrySend([]byte(event)))
	must(t, producer.SendContext(context.Background(), []byte(event)))
	must(t, producer.Send(nil)) // rejected, not an error
	must(t, appender.Flush())
	if cdr := cdrOf(t, appender); cdr != strings.Repeat(line+"\n", 3) {
		t.Fatal(cdr)
	}
	stats, err := appender.Stats()
	must(t, err)
	if stats["events_journaled"] != 3 || stats["events_rejected"] != 1 {
		t.Fatal(stats)
	}
	rejects, err := appender.RejectsPath()
	must(t, err)
	if content, err := os.ReadFile(rejects); err != nil || !strings.Contains(string(content), `"reason":"empty"`) {
		t.Fatal(string(content), err)
	}
	must(t, appender.Sync())
	must(t, appender.WriteFailure())
	must(t, appender.Rotate())
	must(t, appender.WaitForMaintenance())
	if cdr := cdrOf(t, appender); cdr != "" {
		t.Fatal("the new file has ", cdr)
	}
}

func TestAFailureHasACodeASentenceAndTheErrorOfTheSystem(t *testing.T) {
	directory := t.TempDir()
	appender := open(t, directory)
	if _, err := Open(directory); !errors.Is(err, Locked) || !strings.Contains(err.Error(), directory) {
		t.Fatal(err)
	}
	if _, err := Open(""); !errors.Is(err, InvalidArgument) {
		t.Fatal(err)
	}
	if _, err := Open(t.TempDir(), Journal(1, 1<<20)); !errors.Is(err, InvalidArgument) {
		t.Fatal(err)
	}
	_, err := Open("/proc/no directory")
	var failure *Error
	if !errors.Is(err, IO) || !errors.Is(err, syscall.ENOENT) || !errors.As(err, &failure) {
		t.Fatal(err)
	}
	producer := producerOf(t, appender)
	must(t, appender.Close())
	must(t, appender.Close())
	if err := producer.Send([]byte(event)); !errors.Is(err, Closed) || err.Error() == "" {
		t.Fatal(err)
	}
	if err := appender.Flush(); !errors.Is(err, InvalidHandle) {
		t.Fatal(err)
	}
	must(t, producer.Close())
	must(t, producer.Close())
	if err := producer.TrySend([]byte(event)); !errors.Is(err, InvalidHandle) {
		t.Fatal(err)
	}
}

// In C, a string ends at its first NUL: the path would be another one.
func TestAPathWithANULIsRefused(t *testing.T) {
	directory := t.TempDir()
	path := directory + "\x00other"
	if _, err := Open(path); !errors.Is(err, InvalidArgument) {
		t.Fatal(err)
	}
	if _, err := Open(directory, InboxDirectory(path)); !errors.Is(err, InvalidArgument) {
		t.Fatal(err)
	}
	if _, err := OpenReader(path, ReaderOptions{}); !errors.Is(err, InvalidArgument) {
		t.Fatal(err)
	}
	if _, err := OpenReader(directory, ReaderOptions{Begin: &Position{File: path}}); !errors.Is(err, InvalidArgument) {
		t.Fatal(err)
	}
}

func TestANegativeAgeIsRefused(t *testing.T) {
	for _, age := range []time.Duration{-1, -time.Second, -time.Hour} {
		if _, err := Open(t.TempDir(), Retention(age, KeepAllBytes)); !errors.Is(err, InvalidArgument) {
			t.Fatal(age, err)
		}
	}
}

func TestANilListenerIsNone(t *testing.T) {
	refuse := func(Notice) { t.Error("the listener before it is called") }
	appender := open(t, t.TempDir(), OnNotice(refuse), OnNotice(nil))
	producer := producerOf(t, appender)
	must(t, os.Remove(cdrPathOf(t, appender)))
	must(t, producer.Send([]byte(event)))
	must(t, appender.Rotate())
}

// The library uses the memory of a handle again: what was closed must not become what was opened later.
func TestWhatWasClosedDoesNotBecomeWhatIsOpenedLater(t *testing.T) {
	appender := open(t, t.TempDir())
	closed := producerOf(t, appender)
	must(t, closed.Close())
	others := make([]*Producer, 200)
	for number := range others {
		other, err := appender.Producer()
		must(t, err)
		must(t, other.Close())
		others[number] = producerOf(t, appender)
	}
	for name, send := range map[string]func([]byte) error{"Send": closed.Send, "TrySend": closed.TrySend} {
		if err := send([]byte(event)); !errors.Is(err, InvalidHandle) {
			t.Fatal(name, err)
		}
	}
	if _, err := closed.SendAcked([]byte(event), Written); !errors.Is(err, InvalidHandle) {
		t.Fatal(err)
	}
	must(t, closed.Close())
	for _, other := range others {
		must(t, other.Send([]byte(event)))
	}
	must(t, appender.Flush())
	if stats, err := appender.Stats(); err != nil || stats["events_journaled"] != uint64(len(others)) {
		t.Fatal(stats["events_journaled"], err)
	}
	reader, err := OpenReader(filepath.Dir(cdrPathOf(t, appender)), ReaderOptions{})
	must(t, err)
	must(t, reader.Close())
	must(t, reader.Close())
	if _, err := reader.Next(); !errors.Is(err, InvalidHandle) {
		t.Fatal(err)
	}
}

// A listener that closes is refused, while another goroutine closes too.
func TestAListenerThatClosesDoesNotWaitForItself(t *testing.T) {
	var appender *Appender
	closed := make(chan error, 1)
	closing := make(chan struct{})
	directory := t.TempDir()
	appender = open(t, directory, OnNotice(func(notice Notice) {
		if notice.Kind == ChangedByOthers {
			<-closing
			closed <- appender.Close()
		}
	}))
	producer := producerOf(t, appender)
	must(t, os.Remove(cdrPathOf(t, appender)))
	must(t, producer.Send([]byte(event)))
	ended := make(chan error, 1)
	go func() {
		close(closing)
		ended <- appender.Close()
	}()
	select {
	case err := <-closed:
		if err != nil && !errors.Is(err, WouldDeadlock) {
			t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("the listener waits")
	}
	must(t, <-ended)
}

// The reason of a failure is that of the goroutine's own call, on whatever threads goroutines run.
func TestGoroutinesGetTheirOwnReasons(t *testing.T) {
	var failing sync.WaitGroup
	for range 8 {
		directory := t.TempDir() + "/file"
		must(t, os.WriteFile(directory, nil, 0o600))
		failing.Go(func() {
			for range 50 {
				if _, err := Open(directory); err == nil || !strings.Contains(err.Error(), directory) {
					t.Error(err)
				}
			}
		})
	}
	failing.Wait()
}

func TestAFullQueueIsToldWithoutWaiting(t *testing.T) {
	// No line is written while a notice is being given: the journal and then the queue fill.
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	held := make(chan struct{}, 1)
	directory := t.TempDir()
	notify := OnNotice(func(notice Notice) {
		if notice.Kind == ChangedByOthers {
			held <- struct{}{}
			<-hold
		}
	})
	appender := open(t, directory, EventBytesMax(4096), Journal(2, 4096), QueueEventsMax(4), notify)
	t.Cleanup(release)
	producer := producerOf(t, appender)
	path, err := appender.CDRPath()
	must(t, err)
	must(t, os.Remove(path))
	must(t, producer.Send([]byte(event)))
	flushed := make(chan error, 1)
	go func() { flushed <- appender.Rotate() }()
	<-held
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	taken := 0
	for ; err == nil; err = producer.TrySend([]byte(event)) {
		if taken++; ctx.Err() != nil {
			t.Fatal("the queue is never full")
		}
	}
	if !errors.Is(err, Full) {
		t.Fatal(err)
	}
	// The journal takes what is in the queue until it is full too.
	for err = nil; err == nil; taken++ {
		soon, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		err = producer.SendContext(soon, []byte(event))
		cancel()
	}
	taken--
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	release()
	must(t, <-flushed)
	must(t, appender.Flush())
	stats, err := appender.Stats()
	must(t, err)
	if stats["events_journaled"] != uint64(taken) {
		t.Fatal(stats["events_journaled"], " of ", taken)
	}
}

func TestASendAllocatesNothing(t *testing.T) {
	producer := producerOf(t, open(t, t.TempDir()))
	body := []byte(event)
	if allocations := testing.AllocsPerRun(1000, func() { must(t, producer.Send(body)) }); allocations != 0 {
		t.Fatal(allocations)
	}
}

func TestAnAcknowledgementGivesThePositionOfTheLine(t *testing.T) {
	appender := open(t, t.TempDir())
	producer := producerOf(t, appender)
	must(t, producer.Send([]byte(event)))
	acknowledged, err := producer.SendAcked([]byte(event), Written)
	must(t, err)
	rejected, err := producer.SendAcked([]byte("[]"), Written)
	must(t, err)
	outcome := <-acknowledged
	must(t, outcome.Err)
	path, err := appender.CDRPath()
	must(t, err)
	if (outcome.Position != Position{path, uint64(len(line) + 1)}) || outcome.LineBytes != uint64(len(line)+1) {
		t.Fatal(outcome)
	}
	if outcome := <-rejected; !errors.Is(outcome.Err, Rejected) || outcome.Err.Error() == "" {
		t.Fatal(outcome)
	}
	must(t, appender.Close())
	if _, err := producer.SendAcked([]byte(event), Synced); !errors.Is(err, Closed) {
		t.Fatal(err)
	}
}

func TestAReaderFollowsAndGoesOnAtAPosition(t *testing.T) {
	directory := t.TempDir()
	appender := open(t, directory)
	reader, err := OpenReader(directory, ReaderOptions{Follow: true})
	must(t, err)
	defer reader.Close()
	if _, err := reader.Position(); err != ErrNothingRead {
		t.Fatal(err)
	}
	if _, err := reader.Next(); err != io.EOF {
		t.Fatal(err)
	}
	producer := producerOf(t, appender)
	must(t, producer.Send([]byte(event)))
	must(t, producer.Send([]byte(event)))
	first, err := reader.Next()
	for ; err == io.EOF; first, err = reader.Next() {
		must(t, reader.Wait(10*time.Second))
	}
	must(t, err)
	if string(first) != line {
		t.Fatal(string(first))
	}
	position, err := reader.Position()
	must(t, err)
	must(t, appender.Flush())
	later, err := OpenReader(directory, ReaderOptions{Begin: &position})
	must(t, err)
	defer later.Close()
	if second, err := later.Next(); err != nil || string(second) != line {
		t.Fatal(string(second), err)
	}
	if _, err := later.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if _, err := OpenReader(directory, ReaderOptions{Begin: &Position{position.File, 1 << 40}}); !errors.Is(err, NoSuchPosition) {
		t.Fatal(err)
	}
}

const (
	childDirectory = "CDRLOG_TEST_CHILD_DIRECTORY"
	childInboxes   = "CDRLOG_TEST_CHILD_INBOXES"
)

// The child of the next test: kills itself when its last send has returned.
func TestMain(m *testing.M) {
	directory := os.Getenv(childDirectory)
	if directory == "" {
		os.Exit(m.Run())
	}
	// The library is slower than the death.
	appender, err := Open(directory, InboxDirectory(os.Getenv(childInboxes)), FlushInterval(time.Minute))
	if err != nil {
		panic(err)
	}
	producer, err := appender.Producer()
	if err != nil {
		panic(err)
	}
	for range 100 {
		if err := producer.Send([]byte(event)); err != nil {
			panic(err)
		}
	}
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func TestWhatSendTookOutlivesAKill(t *testing.T) {
	directory, inboxes := filepath.Join(t.TempDir(), "cdr"), inboxes(t)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDirectory+"="+directory, childInboxes+"="+inboxes)
	var killed *exec.ExitError
	if output, err := child.CombinedOutput(); !errors.As(err, &killed) || len(output) != 0 {
		t.Fatal(err, string(output))
	}
	appender, err := Open(directory, InboxDirectory(inboxes))
	must(t, err)
	reader, err := OpenReader(directory, ReaderOptions{})
	must(t, err)
	defer reader.Close()
	for number := range 100 {
		if next, err := reader.Next(); err != nil || string(next) != line {
			t.Fatal("line ", number, ": ", string(next), err)
		}
	}
	if next, err := reader.Next(); err != io.EOF {
		t.Fatal(string(next), err)
	}
	if repaired, err := appender.Recovered(); err != nil || repaired == "" {
		t.Fatal(repaired, err)
	}
	must(t, appender.Close())
}
