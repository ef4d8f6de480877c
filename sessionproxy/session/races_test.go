package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// race is one session on which two things happen at once.
type race struct {
	*heard
	c       session.Credential // as it was before
	tickets []session.Credential
	errs    map[string]error
}

// acts is what can happen. Each prepares itself, as a request does that has
// read the session, and returns what it does then.
var acts = map[string]func(*race) func(){
	"commit":     func(r *race) func() { return r.request("commit", carrying(add(r.T, `{"n":1}`))) },
	"destroy":    func(r *race) func() { return r.request("destroy", change.Changes{Destroy: true}) },
	"login":      func(r *race) func() { return r.request("login", change.Changes{Principal: new("alice")}) },
	"rotation":   func(r *race) func() { return r.request("rotation", read) },
	"rotation 2": func(r *race) func() { return r.request("rotation 2", read) },
	"revoke": func(r *race) func() {
		return func() {
			_, r.errs["revoke"] = r.operator().Revoke(r.T.Context(), store.Key{Manager: "shop", ID: r.c.ID})
		}
	},
	// The user signs in elsewhere, and this session is one too many.
	"eviction": func(r *race) func() {
		h := r.Open()
		return func() {
			_, r.errs["eviction"] = h.Commit(r.T.Context(), change.Changes{Principal: new("alice")})
		}
	},
}

func (r *race) request(name string, c change.Changes) func() {
	h := r.Open(r.c)
	return func() {
		out, err := h.Commit(r.T.Context(), c)
		r.errs[name] = err
		if out.Ticket != nil {
			r.tickets = append(r.tickets, *out.Ticket)
		}
	}
}

func (h *heard) operator() session.Operator { return session.Operator{Store: h.Store, Node: h.node} }

// between has f done once, when the first write of the next act is on its way
// to the store.
func (r *race) between(f func()) {
	r.Store.Before = func(op string, _ store.Key) error {
		if op == "save" || op == "update" || op == "delete" {
			r.Store.Before = nil
			f()
		}
		return nil
	}
}

// outcome is how a race may end: the data, or "gone", a request was refused because
// the session had ended, and how the session ended.
type outcome struct {
	data, refused, end string
}

// TestRaces has two things happen to one session in every order: one after the
// other, and the one while the other is between its reading and its writing.
// The outcomes are those of one order or the other, and told as such.
func TestRaces(t *testing.T) {
	for _, tc := range []struct {
		first, second string
		// What is left if first is the first to reach the store, and if second is.
		firstFirst, secondFirst outcome
	}{
		{"rotation", "commit", outcome{data: `{"n":1}`}, outcome{data: `{"n":1}`}},
		{"rotation", "rotation 2", outcome{data: `{"n":0}`}, outcome{data: `{"n":0}`}},
		{"rotation", "login", outcome{data: `{"n":0}`}, outcome{data: `{"n":0}`}},
		{"rotation", "destroy", outcome{"gone", "", "destroyed"}, outcome{"gone", "", "destroyed"}},
		{"rotation", "revoke", outcome{"gone", "", "revoked"}, outcome{"gone", "", "revoked"}},
		{"rotation", "eviction", outcome{"gone", "", "evicted"}, outcome{"gone", "", "evicted"}},
		{"revoke", "commit", outcome{"gone", "commit", "revoked"}, outcome{"gone", "", "revoked"}},
		{"revoke", "login", outcome{"gone", "login", "revoked"}, outcome{"gone", "", "revoked"}},
		{"revoke", "destroy", outcome{"gone", "", "revoked"}, outcome{"gone", "", "destroyed"}},
		{"revoke", "eviction", outcome{"gone", "", "revoked"}, outcome{"gone", "", "evicted"}},
		{"eviction", "commit", outcome{"gone", "commit", "evicted"}, outcome{"gone", "", "evicted"}},
		{"eviction", "destroy", outcome{"gone", "", "evicted"}, outcome{"gone", "", "destroyed"}},
		{"login", "commit", outcome{`{"n":0}`, "commit", ""}, outcome{data: `{"n":1}`}},
		{"destroy", "commit", outcome{"gone", "commit", "destroyed"}, outcome{"gone", "", "destroyed"}},
	} {
		for _, updater := range []bool{false, true} {
			for _, order := range []string{"first, second", "second, first", "second within first", "first within second"} {
				t.Run(fmt.Sprintf("%s and %s: %s, updater %v", tc.first, tc.second, order, updater), func(t *testing.T) {
					r := &race{heard: newHeard(t, updater, func(p *session.Policy) {
						rotating(p)
						p.MaxPerPrincipal, p.EvictOldest = 1, true
					}, event.Delete, event.Rotate), errs: make(map[string]error)}
					r.c = r.Begin(`{"n":0}`)
					if tc.first == "eviction" || tc.second == "eviction" {
						r.c = *r.Commit(r.Open(r.c), change.Changes{Principal: new("alice")}).Ticket
					}
					r.clock.advance(rotateEvery)
					r.filed()
					first, second := acts[tc.first](r), acts[tc.second](r)
					want := tc.firstFirst
					switch order {
					case "first, second":
						first()
						second()
					case "second, first":
						second()
						first()
						want = tc.secondFirst
					case "second within first":
						r.between(second)
						first()
						want = tc.secondFirst
					case "first within second":
						r.between(first)
						second()
					}
					r.check(want)
				})
			}
		}
	}
}

func (r *race) check(want outcome) {
	r.T.Helper()
	for name, err := range r.errs {
		if name == want.refused && !errors.Is(err, session.ErrGone) || name != want.refused && err != nil {
			r.T.Errorf("%s: %v", name, err)
		}
	}
	rec, err := r.Store.Load(r.T.Context(), store.Key{Manager: "shop", ID: r.c.ID})
	data := string(rec.Data)
	if errors.Is(err, store.ErrGone) {
		data = "gone"
	}
	if data != want.data {
		r.T.Errorf("it ends with %s, want %s", data, want.data)
	}
	var ends strings.Builder
	for _, e := range r.seen {
		if e.Kind == event.Delete && e.Session == r.c.ID {
			ends.WriteString(string(e.Reason))
		}
	}
	if ends.String() != want.end {
		r.T.Errorf("ended as %q, want %q", ends.String(), want.end)
	}
	if data == "gone" {
		for _, c := range append(r.tickets, r.c) {
			if got := r.Open(c).State(); got != session.Expired {
				r.T.Errorf("a ticket of the session that ended is %s", got)
			}
		}
		return
	}
	// The browser has the ticket that was sent last, and another way in is
	// only the one that a timer has replaced.
	last := r.tickets[len(r.tickets)-1]
	if rec.Nonce != last.Nonce && rec.PreviousNonce != last.Nonce {
		r.T.Errorf("no ticket that the browser was sent enters")
	}
	if rec.Principal != "" && (rec.PreviousNonce != [16]byte{} || r.Open(r.c).State() != session.Expired) {
		r.T.Error("a ticket from before the login enters")
	}
}
