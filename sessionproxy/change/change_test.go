package change_test

import (
	"errors"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/store"
)

const maxSize = 1 << 10

func patch(t *testing.T, text string) change.Op {
	t.Helper()
	p, err := document.ParseMergePatch([]byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return change.MergePatch(p)
}

func add(t *testing.T, text string) change.Op {
	t.Helper()
	a, err := document.ParseIncrements([]byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return change.Add(a)
}

func jsonPatch(t *testing.T, text string) change.Op {
	t.Helper()
	p, err := document.ParseJSONPatch([]byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return change.JSONPatch(p)
}

// TestOnNewerData: what the same ops, made for {"n":1,"a":1}, make of newer
// data, by a rebase and by a merge.
func TestOnNewerData(t *testing.T) {
	const base = `{"n":1,"a":1}`
	for name, tc := range map[string]struct {
		op              change.Op
		newer           string
		rebased, merged string // or the name of the error
		overwrites      bool
	}{
		"a patch of another place":      {patch(t, `{"b":2}`), `{"n":1,"a":9}`, `{"n":1,"a":9,"b":2}`, `{"n":1,"a":9,"b":2}`, false},
		"a patch of the same place":     {patch(t, `{"a":2}`), `{"n":1,"a":9}`, `{"n":1,"a":2}`, "conflict", true},
		"a replacement beside theirs":   {change.Replace([]byte(`{"n":1,"a":1,"b":2}`)), `{"n":1,"a":9}`, `{"n":1,"a":9,"b":2}`, `{"n":1,"a":9,"b":2}`, false},
		"additions on both sides":       {add(t, `{"n":5}`), `{"n":100,"a":1}`, `{"n":105,"a":1}`, `{"n":105,"a":1}`, false},
		"an addition to what is a text": {add(t, `{"n":5}`), `{"n":"x","a":1}`, "conflict", "conflict", false},
		"a test that holds no more":     {jsonPatch(t, `[{"op":"test","path":"/a","value":1}]`), `{"n":1,"a":9}`, "conflict", "conflict", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := change.Changes{Ops: []change.Op{tc.op}}
			for _, way := range []struct {
				name, want string
				do         func(shown, newer []byte, maxSize int) ([]byte, error)
			}{{"rebase", tc.rebased, c.Rebase}, {"merge", tc.merged, c.Merge}} {
				got, err := way.do([]byte(base), []byte(tc.newer), maxSize)
				if way.want == "conflict" {
					if !errors.Is(err, change.ErrConflict) {
						t.Errorf("%s: %s, %v", way.name, got, err)
					}
					continue
				}
				if err != nil || string(got) != way.want {
					t.Errorf("%s: %s, %v, want %s", way.name, got, err, way.want)
				}
			}
			if got := c.Overwrites([]byte(base), []byte(tc.newer), maxSize); got != tc.overwrites {
				t.Errorf("overwrites: %v", got)
			}
		})
	}
}

// TestThen: of two changes the later one decides, and ops add up.
func TestThen(t *testing.T) {
	alice, nobody := "alice", ""
	first := change.Changes{Ops: []change.Op{add(t, `{"n":1}`)}, Principal: &alice, Touch: true, Timeout: &change.Timeout{Idle: 1, Absolute: 2}}
	all := first.Then(change.Changes{Ops: []change.Op{add(t, `{"n":2}`)}, Principal: &nobody, Timeout: &change.Timeout{Idle: 3}})
	if *all.Principal != "" || all.SignsIn() || !all.Rotates() || !all.Touch || *all.Timeout != (change.Timeout{Idle: 3, Absolute: 2}) {
		t.Errorf("got %+v, timeout %v", all, *all.Timeout)
	}
	all.CompactAdditions()
	if got, err := all.Apply([]byte(`{"n":1}`), maxSize); err != nil || string(got) != `{"n":4}` || len(all.Ops) != 1 {
		t.Errorf("%d ops make %s, %v", len(all.Ops), got, err)
	}
}

// TestSquash: fewer ops come to the same, but for conditions, which are held
// by refusing newer data.
func TestSquash(t *testing.T) {
	shown := []byte(`{"n":1,"a":1}`)
	for _, conditional := range []bool{false, true} {
		c := change.Changes{Ops: []change.Op{patch(t, `{"b":1}`), add(t, `{"n":1}`), patch(t, `{"c":1}`)}}
		if conditional {
			c.Ops = append(c.Ops, jsonPatch(t, `[{"op":"test","path":"/a","value":1}]`))
		}
		want, err := c.Apply(shown, maxSize)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Squash(shown, maxSize); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Apply(shown, maxSize); err != nil || string(got) != string(want) || len(c.Ops) != 2 {
			t.Errorf("%d ops make %s, %v, want %s", len(c.Ops), got, err, want)
		}
		if err := c.CheckRebase(); errors.Is(err, change.ErrTooMuchRework) != conditional {
			t.Errorf("with a condition %v: %v", conditional, err)
		}
	}
}

func TestAllow(t *testing.T) {
	v := store.Version{}.Next()
	text := v.String()
	for _, tc := range []struct {
		demanded *string
		ok       bool
	}{{nil, true}, {&text, true}, {new(""), false}, {new("no version"), false}} {
		c := change.Changes{IfVersion: tc.demanded}
		err := c.Allow(v)
		if (err == nil) != tc.ok || err != nil && (!errors.Is(err, change.ErrIfVersion) || !errors.Is(err, change.ErrConflict)) {
			t.Errorf("demanding %v: %v", tc.demanded, err)
		}
	}
}
