package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// writersPerSession is how many writers use a shared session at once.
const writersPerSession = 3

// shared is a session that several writers use at once: each has a key of its
// own, and all add to one sum. Both must be exact under every policy.
type shared struct {
	w *world
	ticket
	ready   chan struct{}
	auditor sync.RWMutex // held for writing while nothing is under way
}

func newShared(w *world, m manager) *shared {
	owner := fmt.Sprintf("shared-%s-%d", m.name, w.calls.Add(1))
	return &shared{w: w, ticket: ticket{manager: m.name, l: newLedger(owner)}, ready: make(chan struct{})}
}

// open begins the session.
func (s *shared) open() {
	for s.w.ctx.Err() == nil {
		a := s.w.ask(s.ticket, do{Patch: fmt.Appendf(nil, `{"owner":%q}`, s.l.owner)}, 0)
		s.l.note("begin: %s", a.text())
		if a.outcome() == acknowledged && a.ticket != "" {
			s.value = a.ticket
			close(s.ready)
			return
		}
		s.w.pause(a)
	}
}

// write is the life of one writer.
func (s *shared) write(n int) {
	writer := fmt.Sprint("w", n)
	r := s.w.seeded(uint64(1_000_000 + s.w.calls.Add(1)))
	select {
	case <-s.ready:
	case <-s.w.ctx.Done():
		return
	}
	for s.w.ctx.Err() == nil {
		if n == 0 && r.IntN(20) == 0 {
			s.audit()
		}
		s.auditor.RLock()
		add := 1 + r.Int64N(9)
		m := s.l.mark()
		at := s.l.begin(writer, add, s.w.now())
		d := do{
			Patch: fmt.Appendf(nil, `{"values":{%q:%d}}`, writer, at.value), Add: fmt.Appendf(nil, `{"sum":%d}`, add), Sleep: r.IntN(15),
		}
		giveUp := time.Duration(0)
		if r.IntN(12) == 0 {
			s.w.counts.lost.Add(1)
			giveUp = time.Duration(1+r.IntN(20)) * time.Millisecond
		}
		a := s.w.ask(s.ticket, d, giveUp)
		s.l.note("%s %d +%d: %s", writer, at.value, add, a.text())
		s.look(m, a)
		s.l.end(at, a.outcome())
		s.auditor.RUnlock()
		switch {
		case a.outcome() == acknowledged:
			s.w.counts.writes.Add(1)
		case a.status == http.StatusConflict:
			s.w.counts.conflicts.Add(1)
		}
		s.w.pause(a)
		s.wait(time.Duration(r.IntN(300)) * time.Millisecond)
	}
}

// audit reads the session while nothing writes; it is exact then, once no
// write of unknown outcome can still come.
func (s *shared) audit() {
	s.auditor.Lock()
	defer s.auditor.Unlock()
	for range 40 {
		if s.l.settled(s.w.over) {
			m := s.l.mark()
			a := s.w.ask(s.ticket, do{}, 0)
			s.l.note("audit: %s", a.text())
			if s.look(m, a) {
				s.l.settle(a.Data)
				s.w.counts.audits.Add(1)
				return
			}
		}
		s.wait(time.Second)
	}
}

func (s *shared) look(m mark, a answer) bool {
	if a.State == "" {
		return false
	}
	if a.State != "active" {
		s.w.violation(s.l, "the shared session is %s", a.State)
		return false
	}
	if err := s.l.check(m, a.Data); err != nil {
		s.w.violation(s.l, "%v", err)
		return false
	}
	return true
}

func (s *shared) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.w.ctx.Done():
	}
}

// purge begins some sessions of the manager that no other act uses, ends them
// all at once, and presents their tickets.
func (w *world) purge() {
	type one struct {
		ticket
		id string
	}
	var all []one
	for range 20 {
		t := ticket{manager: "spare", l: newLedger(fmt.Sprintf("spare-%d", w.calls.Add(1)))}
		a := w.ask(t, do{Patch: json.RawMessage(fmt.Sprintf(`{"owner":%q}`, t.l.owner))}, 0)
		t.l.note("begin: %s", a.text())
		if a.outcome() == acknowledged {
			t.value = a.ticket
			all = append(all, one{t, a.ID})
		}
	}
	status, text, err := w.proxy.call(w.ctx, http.MethodDelete, "/sessions/managers/spare/sessions?all=true", "", "")
	if err != nil || status != http.StatusOK {
		w.did("the purge is answered %d %s %v", status, text, err)
		return
	}
	for _, o := range all {
		w.hooks.owe(o.id)
		w.counts.ends.Add(1)
		w.bury(o.ticket, "it was purged")
		if a := w.ask(o.ticket, do{}, 0); a.State == "active" {
			w.violation(o.l, "purged, and active")
		}
	}
}
