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

// attempt is the telling of one event.
type attempt struct {
	event    event.Event
	delivery string    // the ID of what is settled by it; empty for a rollback
	key      store.Key // of the session
}

// result is what came of an attempt.
type result struct {
	attempt
	err error
	// withdrawn says that the attempt does not count: it was cancelled, or
	// there was nobody to tell.
	withdrawn, nobody bool
	took              time.Duration
}

func newAttempt(d *store.Delivery) attempt {
	return attempt{delivery: d.ID, key: d.Key, event: event.Event{
		ID: d.ID, Kind: event.Kind(d.Kind), Manager: d.Key.Manager, Session: d.Key.ID, At: d.At,
		Reason: d.Reason, Principal: d.Info.Principal, Keys: d.Keys,
		Created: d.Info.Created, Expires: d.Info.Expires, Data: d.Data, Attempt: d.Attempts + 1,
	}}
}

// run tells the listener, and puts what came of it into results. It ends
// when the listener comes back; one that was told to stop is waited for with
// patience, and then left alone.
func (w *worker) run(a attempt) {
	began := time.Now()
	r := result{attempt: a, withdrawn: true, nobody: true}
	defer func() {
		r.took = time.Since(began)
		w.results <- r // there is room
	}()
	listener, lives := w.service.subscriptions.Find(w.name)
	if listener == nil || w.ctx.Err() != nil {
		return
	}
	r.nobody = false
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

// awaitStuck waits for a listener whose time is over. While its
// configuration lives it is waited for as long as it takes: it would hang again.
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

// invoke calls the listener. A panic is an error: its text may hold anything, so
// only what the runtime itself says is kept.
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

// settlement says what the store is to note of an attempt, and what is
// reported of it.
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
