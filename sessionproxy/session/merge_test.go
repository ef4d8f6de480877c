package session_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// TestTwoCommits: one request commits between the opening and the commit of
// another. What the second one finds is written out for every policy: the
// data afterwards, or "conflict".
func TestTwoCommits(t *testing.T) {
	merging := func(p *session.Policy) { p.Locking, p.Merge = session.Optimistic, true }
	const base = `{"a":1,"o":{"x":1,"y":1},"l":[1],"n":1}`
	for _, tc := range []struct {
		name                    string
		first, second           change.Changes
		lossy, optimistic, both string // both: optimistic with merge
	}{
		{
			"different members", sessiontest.MergePatch(t, `{"a":2}`), sessiontest.MergePatch(t, `{"b":2}`),
			`{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1,"b":2}`, "conflict", `{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1,"b":2}`,
		},
		{
			"different members of one object", sessiontest.MergePatch(t, `{"o":{"x":2}}`), sessiontest.MergePatch(t, `{"o":{"y":2}}`),
			`{"a":1,"o":{"x":2,"y":2},"l":[1],"n":1}`, "conflict", `{"a":1,"o":{"x":2,"y":2},"l":[1],"n":1}`,
		},
		{
			"the same member", sessiontest.MergePatch(t, `{"a":2}`), sessiontest.MergePatch(t, `{"a":3}`),
			`{"a":3,"o":{"x":1,"y":1},"l":[1],"n":1}`, "conflict", "conflict",
		},
		{
			"the same change", sessiontest.MergePatch(t, `{"a":2}`), sessiontest.MergePatch(t, `{"a":2}`),
			`{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`, "conflict", `{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`,
		},
		{
			"one array", sessiontest.MergePatch(t, `{"l":[1,2]}`), sessiontest.MergePatch(t, `{"l":[1,3]}`),
			`{"a":1,"o":{"x":1,"y":1},"l":[1,3],"n":1}`, "conflict", "conflict",
		},
		{
			"two replacements", replace(`{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`), replace(`{"a":1,"o":{"x":1,"y":1},"l":[1],"n":7}`),
			`{"a":2,"o":{"x":1,"y":1},"l":[1],"n":7}`, "conflict", `{"a":2,"o":{"x":1,"y":1},"l":[1],"n":7}`,
		},
		{
			"removed there, changed inside here", sessiontest.MergePatch(t, `{"o":null}`), sessiontest.MergePatch(t, `{"o":{"x":2}}`),
			`{"a":1,"l":[1],"n":1,"o":{"x":2}}`, "conflict", "conflict",
		},
		{
			"two additions", add(t, `{"n":10}`), add(t, `{"n":100}`),
			`{"a":1,"o":{"x":1,"y":1},"l":[1],"n":111}`, `{"a":1,"o":{"x":1,"y":1},"l":[1],"n":111}`, `{"a":1,"o":{"x":1,"y":1},"l":[1],"n":111}`,
		},
		{
			"an addition behind a patch", add(t, `{"n":10}`), steps(sessiontest.MergePatch(t, `{"b":1}`).Ops[0], add(t, `{"n":100}`).Ops[0]),
			`{"a":1,"o":{"x":1,"y":1},"l":[1],"n":111,"b":1}`, "conflict", `{"a":1,"o":{"x":1,"y":1},"l":[1],"n":111,"b":1}`,
		},
		{
			"an addition to what became text", sessiontest.MergePatch(t, `{"n":"x"}`), add(t, `{"n":1}`), "conflict", "conflict", "conflict",
		},
		{
			"a JSON Patch that still fits", sessiontest.MergePatch(t, `{"b":1}`), jsonPatch(t, `[{"op":"test","path":"/a","value":1},{"op":"add","path":"/l/-","value":2}]`),
			`{"a":1,"o":{"x":1,"y":1},"l":[1,2],"n":1,"b":1}`, "conflict", `{"a":1,"o":{"x":1,"y":1},"l":[1,2],"n":1,"b":1}`,
		},
		{
			"a JSON Patch whose test fails now", sessiontest.MergePatch(t, `{"a":2}`), jsonPatch(t, `[{"op":"test","path":"/a","value":1},{"op":"add","path":"/c","value":2}]`),
			"conflict", "conflict", "conflict",
		},
		{
			"a JSON Patch whose place is gone", sessiontest.MergePatch(t, `{"l":null}`), jsonPatch(t, `[{"op":"add","path":"/l/-","value":2}]`),
			"conflict", "conflict", "conflict",
		},
		{
			"a value that others removed, removed", sessiontest.MergePatch(t, `{"a":null}`), steps(change.Remove(pointer(t, "/a"))),
			`{"o":{"x":1,"y":1},"l":[1],"n":1}`, "conflict", `{"o":{"x":1,"y":1},"l":[1],"n":1}`,
		},
		{
			"a patch inside what others removed", sessiontest.MergePatch(t, `{"o":null}`), steps(change.MergePatchAt(pointer(t, "/o"), []byte(`{"z":1}`))),
			"conflict", "conflict", "conflict",
		},
		{
			"a value set under what others removed", sessiontest.MergePatch(t, `{"o":null}`), steps(change.Set(pointer(t, "/o/x"), []byte(`2`))),
			`{"a":1,"l":[1],"n":1,"o":{"x":2}}`, "conflict", "conflict",
		},
		{
			"only who is signed in, there", change.Changes{Timeout: &change.Timeout{Idle: 60e9}}, sessiontest.MergePatch(t, `{"a":2}`),
			`{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`, `{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`, `{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`,
		},
	} {
		for policy, want := range map[string]string{"lossy": tc.lossy, "optimistic": tc.optimistic, "merge": tc.both} {
			t.Run(tc.name+"/"+policy, func(t *testing.T) {
				s := newSite(t, map[string]func(*session.Policy){
					"lossy": nil, "optimistic": locking(session.Optimistic), "merge": merging,
				}[policy])
				c := s.Begin(base)
				one, two := s.Open(c), s.Open(c)
				s.Commit(one, tc.first)
				before := s.Data(c)
				out, err := two.Commit(t.Context(), tc.second)
				if want == "conflict" {
					if !errors.Is(err, change.ErrConflict) || s.Data(c) != before {
						t.Fatalf("got %+v, %v, data %s", out, err, s.Data(c))
					}
					return
				}
				if err != nil || s.Data(c) != want {
					t.Fatalf("got %s, %v, want %s", s.Data(c), err, want)
				}
			})
		}
	}
}

// A conflict over Session-If-Version is never settled.
func TestIfVersionIsNeverMerged(t *testing.T) {
	s := newSite(t, func(p *session.Policy) { p.Locking, p.Merge = session.Optimistic, true })
	c := s.Begin(`{"a":1}`)
	h := s.Open(c)
	version := h.Meta().Version.String()
	s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"b":1}`))
	changes := sessiontest.MergePatch(t, `{"c":1}`)
	changes.IfVersion = &version
	if _, err := h.Commit(t.Context(), changes); !errors.Is(err, change.ErrConflict) || !errors.Is(err, change.ErrIfVersion) {
		t.Fatalf("got %v", err)
	}
}

// A write of what was loaded is a write, if others have changed that since.
func TestAWriteOfTheSameOnNewerData(t *testing.T) {
	for name, tc := range map[string]struct {
		policy func(*session.Policy)
		want   string
	}{
		"lossy":      {nil, `{"a":1}`},
		"optimistic": {locking(session.Optimistic), "conflict"},
	} {
		s := newSite(t, tc.policy)
		c := s.Begin(`{"a":1}`)
		h := s.Open(c)
		s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"a":2}`))
		_, err := h.Commit(t.Context(), sessiontest.MergePatch(t, `{"a":1}`))
		got := s.Data(c)
		if errors.Is(err, change.ErrConflict) {
			got = "conflict"
		} else if err != nil {
			t.Fatal(err)
		}
		if got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
	s := newSite(t, nil)
	c := s.Begin(`{"a":1}`)
	h := s.Open(c)
	version := h.Meta().Version.String()
	s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"a":2}`))
	changes := sessiontest.MergePatch(t, `{"a":1}`)
	changes.IfVersion = &version
	if _, err := h.Commit(t.Context(), changes); !errors.Is(err, change.ErrIfVersion) {
		t.Errorf("with a condition: %v", err)
	}
}

func TestMergeLosesNothing(t *testing.T) {
	s := newSite(t, func(p *session.Policy) { p.Locking, p.Merge = session.Optimistic, true })
	c := s.Begin(`{}`)
	var wg sync.WaitGroup
	const n = 24
	for i := range n {
		h := s.Open(c) // all before the first commit
		key := string(rune('A' + i))
		wg.Go(func() {
			if _, err := h.Commit(t.Context(), sessiontest.MergePatch(t, `{"`+key+`":1}`)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := s.Data(c); len(got) != len(`{}`)+n*len(`"A":1`)+n-1 {
		t.Fatalf("keys were lost: %s", got)
	}
}
