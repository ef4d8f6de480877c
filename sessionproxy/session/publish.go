package session

import (
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/store"
)

// attachEvents adds to a write those of its events that a listener subscribes
// to, and how many sessions its principal may have. before is the data that it
// replaces.
func (s *Session) attachEvents(w *commitPlan, c *change.Changes, before []byte) {
	if c.SignsIn() {
		w.Limit = store.Limit{Sessions: s.m.policy.MaxPerPrincipal, Evict: s.m.policy.EvictOldest}
	}
	switch {
	case w.created && s.subscribed(event.Create):
		w.Events = append(w.Events, store.Event{Kind: store.EventCreated})
	case !w.created && w.saved && s.subscribed(event.Save):
		w.Events = append(w.Events, store.Event{Kind: store.EventSaved, Keys: document.Diff(before, w.Data).Names()})
	}
	if w.rotated && s.subscribed(event.Rotate) {
		w.Events = append(w.Events, store.Event{Kind: store.EventRotated})
	}
}

// subscribed reports whether a listener subscribes to the kind of events. The
// store asks again which ones do; an event without any need not be made.
func (s *Session) subscribed(kind event.Kind) bool {
	return len(s.node.Subscriptions.SubscribersOf(s.key.Manager, kind)) > 0
}

// publish publishes a committed write to the subscribers of this process. Its
// listeners are woken by the store.
func (s *Session) publish(w *commitPlan, now time.Time) {
	if !s.node.Events.HasSubscribers() {
		return
	}
	e := event.Event{
		Manager: s.key.Manager, Session: s.key.ID, At: now,
		Principal: w.Principal, Created: w.Created, Expires: w.Expires(),
	}
	show := func(kind event.Kind, keys []string) {
		e.Kind, e.Keys = kind, keys
		s.node.Events.Publish(e)
	}
	switch {
	case w.created:
		show(event.Create, nil)
	case w.saved:
		var keys []string
		for _, n := range w.Events {
			keys = append(keys, n.Keys...)
		}
		show(event.Save, keys)
	}
	if w.rotated {
		show(event.Rotate, nil)
	}
}

// publishRollback publishes that writes of the request were dropped.
func (s *Session) publishRollback() {
	if s.node == nil || s.readOnly || s.late || !s.node.Events.HasSubscribers() {
		return
	}
	s.node.Events.Publish(event.Event{
		Kind: event.Rollback, Manager: s.key.Manager, Session: s.key.ID,
		At: s.m.now(), Principal: s.rec.Principal,
	})
}
