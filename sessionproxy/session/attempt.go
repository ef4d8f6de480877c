package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// attempt is the telling of one event.
type attempt struct {
	event    Event
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
	return attempt{delivery: d.ID, key: d.Key, event: Event{
		ID: d.ID, Kind: EventKind(d.Kind), Manager: d.Key.Manager, Session: d.Key.ID, At: d.At,
		Reason: d.Reason, Principal: d.Info.Principal, Keys: d.Keys,
		Created: d.Info.Created, Expires: d.Info.Expires, Data: d.Data, Attempt: d.Attempts + 1,
	}}
}

// try tells the listener, and puts what came of it into results. It ends
// when the listener comes back; one that was told to stop is waited for with
// patience, and then left alone.
func (c *courier) try(a attempt) {
	began := time.Now()
	r := result{attempt: a, withdrawn: true, nobody: true}
	defer func() {
		r.took = time.Since(began)
		c.results <- r // there is room
	}()
	listener, lives := c.k.local.Listeners.find(c.name)
	if listener == nil || c.ctx.Err() != nil {
		return
	}
	r.nobody = false
	ctx, cancel := context.WithTimeout(c.ctx, c.k.timeout)
	defer cancel()
	defer context.AfterFunc(lives, cancel)()
	back := make(chan error, 1)
	go func() { back <- tell(ctx, listener, a.event) }()
	select {
	case r.err = <-back:
	case <-ctx.Done():
		var ok bool
		if ok, r.err = c.awaitHanging(lives, back); !ok {
			return
		}
	}
	r.withdrawn = r.err != nil && (lives.Err() != nil || c.ctx.Err() != nil)
}

// awaitHanging waits for a listener whose time is over. While its
// configuration lives it is waited for as long as it takes: it would hang again.
func (c *courier) awaitHanging(lives context.Context, back <-chan error) (came bool, err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-back:
		return true, err
	case <-timer.C:
	}
	if lives.Err() == nil && c.ctx.Err() == nil {
		c.k.reports.hanging(c.name)
		select {
		case err := <-back:
			return true, err
		case <-lives.Done():
		case <-c.ctx.Done():
		}
		timer.Reset(patience)
		select {
		case err := <-back:
			return true, err
		case <-timer.C:
		}
	}
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	if !slices.Contains(c.k.hung, c.name) {
		c.k.hung = append(c.k.hung, c.name)
	}
	return false, nil
}

// tell calls the listener. A panic is an error: its text may hold anything, so
// only what the runtime itself says is kept.
func tell(ctx context.Context, l Listener, e Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("listener panicked%s", panicText(p))
		}
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.Hear(ctx, e)
}

// settlement says what the store is to note of an attempt, and what is
// reported of it.
func (c *courier) settlement(r *result) (store.Settlement, Telling) {
	now := c.k.now()
	t := Telling{
		Listener: c.name, Kind: r.event.Kind, Manager: r.event.Manager, Session: r.event.Session,
		Attempt: r.event.Attempt, Err: r.err, Lag: max(0, now.Sub(r.event.At)), Took: r.took,
	}
	s := store.Settlement{ID: r.delivery}
	after, again := retryAfter(r.event.Attempt)
	switch {
	case r.err == nil:
		t.Result, s.Delivered = Delivered, true
	case r.delivery == "":
		t.Result = Dropped
	case !again || errors.Is(r.err, ErrHopeless):
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
