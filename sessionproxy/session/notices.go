package session

import (
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/store"
)

// written is what a commit stores, and what it did.
type written struct {
	store.Write
	// The session was begun; its data was changed; its ticket replaced.
	created, saved, rotated bool
}

// hearers names the listeners of one manager, by what they hear.
type hearers struct {
	create, save, rotate, end []string
}

func newHearers(subs []Subscription) hearers {
	return hearers{
		create: hear(subs, EventCreate), save: hear(subs, EventSave),
		rotate: hear(subs, EventRotate), end: hear(subs, EventDelete),
	}
}

// any reports whether something is to be filed for anybody.
func (h *hearers) any() bool { return len(h.create)+len(h.save)+len(h.rotate)+len(h.end) > 0 }

// file adds to a write what the listeners are to be told of it, and how many
// sessions its principal may have. before is the data that it replaces.
func (s *Session) file(w *written, c *Changes, before []byte) {
	if c.signsIn() {
		w.Limit = store.Limit{Sessions: s.m.policy.MaxPerPrincipal, Evict: s.m.policy.EvictOldest}
	}
	if w.created || w.Limit.Sessions > 0 {
		w.EndListeners = s.m.hearers.end
	}
	switch {
	case w.created:
		w.notice(store.EventCreated, s.m.hearers.create)
	case w.saved && len(s.m.hearers.save) > 0:
		w.notice(store.EventSaved, s.m.hearers.save)
		w.Events[0].Keys = document.Diff(before, w.Data).Names()
	}
	if w.rotated {
		w.notice(store.EventRotated, s.m.hearers.rotate)
	}
}

func (w *written) notice(kind store.EventKind, listeners []string) {
	if len(listeners) > 0 {
		w.Events = append(w.Events, store.Event{Kind: kind, Listeners: listeners})
	}
}

// tell tells of a write that has happened: who watches this process, and
// those who pass on what was filed.
func (s *Session) tell(w *written, now time.Time) {
	for _, n := range w.Events {
		s.local.Listeners.Wake(n.Listeners...)
	}
	if len(w.EndListeners) > 0 {
		s.local.Listeners.Wake(w.EndListeners...)
	}
	if !s.local.watched() {
		return
	}
	e := Event{
		Manager: s.key.Manager, Session: s.key.ID, At: now,
		Principal: w.Principal, Created: w.Created, Expires: w.Expires(),
	}
	show := func(kind EventKind, keys []string) {
		e.Kind, e.Keys = kind, keys
		s.local.show(e)
	}
	switch {
	case w.created:
		show(EventCreate, nil)
	case w.saved:
		var keys []string
		for _, n := range w.Events {
			keys = append(keys, n.Keys...)
		}
		show(EventSave, keys)
	}
	if w.rotated {
		show(EventRotate, nil)
	}
}

// dropped tells that writes of the request were dropped.
func (s *Session) dropped() {
	if s.local == nil || s.readOnly || s.late || !s.local.watched() {
		return
	}
	s.local.show(Event{
		Kind: EventRollback, Manager: s.key.Manager, Session: s.key.ID,
		At: s.m.now(), Principal: s.rec.Principal,
	})
}
