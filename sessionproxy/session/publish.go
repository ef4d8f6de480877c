package session

import (
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/store"
)

// subscribers holds the names of the listeners of one manager, by the kinds of
// their subscriptions.
type subscribers struct {
	create, save, rotate, end []string
}

func newSubscribers(subs []event.Subscription) subscribers {
	return subscribers{
		create: event.SubscribersOf(subs, event.Create), save: event.SubscribersOf(subs, event.Save),
		rotate: event.SubscribersOf(subs, event.Rotate), end: event.SubscribersOf(subs, event.Delete),
	}
}

// any reports whether there are events to file.
func (h *subscribers) any() bool { return len(h.create)+len(h.save)+len(h.rotate)+len(h.end) > 0 }

// attachEvents adds to a write its events for listeners, and how many sessions
// its principal may have. before is the data that it replaces.
func (s *Session) attachEvents(w *commitPlan, c *change.Changes, before []byte) {
	if c.SignsIn() {
		w.Limit = store.Limit{Sessions: s.m.policy.MaxPerPrincipal, Evict: s.m.policy.EvictOldest}
	}
	if w.created || w.Limit.Sessions > 0 {
		w.EndListeners = s.m.subscribers.end
	}
	switch {
	case w.created:
		w.addEvent(store.EventCreated, s.m.subscribers.create)
	case w.saved && len(s.m.subscribers.save) > 0:
		w.addEvent(store.EventSaved, s.m.subscribers.save)
		w.Events[0].Keys = document.Diff(before, w.Data).Names()
	}
	if w.rotated {
		w.addEvent(store.EventRotated, s.m.subscribers.rotate)
	}
}

// addEvent adds an event, if a listener subscribes to it.
func (w *commitPlan) addEvent(kind store.EventKind, listeners []string) {
	if len(listeners) > 0 {
		w.Events = append(w.Events, store.Event{Kind: kind, Listeners: listeners})
	}
}

// publish wakes the delivery of a committed write's events, and publishes them
// to the subscribers of this process.
func (s *Session) publish(w *commitPlan, now time.Time) {
	for _, n := range w.Events {
		s.node.Subscriptions.Notify(n.Listeners...)
	}
	if len(w.EndListeners) > 0 {
		s.node.Subscriptions.Notify(w.EndListeners...)
	}
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
