package session_test

import (
	"errors"
	"sync"
	"testing"

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
		first, second           session.Changes
		lossy, optimistic, both string // both: optimistic with merge
	}{
		{
			"different members", patch(t, `{"a":2}`), patch(t, `{"b":2}`),
			`{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1,"b":2}`, "conflict", `{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1,"b":2}`,
		},
		{
			"different members of one object", patch(t, `{"o":{"x":2}}`), patch(t, `{"o":{"y":2}}`),
			`{"a":1,"o":{"x":2,"y":2},"l":[1],"n":1}`, "conflict", `{"a":1,"o":{"x":2,"y":2},"l":[1],"n":1}`,
		},
		{
			"the same member", patch(t, `{"a":2}`), patch(t, `{"a":3}`),
			`{"a":3,"o":{"x":1,"y":1},"l":[1],"n":1}`, "conflict", "conflict",
		},
		{
			"the same change", patch(t, `{"a":2}`), patch(t, `{"a":2}`),
			`{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`, "conflict", `{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`,
		},
		{
			"one array", patch(t, `{"l":[1,2]}`), patch(t, `{"l":[1,3]}`),
			`{"a":1,"o":{"x":1,"y":1},"l":[1,3],"n":1}`, "conflict", "conflict",
		},
		{
			"two replacements", replace(`{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`), replace(`{"a":1,"o":{"x":1,"y":1},"l":[1],"n":7}`),
			`{"a":2,"o":{"x":1,"y":1},"l":[1],"n":7}`, "conflict", `{"a":2,"o":{"x":1,"y":1},"l":[1],"n":7}`,
		},
		{
			"removed there, changed inside here", patch(t, `{"o":null}`), patch(t, `{"o":{"x":2}}`),
			`{"a":1,"l":[1],"n":1,"o":{"x":2}}`, "conflict", "conflict",
		},
		{
			"two additions", add(t, `{"n":10}`), add(t, `{"n":100}`),
			`{"a":1,"o":{"x":1,"y":1},"l":[1],"n":111}`, `{"a":1,"o":{"x":1,"y":1},"l":[1],"n":111}`, `{"a":1,"o":{"x":1,"y":1},"l":[1],"n":111}`,
		},
		{
			"an addition behind a patch", add(t, `{"n":10}`), steps(patch(t, `{"b":1}`).Steps[0], add(t, `{"n":100}`).Steps[0]),
			`{"a":1,"o":{"x":1,"y":1},"l":[1],"n":111,"b":1}`, "conflict", `{"a":1,"o":{"x":1,"y":1},"l":[1],"n":111,"b":1}`,
		},
		{
			"an addition to what became text", patch(t, `{"n":"x"}`), add(t, `{"n":1}`), "conflict", "conflict", "conflict",
		},
		{
			"a JSON Patch that still fits", patch(t, `{"b":1}`), jsonPatch(t, `[{"op":"test","path":"/a","value":1},{"op":"add","path":"/l/-","value":2}]`),
			`{"a":1,"o":{"x":1,"y":1},"l":[1,2],"n":1,"b":1}`, "conflict", `{"a":1,"o":{"x":1,"y":1},"l":[1,2],"n":1,"b":1}`,
		},
		{
			"a JSON Patch whose test fails now", patch(t, `{"a":2}`), jsonPatch(t, `[{"op":"test","path":"/a","value":1},{"op":"add","path":"/c","value":2}]`),
			"conflict", "conflict", "conflict",
		},
		{
			"a JSON Patch whose place is gone", patch(t, `{"l":null}`), jsonPatch(t, `[{"op":"add","path":"/l/-","value":2}]`),
			"conflict", "conflict", "conflict",
		},
		{
			"a value that others removed, removed", patch(t, `{"a":null}`), steps(session.Remove(pointer(t, "/a"))),
			`{"o":{"x":1,"y":1},"l":[1],"n":1}`, "conflict", `{"o":{"x":1,"y":1},"l":[1],"n":1}`,
		},
		{
			"a patch inside what others removed", patch(t, `{"o":null}`), steps(session.PatchAt(pointer(t, "/o"), []byte(`{"z":1}`))),
			"conflict", "conflict", "conflict",
		},
		{
			"a value set under what others removed", patch(t, `{"o":null}`), steps(session.Set(pointer(t, "/o/x"), []byte(`2`))),
			`{"a":1,"l":[1],"n":1,"o":{"x":2}}`, "conflict", "conflict",
		},
		{
			"only who is signed in, there", session.Changes{Timeout: &session.Timeout{Idle: 60e9}}, patch(t, `{"a":2}`),
			`{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`, `{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`, `{"a":2,"o":{"x":1,"y":1},"l":[1],"n":1}`,
		},
	} {
		for policy, want := range map[string]string{"lossy": tc.lossy, "optimistic": tc.optimistic, "merge": tc.both} {
			t.Run(tc.name+"/"+policy, func(t *testing.T) {
				s := newSite(t, map[string]func(*session.Policy){
					"lossy": nil, "optimistic": locking(session.Optimistic), "merge": merging,
				}[policy])
				c := s.begin(base)
				one, two := s.open(c), s.open(c)
				s.commit(one, tc.first)
				before := s.data(c)
				out, err := two.Commit(t.Context(), tc.second)
				if want == "conflict" {
					if !errors.Is(err, session.ErrConflict) || s.data(c) != before {
						t.Fatalf("got %+v, %v, data %s", out, err, s.data(c))
					}
					return
				}
				if err != nil || s.data(c) != want {
					t.Fatalf("got %s, %v, want %s", s.data(c), err, want)
				}
			})
		}
	}
}

// A conflict over Session-If-Version is never settled.
func TestIfVersionIsNeverMerged(t *testing.T) {
	s := newSite(t, func(p *session.Policy) { p.Locking, p.Merge = session.Optimistic, true })
	c := s.begin(`{"a":1}`)
	h := s.open(c)
	version := h.Meta().Version.String()
	s.commit(s.open(c), patch(t, `{"b":1}`))
	changes := patch(t, `{"c":1}`)
	changes.IfVersion = &version
	if _, err := h.Commit(t.Context(), changes); !errors.Is(err, session.ErrConflict) || !errors.Is(err, session.ErrIfVersion) {
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
		c := s.begin(`{"a":1}`)
		h := s.open(c)
		s.commit(s.open(c), patch(t, `{"a":2}`))
		_, err := h.Commit(t.Context(), patch(t, `{"a":1}`))
		got := s.data(c)
		if errors.Is(err, session.ErrConflict) {
			got = "conflict"
		} else if err != nil {
			t.Fatal(err)
		}
		if got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
	s := newSite(t, nil)
	c := s.begin(`{"a":1}`)
	h := s.open(c)
	version := h.Meta().Version.String()
	s.commit(s.open(c), patch(t, `{"a":2}`))
	changes := patch(t, `{"a":1}`)
	changes.IfVersion = &version
	if _, err := h.Commit(t.Context(), changes); !errors.Is(err, session.ErrIfVersion) {
		t.Errorf("with a condition: %v", err)
	}
}

func TestMergeLosesNothing(t *testing.T) {
	s := newSite(t, func(p *session.Policy) { p.Locking, p.Merge = session.Optimistic, true })
	c := s.begin(`{}`)
	var wg sync.WaitGroup
	const n = 24
	for i := range n {
		h := s.open(c) // all before the first commit
		key := string(rune('A' + i))
		wg.Go(func() {
			if _, err := h.Commit(t.Context(), patch(t, `{"`+key+`":1}`)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := s.data(c); len(got) != len(`{}`)+n*len(`"A":1`)+n-1 {
		t.Fatalf("keys were lost: %s", got)
	}
}
