package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

func steps(steps ...change.Op) change.Changes { return change.Changes{Ops: steps} }

func pointer(t *testing.T, text string) document.Pointer {
	t.Helper()
	p, err := document.ParsePointer(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func jsonPatch(t *testing.T, text string) change.Changes {
	t.Helper()
	p, err := document.ParseJSONPatch([]byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return steps(change.JSONPatch(p))
}

func staged(h *session.Session) string {
	data, _ := h.Staged()
	return string(data)
}

func TestStagedWritesAreCommittedTogether(t *testing.T) {
	s := newSite(t, nil)
	c := s.Begin(`{"a":1,"cart":{"items":[1,2]}}`)
	h := s.Open(c)
	s.Stage(h, sessiontest.MergePatch(t, `{"b":2}`))
	s.Stage(h, steps(change.Set(pointer(t, "/cart/items/-"), []byte(`3`))))
	s.Stage(h, steps(change.Remove(pointer(t, "/a"))))
	s.Stage(h, add(t, `{"n":5}`))
	const want = `{"cart":{"items":[1,2,3]},"b":2,"n":5}`
	if got := staged(h); got != want {
		t.Fatalf("staged: %s", got)
	}
	if got := string(h.Data()); got != `{"a":1,"cart":{"items":[1,2]}}` {
		t.Fatalf("what was opened became %s", got)
	}
	if got := s.Data(c); got != `{"a":1,"cart":{"items":[1,2]}}` {
		t.Fatalf("others see %s before the commit", got)
	}
	if out := s.Commit(h, sessiontest.MergePatch(t, `{"b":3}`)); !out.Saved {
		t.Fatalf("got %+v", out)
	}
	if got := s.Data(c); got != `{"cart":{"items":[1,2,3]},"b":3,"n":5}` {
		t.Fatalf("committed: %s", got)
	}
}

// Whatever cannot be staged leaves what was staged before as it was.
func TestStageRefuses(t *testing.T) {
	s := newSite(t, func(p *session.Policy) { p.MaxSize = 60 })
	c := s.Begin(`{"a":1,"s":"x"}`)
	h := s.Open(c)
	s.Stage(h, sessiontest.MergePatch(t, `{"b":2}`))
	for _, tc := range []struct {
		name string
		c    change.Changes
		want error
	}{
		{"too large", replace(`{"long":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`), change.ErrTooLarge},
		{"an addition to text", add(t, `{"s":1}`), change.ErrBadWrite},
		{"one good step and one bad", steps(change.Set(pointer(t, "/c"), []byte(`1`)), change.Remove(pointer(t, "/none"))), change.ErrNoPath},
		{"a patch inside nothing", steps(change.MergePatchAt(pointer(t, "/none"), []byte(`{}`))), change.ErrNoPath},
		{"a set through a number", steps(change.Set(pointer(t, "/a/b"), []byte(`1`))), change.ErrNoPath},
		{"a failed test", jsonPatch(t, `[{"op":"test","path":"/a","value":2}]`), change.ErrConflict},
		{"a copy bomb", jsonPatch(t, `[{"op":"copy","from":"","path":"/c"},{"op":"copy","from":"","path":"/d"},{"op":"copy","from":"","path":"/e"}]`), change.ErrTooLarge},
		{"reserved", steps(change.Set(pointer(t, "/$a"), []byte(`1`))), change.ErrBadWrite},
	} {
		_, before := h.Staged()
		if err := h.Stage(tc.c); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v", tc.name, err)
		}
		if data, tag := h.Staged(); string(data) != `{"a":1,"s":"x","b":2}` || tag != before {
			t.Errorf("%s: staged %s, tag %s became %s", tc.name, data, before, tag)
		}
	}
	s.Commit(h, change.Changes{})
	if err := h.Stage(sessiontest.MergePatch(t, `{"late":1}`)); !errors.Is(err, session.ErrObsolete) {
		t.Errorf("after the commit: %v", err)
	}
	readOnly, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{c}, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Rollback()
	if err := readOnly.Stage(sessiontest.MergePatch(t, `{"c":1}`)); !errors.Is(err, session.ErrReadOnly) {
		t.Errorf("read-only: %v", err)
	}
}

func TestUnstageAndRefresh(t *testing.T) {
	s := newSite(t, nil)
	c := s.Begin(`{"a":1}`)
	h := s.Open(c)
	s.Stage(h, change.Changes{Ops: sessiontest.MergePatch(t, `{"b":2}`).Ops, Principal: new("alice")})
	_, tag := h.Staged()
	if err := h.Refresh(t.Context()); !errors.Is(err, change.ErrConflict) {
		t.Fatalf("refreshing over writes: %v", err)
	}
	h.Unstage()
	if data, now := h.Staged(); string(data) != `{"a":1}` || now == tag {
		t.Fatalf("staged: %s, %s after %s", data, now, tag)
	}
	s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"a":5}`))
	if err := h.Refresh(t.Context()); err != nil || string(h.Data()) != `{"a":5}` {
		t.Fatalf("%s, %v", h.Data(), err)
	}
	version := h.Meta().Version.String()
	if out := s.Commit(h, change.Changes{Ops: sessiontest.MergePatch(t, `{"c":1}`).Ops, IfVersion: &version}); out.Rotated || out.Reapplied {
		t.Fatalf("got %+v: what was dropped came back, or the version is the old one", out)
	}
	h = s.Open(c)
	s.Commit(s.Open(c), change.Changes{Destroy: true})
	if err := h.Refresh(t.Context()); !errors.Is(err, session.ErrGone) {
		t.Fatalf("refreshing what has ended: %v", err)
	}
}

// Reopen goes on after a commit of the same request.
func TestReopen(t *testing.T) {
	s := newSite(t, locking(session.Serialized))
	again := func(h *session.Session) *session.Session {
		t.Helper()
		n, err := h.Reopen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Rollback)
		return n
	}
	t.Run("of a session that began", func(t *testing.T) {
		h := s.Open()
		if _, err := h.Reopen(t.Context()); err == nil {
			t.Fatal("it is still open")
		}
		out := s.Commit(h, sessiontest.MergePatch(t, `{"a":1}`))
		n := again(h)
		if n.ID() != h.ID() || string(n.Data()) != `{"a":1}` || n.State() != session.Active {
			t.Fatalf("%s %s %s", n.ID(), n.Data(), n.State())
		}
		other := s.Open(*out.Ticket) // there is no lock to wait for
		s.Commit(other, sessiontest.MergePatch(t, `{"b":1}`))
		if _, err := n.Commit(t.Context(), sessiontest.MergePatch(t, `{"c":1}`)); !errors.Is(err, change.ErrConflict) {
			t.Fatalf("without the lock the version counts: %v", err)
		}
	})
	t.Run("of one that does not exist yet", func(t *testing.T) {
		h := s.Open()
		s.Commit(h, change.Changes{})
		n := again(h)
		if n.ID() != h.ID() || n.State() != session.New {
			t.Fatalf("%s %s", n.ID(), n.State())
		}
		if out := s.Commit(n, sessiontest.MergePatch(t, `{"a":1}`)); !out.Created || out.Ticket == nil || out.Ticket.ID != h.ID() {
			t.Fatalf("%+v", out)
		}
	})
	t.Run("after a login", func(t *testing.T) {
		c := s.Begin(`{}`)
		h := s.Open(c)
		s.Commit(h, change.Changes{Principal: new("alice")})
		if n := again(h); n.Meta().Principal != "alice" {
			t.Fatalf("%+v", n.Meta())
		}
	})
	t.Run("after the end", func(t *testing.T) {
		c := s.Begin(`{}`)
		h := s.Open(c)
		s.Commit(h, change.Changes{Destroy: true})
		if _, err := h.Reopen(t.Context()); !errors.Is(err, session.ErrGone) {
			t.Fatalf("destroyed: %v", err)
		}
		c = s.Begin(`{}`)
		h = s.Open(c)
		s.Commit(h, change.Changes{})
		s.Commit(s.Open(c), change.Changes{Regenerate: true})
		if _, err := h.Reopen(t.Context()); !errors.Is(err, session.ErrGone) {
			t.Fatalf("its ticket was replaced: %v", err)
		}
	})
}

func TestDestroyEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams := session.NewStreams()
		mine, other := store.Key{ID: store.ID{1}}, store.Key{ID: store.ID{2}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		streams.Watch(mine, cancel)
		done := streams.Watch(mine, func() { t.Error("a response that is over was cancelled") })
		streams.Watch(other, func() { t.Error("another session's response was cancelled") })
		done.Done()
		done.Done()
		if n := streams.End(mine); n != 1 {
			t.Errorf("%d were cancelled", n)
		}
		<-ctx.Done()
		if n := streams.End(mine); n != 0 || streams.Len() != 1 {
			t.Errorf("%d again, %d are left", n, streams.Len())
		}
	})
}

// A touch counts when it is made: a response that stays open keeps its session
// by it, also if the request counted at its beginning.
func TestALateTouchCounts(t *testing.T) {
	for _, passive := range []bool{false, true} {
		s := newSite(t, nil)
		c := s.Begin(`{"a":1}`)
		h, err := s.Manager.Open(t.Context(), session.Request{Credentials: []session.Credential{c}, Passive: passive})
		if err != nil {
			t.Fatal(err)
		}
		s.Commit(h, change.Changes{})
		for range 3 { // longer than the idle timeout
			s.clock.advance(20 * time.Minute)
			late, err := h.Reopen(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.Stage(late, change.Changes{Touch: true})
			s.Commit(late, change.Changes{})
		}
		if got := s.Open(c).State(); got != session.Active {
			t.Errorf("passive %v: the session is %s", passive, got)
		}
	}
}

// So many operations are not done again on newer data, in the store's writer:
// they are held to the data that they were made for.
func TestTooManyOperationsAreNotDoneAgain(t *testing.T) {
	long := "[" + strings.Repeat(`{"op":"replace","path":"/b","value":2},`, 1000) + `{"op":"test","path":"/a","value":1}]`
	for _, tc := range []struct {
		name, other string
		patches     int
		want        error
	}{
		{"one patch", `{"c":1}`, 1, nil},
		{"one patch whose test fails now", `{"a":2}`, 1, change.ErrConflict},
		{"two patches", `{"c":1}`, 2, change.ErrConflict},
		{"two patches, and nothing newer", `{}`, 2, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, nil)
			c := s.Begin(`{"a":1,"b":1}`)
			h := s.Open(c)
			for range tc.patches {
				s.Stage(h, jsonPatch(t, long))
			}
			s.Commit(s.Open(c), sessiontest.MergePatch(t, tc.other))
			if _, err := h.Commit(t.Context(), change.Changes{}); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
}
