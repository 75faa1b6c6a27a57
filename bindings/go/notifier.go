package cdrlog

import (
	"context"
	"sync"
)

// A QueuedNotifier is the interface webhook.QueuedNotifier of github.com/livekit/protocol (as of v1.50.4 and its commit
// d74e7cdb9835), with LiveKit's types as parameters: this package depends on nothing, and where LiveKit changes no
// method, it follows their versions.
//
//	Event   *livekit.WebhookEvent
//	Info    *livekit.WebhookInfo
//	Filter  webhook.FilterParams
//	Notify  webhook.NotifyOption
type QueuedNotifier[Event, Info, Filter, Notify any] interface {
	RegisterProcessedHook(f func(ctx context.Context, whi Info))
	SetKeys(apiKey, apiSecret string)
	SetFilter(params Filter)
	QueueNotify(ctx context.Context, event Event, opts ...Notify) error
	Stop(force bool)
}

// NotifierParams are what a Notifier needs to know of LiveKit's types.
type NotifierParams[Event, Info, Filter, Notify any] struct {
	// The body of the webhook: protojson.Marshal.
	Encode func(Event) ([]byte, error)
	// Whether the filter lets an event pass; LiveKit's FilterParams have a method IsAllowed for it after v1.50.4. nil: the
	// CDR has all events, whatever filter is set.
	Passes func(Filter, Event) bool
	// What the hook of RegisterProcessedHook is given. nil: the hook is not called.
	Info func(Event) Info
	// Gets every event too, after the CDR has it: the notifier that posts to the URLs of the configuration.
	Next QueuedNotifier[Event, Info, Filter, Notify]
}

// A Notifier appends the events of a LiveKit server to a CDR. It is a webhook.QueuedNotifier:
//
//	notifier, err := cdrlog.NewNotifier(appender, cdrlog.NotifierParams[*livekit.WebhookEvent,
//	    *livekit.WebhookInfo, webhook.FilterParams, webhook.NotifyOption]{
//	    Encode: func(event *livekit.WebhookEvent) ([]byte, error) { return protojson.Marshal(event) },
//	    Next:   urls, // of webhook.NewDefaultNotifier
//	})
//	var _ webhook.QueuedNotifier = notifier
//
// QueueNotify returns once the event outlives the process: unlike a webhook, it is not lost if the receiver is
// away or the server ends.
type Notifier[Event, Info, Filter, Notify any] struct {
	appender *Appender
	producer *Producer
	params   NotifierParams[Event, Info, Filter, Notify]

	mutex  sync.RWMutex
	filter *Filter
	hook   func(ctx context.Context, whi Info)
}

// NewNotifier makes a notifier of an appender, which it does not close.
func NewNotifier[Event, Info, Filter, Notify any](
	appender *Appender, params NotifierParams[Event, Info, Filter, Notify],
) (*Notifier[Event, Info, Filter, Notify], error) {
	producer, err := appender.Producer()
	if err != nil {
		return nil, err
	}
	return &Notifier[Event, Info, Filter, Notify]{appender: appender, producer: producer, params: params}, nil
}

// RegisterProcessedHook has a function called after each event is in the CDR.
func (notifier *Notifier[Event, Info, Filter, Notify]) RegisterProcessedHook(f func(ctx context.Context, whi Info)) {
	notifier.mutex.Lock()
	notifier.hook = f
	notifier.mutex.Unlock()
	if notifier.params.Next != nil {
		notifier.params.Next.RegisterProcessedHook(f)
	}
}

// SetKeys is for the next notifier: a CDR is not signed.
func (notifier *Notifier[Event, Info, Filter, Notify]) SetKeys(apiKey, apiSecret string) {
	if notifier.params.Next != nil {
		notifier.params.Next.SetKeys(apiKey, apiSecret)
	}
}

// SetFilter sets what NotifierParams.Passes is asked with.
func (notifier *Notifier[Event, Info, Filter, Notify]) SetFilter(params Filter) {
	notifier.mutex.Lock()
	notifier.filter = &params
	notifier.mutex.Unlock()
	if notifier.params.Next != nil {
		notifier.params.Next.SetFilter(params)
	}
}

// QueueNotify sends the event; it waits while the queue is full until ctx is done. Its options are for the next
// notifier: they add URLs. An event that the CDR could not take is given to the next notifier all the same.
func (notifier *Notifier[Event, Info, Filter, Notify]) QueueNotify(ctx context.Context, event Event, opts ...Notify) error {
	err := notifier.record(ctx, event)
	if notifier.params.Next == nil {
		return err
	}
	if nextErr := notifier.params.Next.QueueNotify(ctx, event, opts...); err == nil {
		err = nextErr
	}
	return err
}

func (notifier *Notifier[Event, Info, Filter, Notify]) record(ctx context.Context, event Event) error {
	notifier.mutex.RLock()
	filter, hook := notifier.filter, notifier.hook
	notifier.mutex.RUnlock()
	if filter != nil && notifier.params.Passes != nil && !notifier.params.Passes(*filter, event) {
		return nil
	}
	body, err := notifier.params.Encode(event)
	if err != nil {
		return err
	}
	if err := notifier.producer.SendContext(ctx, body); err != nil {
		return err
	}
	// The next notifier calls it when it has posted the event.
	if hook != nil && notifier.params.Info != nil && notifier.params.Next == nil {
		hook(ctx, notifier.params.Info(event))
	}
	return nil
}

// Stop ends the notifier. Without force it waits until all events are written to the CDR; with force they are
// safe too, and are written later. The appender must be closed after it.
func (notifier *Notifier[Event, Info, Filter, Notify]) Stop(force bool) {
	if notifier.params.Next != nil {
		notifier.params.Next.Stop(force)
	}
	if !force {
		// A failure is retried by the appender, whose Close reports it.
		_ = notifier.appender.Flush()
	}
	_ = notifier.producer.Close()
}
