package cdrlog

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
)

// What LiveKit's types look like to a notifier.
type (
	webhookEvent struct {
		Event string `json:"event"`
		Room  string `json:"room"`
	}
	webhookInfo  struct{ Event string }
	filterParams struct{ ExcludeEvents []string }
	notifyOption func(*[]string)
	notifier     = Notifier[*webhookEvent, *webhookInfo, filterParams, notifyOption]
	params       = NotifierParams[*webhookEvent, *webhookInfo, filterParams, notifyOption]
)

// The interface of LiveKit's package webhook, word for word but for the packages of its types: webhook/notifier.go of
// github.com/livekit/protocol at v1.50.4, and the same at commit d74e7cdb9835 of 2026-08-22.
type webhookQueuedNotifier interface {
	RegisterProcessedHook(f func(ctx context.Context, whi *webhookInfo))
	SetKeys(apiKey, apiSecret string)
	SetFilter(params filterParams)
	QueueNotify(ctx context.Context, event *webhookEvent, opts ...notifyOption) error
	Stop(force bool)
}

var _ webhookQueuedNotifier = (*notifier)(nil)

func encode(event *webhookEvent) ([]byte, error) { return json.Marshal(event) }

func passes(filter filterParams, event *webhookEvent) bool {
	for _, excluded := range filter.ExcludeEvents {
		if event.Event == excluded {
			return false
		}
	}
	return true
}

// A notifier that notes what it is asked to do.
type recorder struct {
	calls []string
	err   error
}

func (recorder *recorder) RegisterProcessedHook(func(context.Context, *webhookInfo)) {
	recorder.calls = append(recorder.calls, "hook")
}
func (recorder *recorder) SetKeys(key, secret string) {
	recorder.calls = append(recorder.calls, "keys "+key+secret)
}
func (recorder *recorder) SetFilter(filterParams) { recorder.calls = append(recorder.calls, "filter") }
func (recorder *recorder) QueueNotify(_ context.Context, event *webhookEvent, opts ...notifyOption) error {
	var urls []string
	for _, option := range opts {
		option(&urls)
	}
	recorder.calls = append(recorder.calls, event.Event+urls[0])
	return recorder.err
}
func (recorder *recorder) Stop(force bool) { recorder.calls = append(recorder.calls, "stop") }

func notifierOf(t *testing.T, appender *Appender, params params) *notifier {
	t.Helper()
	notifier, err := NewNotifier(appender, params)
	must(t, err)
	return notifier
}

func TestAnEventOfLiveKitIsALineOnceItIsNotified(t *testing.T) {
	appender := open(t, t.TempDir())
	var told []string
	notifier := notifierOf(t, appender, params{
		Encode: encode,
		Passes: passes,
		Info:   func(event *webhookEvent) *webhookInfo { return &webhookInfo{event.Event} },
	})
	notifier.RegisterProcessedHook(func(_ context.Context, info *webhookInfo) { told = append(told, info.Event) })
	notifier.SetKeys("key", "secret")
	notifier.SetFilter(filterParams{[]string{"track_published"}})
	for _, event := range []string{"room_started", "track_published", "room_finished"} {
		must(t, notifier.QueueNotify(context.Background(), &webhookEvent{event, "r"}))
	}
	notifier.Stop(false)
	if cdr := cdrOf(t, appender); cdr != `{"room_started":{"room":"r"}}`+"\n"+`{"room_finished":{"room":"r"}}`+"\n" {
		t.Fatal(cdr)
	}
	if len(told) != 2 || told[1] != "room_finished" {
		t.Fatal(told)
	}
	if err := notifier.QueueNotify(context.Background(), &webhookEvent{"late", "r"}); !errors.Is(err, InvalidHandle) {
		t.Fatal(err)
	}
}

func TestTheNotifierOfTheURLsGetsEveryEventToo(t *testing.T) {
	appender := open(t, t.TempDir())
	next := &recorder{}
	notifier := notifierOf(t, appender, params{Encode: encode, Next: next})
	notifier.RegisterProcessedHook(func(context.Context, *webhookInfo) { t.Error("the next notifier calls it") })
	notifier.SetKeys("a", "b")
	notifier.SetFilter(filterParams{})
	url := notifyOption(func(urls *[]string) { *urls = append(*urls, " to url") })
	must(t, notifier.QueueNotify(context.Background(), &webhookEvent{"room_started", "r"}, url))
	next.err = errors.New("the queue of the URL is full")
	if err := notifier.QueueNotify(context.Background(), &webhookEvent{"room_finished", "r"}, url); err != next.err {
		t.Fatal(err)
	}
	must(t, appender.Close())
	if err := notifier.QueueNotify(context.Background(), &webhookEvent{"late", "r"}, url); !errors.Is(err, Closed) {
		t.Fatal(err)
	}
	notifier.Stop(true)
	expected := []string{"hook", "keys ab", "filter", "room_started to url", "room_finished to url", "late to url", "stop"}
	if len(next.calls) != len(expected) {
		t.Fatal(next.calls)
	}
	for index, call := range expected {
		if next.calls[index] != call {
			t.Fatal(next.calls)
		}
	}
}
