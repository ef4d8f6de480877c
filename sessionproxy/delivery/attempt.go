package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/guard"
	"github.com/sessionproxy/sessionproxy/store"
)

// attempt is one delivery of an event.
type attempt struct {
	event    event.Event
	delivery string    // the ID that settles it; empty for a rollback
	key      store.Key // of the session
}

// result is the result of an attempt.
type result struct {
	attempt
	err error
	// withdrawn says that the attempt does not count: it was cancelled, or
	// there was no listener.
	withdrawn, noListener bool
	took                  time.Duration
}

func newAttempt(d *store.Delivery) attempt {
	return attempt{delivery: d.ID, key: d.Key, event: event.Event{
		ID: d.ID, Kind: event.Kind(d.Kind), Manager: d.Key.Manager, Session: d.Key.ID, At: d.At,
		Reason: d.Reason, Principal: d.Info.Principal, Keys: d.Keys,
		Created: d.Info.Created, Expires: d.Info.Expires, Data: d.Data, Attempt: d.Attempts + 1,
	}}
}

// run calls the listener, and sends the result to results. It returns when the
// listener does, or stopGrace after the context of the listener has ended.
func (w *worker) run(a attempt) {
	began := time.Now()
	r := result{attempt: a, withdrawn: true, noListener: true}
	defer func() {
		r.took = time.Since(began)
		w.results <- r // there is room
	}()
	listener, lives := w.service.subscriptions.Find(w.name)
	if listener == nil || w.ctx.Err() != nil {
		return
	}
	r.noListener = false
	ctx, cancel := context.WithTimeout(w.ctx, w.service.timeout)
	defer cancel()
	defer context.AfterFunc(lives, cancel)()
	back := make(chan error, 1)
	go func() { back <- invoke(ctx, listener, a.event) }()
	select {
	case r.err = <-back:
	case <-ctx.Done():
		var ok bool
		if ok, r.err = w.awaitStuck(lives, back); !ok {
			return
		}
	}
	r.withdrawn = r.err != nil && (lives.Err() != nil || w.ctx.Err() != nil)
}

// awaitStuck waits for a listener whose time is over: as long as it takes while
// its configuration lives, since a retry would get stuck as well.
func (w *worker) awaitStuck(lives context.Context, back <-chan error) (came bool, err error) {
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case err := <-back:
		return true, err
	case <-timer.C:
	}
	if lives.Err() == nil && w.ctx.Err() == nil {
		w.service.observer.stuckListener(w.name)
		select {
		case err := <-back:
			return true, err
		case <-lives.Done():
		case <-w.ctx.Done():
		}
		timer.Reset(stopGrace)
		select {
		case err := <-back:
			return true, err
		case <-timer.C:
		}
	}
	w.service.mu.Lock()
	defer w.service.mu.Unlock()
	if !slices.Contains(w.service.stuck, w.name) {
		w.service.stuck = append(w.service.stuck, w.name)
	}
	return false, nil
}

// invoke calls the listener. It returns a panic as an error, without a text
// that may hold data.
func invoke(ctx context.Context, l event.Listener, e event.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("listener panicked%s", guard.Text(p))
		}
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.Handle(ctx, e)
}

// settlement evaluates an attempt: for the store, and for the observer.
func (w *worker) settlement(r *result) (store.Settlement, Attempt) {
	now := w.service.now()
	t := Attempt{
		Listener: w.name, Kind: r.event.Kind, Manager: r.event.Manager, Session: r.event.Session,
		Attempt: r.event.Attempt, Err: r.err, Lag: max(0, now.Sub(r.event.At)), Took: r.took,
	}
	s := store.Settlement{ID: r.delivery}
	after, again := nextDelay(r.event.Attempt)
	switch {
	case r.err == nil:
		t.Result, s.Delivered = Delivered, true
	case r.delivery == "":
		t.Result = Dropped
	case !again || errors.Is(r.err, event.ErrPermanent):
		t.Result, s.Dead = Dead, true
	default:
		t.Result, s.Next = Retried, now.Add(after)
		t.Next = s.Next
	}
	if r.err != nil {
		text := r.err.Error()
		s.Error = strings.ToValidUTF8(text[:min(len(text), store.MaxDeliveryError)], "")
	}
	return s, t
}
