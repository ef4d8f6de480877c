// Package sessiontest helps to test with sessions: a manager on a store in
// memory, without HTTP.
package sessiontest

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// AllKinds are the kinds of events.
var AllKinds = []event.Kind{
	event.Create, event.Save, event.Rotate, event.Delete, event.Rollback,
}

// Site is one manager on a store in memory.
type Site struct {
	T       *testing.T
	Store   *memstore.Store
	Manager *session.Manager
}

// NewManager returns a manager with the id "shop". change edits the default
// policy; nil keeps it. Without a source of credentials in o it gets Credential.
func NewManager(t *testing.T, change func(*session.Policy), o session.Options) *session.Manager {
	t.Helper()
	policy := session.DefaultPolicy()
	if change != nil {
		change(&policy)
	}
	if o.NewCredential == nil {
		o.NewCredential = Credential
	}
	m, err := session.NewManager("shop", policy, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Credential returns a new one.
func Credential() (c session.Credential) {
	_, _ = rand.Read(c.Number[:])
	_, _ = rand.Read(c.Nonce[:])
	c.ID = store.ID(c.Number) // one-way in the product; here it need not be
	return c
}

// Open opens the session for a request with those credentials. The end of the
// test rolls it back.
func (s *Site) Open(creds ...session.Credential) *session.Session {
	s.T.Helper()
	h, err := s.Manager.Open(s.T.Context(), session.Request{Credentials: creds})
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(h.Rollback)
	return h
}

// Stage stages changes.
func (s *Site) Stage(h *session.Session, c change.Changes) {
	s.T.Helper()
	if err := h.Stage(c); err != nil {
		s.T.Fatal(err)
	}
}

// Commit commits changes.
func (s *Site) Commit(h *session.Session, c change.Changes) session.Outcome {
	s.T.Helper()
	out, err := h.Commit(s.T.Context(), c)
	if err != nil {
		s.T.Fatal(err)
	}
	return out
}

// Begin creates a session with that data and returns its credential.
func (s *Site) Begin(data string) session.Credential {
	s.T.Helper()
	out := s.Commit(s.Open(), change.Changes{Ops: []change.Op{change.Replace([]byte(data))}})
	if out.Ticket == nil || !out.Created {
		s.T.Fatalf("no session was begun: %+v", out)
	}
	return *out.Ticket
}

// Data returns the data of the credential's session, which must be active.
func (s *Site) Data(c session.Credential) string {
	s.T.Helper()
	h := s.Open(c)
	defer h.Rollback()
	if h.State() != session.Active {
		s.T.Fatalf("session is %s", h.State())
	}
	return string(h.Data())
}

// MergePatch returns changes by one merge patch.
func MergePatch(t *testing.T, text string) change.Changes {
	t.Helper()
	return change.Changes{Ops: []change.Op{change.MergePatch(ParsePatch(t, text))}}
}

// ParsePatch parses a merge patch.
func ParsePatch(t *testing.T, text string) document.Edits {
	t.Helper()
	p, err := document.ParseMergePatch([]byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Subscription returns one of the listener.
func Subscription(name string, l event.Listener, kinds ...event.Kind) event.Subscription {
	return event.Subscription{Name: name, Kinds: kinds, Listener: l}
}

// Words describes an event in few words.
func Words(kind, reason string, keys []string) string {
	if reason != "" {
		kind += " " + reason
	}
	if len(keys) > 0 {
		kind += " " + strings.Join(keys, "+")
	}
	return kind
}
