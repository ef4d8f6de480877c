package session_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

func (s *site) signIn(name string) session.Credential {
	s.T.Helper()
	return *s.Commit(s.Open(), change.Changes{Principal: new(name)}).Ticket
}

func (s *site) alive(creds ...session.Credential) (alive string) {
	s.T.Helper()
	for _, c := range creds {
		if s.Open(c).State() == session.Active {
			alive += "1"
		} else {
			alive += "0"
		}
	}
	return alive
}

func TestRevoke(t *testing.T) {
	s := newHeard(t, false, nil, event.Delete)
	c, other := s.signIn("alice"), s.signIn("alice")
	h := s.Open(c)
	cut := make(chan struct{})
	stream := s.Open(c)
	s.Commit(stream, change.Changes{})
	stream.Watch(func() { close(cut) })
	key := store.Key{Manager: "shop", ID: c.ID}
	if ok, err := s.operator().Revoke(t.Context(), key); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if got := s.alive(c, other); got != "01" {
		t.Errorf("alive: %s", got)
	}
	if got := s.filed(); got != "delete revoked" {
		t.Errorf("filed %q", got)
	}
	<-cut // or its stream goes on
	s.refused(h, sessiontest.MergePatch(t, `{"late":1}`), session.ErrGone)
	if ok, err := s.operator().Revoke(t.Context(), key); ok || err != nil {
		t.Errorf("the second time: %v, %v", ok, err)
	}
	if ok, err := s.operator().Revoke(t.Context(), store.Key{Manager: "cart", ID: other.ID}); ok || err != nil {
		t.Errorf("under another manager: %v, %v", ok, err)
	}
}

func TestRevokePrincipal(t *testing.T) {
	s := newHeard(t, false, nil, event.Delete)
	var alice []session.Credential
	for range 300 { // more than are ended together
		alice = append(alice, s.signIn("alice"))
	}
	bob, nobody := s.signIn("bob"), s.Begin(`{}`)
	if _, err := s.operator().RevokePrincipal(t.Context(), "shop", "", nil); err == nil {
		t.Error("nobody in particular is everybody")
	}
	if n, err := s.operator().RevokePrincipal(t.Context(), "cart", "alice", nil); n != 0 || err != nil {
		t.Errorf("under another manager: %d, %v", n, err)
	}
	if n, err := s.operator().RevokePrincipal(t.Context(), "shop", "alice", &alice[7].ID); n != 299 || err != nil {
		t.Fatal(n, err)
	}
	if got := s.alive(alice[0], alice[7], alice[299], bob, nobody); got != "01011" {
		t.Errorf("alive: %s", got)
	}
	if n, err := s.operator().RevokePrincipal(t.Context(), "shop", "alice", nil); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if got := s.filed(); strings.Count(got, "delete revoked") != 300 {
		t.Errorf("filed %q", got)
	}
}

func TestPurge(t *testing.T) {
	s := newHeard(t, false, nil, event.Delete)
	for i := range 200 {
		s.signIn(fmt.Sprint("user", i%3))
		s.Begin(`{}`)
	}
	if n, err := s.operator().Purge(t.Context(), "cart"); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := s.operator().Purge(t.Context(), "shop"); n != 400 || err != nil || s.Store.Len() != 0 {
		t.Fatalf("%d, %v, %d left", n, err, s.Store.Len())
	}
	if got := s.filed(); strings.Count(got, "delete purged") != 400 {
		t.Errorf("filed %q", got)
	}
}

// TestAnOperatorHearsOfFailures, and of how far it came.
func TestAnOperatorHearsOfFailures(t *testing.T) {
	s := newHeard(t, false, nil)
	for range 10 {
		s.signIn("alice")
	}
	var deletes atomic.Int64
	s.Store.Before = func(op string, _ store.Key) error {
		if op != "delete" {
			return nil
		}
		switch n := deletes.Add(1); {
		case n == 1:
			return store.ErrUnknown // and is repeated
		case n > 5:
			return errors.New("disk full")
		}
		return nil
	}
	n, err := s.operator().Purge(t.Context(), "shop")
	if err == nil || n != 10-s.Store.Len() || n == 0 || n == 10 {
		t.Errorf("%d, %v, %d left", n, err, s.Store.Len())
	}
	bare := careless{s.Store}
	o := session.Operator{Store: bare, Node: session.NewNode(bare)}
	if _, err := o.Purge(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "cannot list") {
		t.Errorf("got %v", err)
	}
}

// TestOperatorsTellAllConfigurations: the end of a session goes to the listeners that
// listens now, whichever configuration began it.
func TestOperatorsTellAllConfigurations(t *testing.T) {
	s := newHeard(t, false, nil)
	c := s.signIn("alice")
	defer s.node.Subscriptions.Add(map[string][]event.Subscription{"shop": {sessiontest.Subscription("ear", deaf{}, event.Delete)}})()
	defer s.node.Subscriptions.Add(map[string][]event.Subscription{"shop": {sessiontest.Subscription("ear", deaf{}, event.Delete), sessiontest.Subscription("more", deaf{}, event.Delete)}})()
	if _, err := s.operator().Revoke(t.Context(), store.Key{Manager: "shop", ID: c.ID}); err != nil {
		t.Fatal(err)
	}
	waiting, err := s.Store.Backlog(t.Context())
	if err != nil || len(waiting) != 2 || waiting[0].Waiting != 1 || waiting[1].Waiting != 1 {
		t.Errorf("%+v, %v", waiting, err)
	}
}
