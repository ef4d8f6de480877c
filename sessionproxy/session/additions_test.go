package session_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func merging(p *session.Policy) { p.Locking, p.Merge = session.Optimistic, true }

// TestAnAdditionBeforeOtherWrites: while a request adds and then writes, in
// that order, another one adds.
func TestAnAdditionBeforeOtherWrites(t *testing.T) {
	at := func(path string) document.Pointer { return pointer(t, path) }
	for _, tc := range []struct {
		name  string
		steps []change.Op
		want  string
	}{
		{"a patch elsewhere", sessiontest.MergePatch(t, `{"b":1}`).Ops, `{"n":111,"o":{"m":111,"x":1},"b":1}`},
		{"a patch beside it", sessiontest.MergePatch(t, `{"o":{"x":2}}`).Ops, `{"n":111,"o":{"m":111,"x":2}}`},
		{"all of the data, as it was but for one place", []change.Op{change.Replace([]byte(`{"n":11,"o":{"m":11,"x":1},"b":1}`))}, `{"n":111,"o":{"m":111,"x":1},"b":1}`},
		{"a value elsewhere", []change.Op{change.Set(at("/o/y"), []byte("2"))}, `{"n":111,"o":{"m":111,"x":1,"y":2}}`},
		{"a removal elsewhere", []change.Op{change.Remove(at("/o/x"))}, `{"n":111,"o":{"m":111}}`},
		{"a JSON Patch elsewhere", jsonPatch(t, `[{"op":"move","from":"/o/x","path":"/x"}]`).Ops, `{"n":111,"o":{"m":111},"x":1}`},
		{"several, and an addition again", append(sessiontest.MergePatch(t, `{"b":1}`).Ops, add(t, `{"n":1000}`).Ops[0], sessiontest.MergePatch(t, `{"c":1}`).Ops[0]), `{"n":1111,"o":{"m":111,"x":1},"b":1,"c":1}`},

		{"the number is set", sessiontest.MergePatch(t, `{"n":5}`).Ops, "conflict"},
		{"the number is removed", []change.Op{change.Remove(at("/o/m"))}, "conflict"},
		{"what it stands in is removed", sessiontest.MergePatch(t, `{"o":null}`).Ops, "conflict"},
		{"what it stands in is replaced", []change.Op{change.Set(at("/o"), []byte(`{"m":7}`))}, "conflict"},
		{"the number is tested", jsonPatch(t, `[{"op":"test","path":"/n","value":11}]`).Ops, "conflict"},
		{"the number moves", jsonPatch(t, `[{"op":"move","from":"/n","path":"/k"}]`).Ops, "conflict"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, merging)
			c := s.Begin(`{"n":1,"o":{"m":1,"x":1}}`)
			h := s.Open(c)
			s.Stage(h, add(t, `{"n":10,"o":{"m":10}}`))
			for _, step := range tc.steps {
				s.Stage(h, steps(step))
			}
			s.Commit(s.Open(c), add(t, `{"n":100,"o":{"m":100}}`))
			_, err := h.Commit(t.Context(), change.Changes{})
			got := s.Data(c)
			if errors.Is(err, change.ErrConflict) {
				got = "conflict"
			} else if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}

			// A request that only writes elsewhere takes nothing from what the app saw.
			c = s.Begin(`{"n":1,"o":{"m":1,"x":1}}`)
			h = s.Open(c)
			s.Stage(h, add(t, `{"n":10,"o":{"m":10}}`))
			for _, step := range tc.steps {
				s.Stage(h, steps(step))
			}
			staged, _ := h.Staged()
			s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"z":1}`))
			s.Commit(h, change.Changes{})
			if got, want := s.Data(c), sessiontest.ParsePatch(t, `{"z":1}`).Apply(staged); !document.Diff([]byte(got), want).Empty() {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// writer is one request of the property below. It adds to counters that all
// share, and otherwise writes only members of its own.
type writer struct {
	name string
	h    *session.Session
	sums map[string]int
}

var counters = []string{"n", "cart.total", "deep.in.side"}

// step draws a write, and stages it if the data allows it.
func (w *writer) step(t *rapid.T) {
	if rapid.Bool().Draw(t, "adds") {
		counter, n := rapid.SampledFrom(counters).Draw(t, "counter"), rapid.IntRange(-3, 3).Draw(t, "n")
		text := map[string]string{"n": `{"n":%d}`, "cart.total": `{"cart":{"total":%d}}`, "deep.in.side": `{"deep":{"in":{"side":%d}}}`}[counter]
		a, err := document.ParseIncrements(fmt.Appendf(nil, text, n), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.h.Stage(change.Changes{Ops: []change.Op{change.Add(a)}}); err != nil {
			t.Fatal(err)
		}
		w.sums[counter] += n
		return
	}
	place := rapid.SampledFrom([]string{"", "/cart", "/deep", "/deep/in"}).Draw(t, "place")
	value := []byte(strconv.Itoa(rapid.IntRange(0, 2).Draw(t, "value")))
	parent, errParent := document.ParsePointer(place)
	own, errOwn := document.ParsePointer(place + "/" + w.name)
	if errParent != nil || errOwn != nil {
		t.Fatal(errParent, errOwn)
	}
	var step change.Op
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		step = change.Set(own, value)
	case 1:
		step = change.Remove(own)
	case 2:
		step = change.MergePatchAt(parent, fmt.Appendf(nil, `{"%s":%s}`, w.name, value))
	case 3:
		p, err := document.ParseJSONPatch(fmt.Appendf(nil, `[{"op":"add","path":"%s/%s","value":%s}]`, place, w.name, value), 0)
		if err != nil {
			t.Fatal(err)
		}
		step = change.JSONPatch(p)
	case 4:
		data, _ := w.h.Staged()
		all, err := document.Set(data, own, value)
		if err != nil {
			t.Fatal(err)
		}
		step = change.Replace(all)
	}
	if err := w.h.Stage(steps(step)); err != nil && !errors.Is(err, change.ErrNoPath) {
		t.Fatal(err)
	}
}

// ownOf returns the members of a document that are a writer's own.
func ownOf(t *rapid.T, data []byte, name string) (own [4]string) {
	for i, place := range []string{name, "cart." + name, "deep." + name, "deep.in." + name} {
		if value, ok := document.Lookup(data, place); ok {
			own[i] = string(value)
		}
	}
	return own
}

// TestAdditionsAreNeverLost: requests that add to shared numbers and otherwise
// write what no other writes neither conflict nor lose anything, in
// whatever order they do that, and however they meet.
func TestAdditionsAreNeverLost(t *testing.T) {
	for name, policy := range map[string]func(*session.Policy){"merge": merging, "lossy": nil} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				s := newSite(t, policy)
				c := s.Begin(rapid.SampledFrom([]string{`{}`, `{"n":1}`, `{"n":1,"cart":{}}`, `{"cart":{"total":5},"deep":{"in":{"side":2}}}`}).Draw(rt, "data"))
				want := make(map[string]int)
				for _, counter := range counters {
					want[counter] = number(rt, []byte(s.Data(c)), counter)
				}
				var open []*writer
				for i := range rapid.IntRange(2, 12).Draw(rt, "events") {
					switch what := rapid.IntRange(0, 5).Draw(rt, "what"); {
					case what == 0 || len(open) == 0:
						open = append(open, &writer{name: fmt.Sprintf("w%d", i), h: s.Open(c), sums: make(map[string]int)})
					case what < 5:
						rapid.SampledFrom(open).Draw(rt, "writer").step(rt)
					default:
						at := rapid.IntRange(0, len(open)-1).Draw(rt, "commits")
						open[at].commit(rt, s, c, want)
						open = append(open[:at:at], open[at+1:]...)
					}
				}
				for _, w := range open {
					w.commit(rt, s, c, want)
				}
			})
		})
	}
}

// commit commits, and compares what is stored with what it has to be.
func (w *writer) commit(t *rapid.T, s *site, c session.Credential, want map[string]int) {
	shown, _ := w.h.Staged()
	own := ownOf(t, shown, w.name)
	if _, err := w.h.Commit(s.T.Context(), change.Changes{}); err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	data := []byte(s.Data(c))
	for counter, n := range w.sums {
		want[counter] += n
	}
	for counter, n := range want {
		if got := number(t, data, counter); got != n {
			t.Fatalf("%s is %d, want %d: %s", counter, got, n, data)
		}
	}
	if got := ownOf(t, data, w.name); got != own {
		t.Fatalf("%s wrote %q, stored is %q: %s", w.name, own, got, data)
	}
}

func number(t *rapid.T, data []byte, path string) (n int) {
	if value, ok := document.Lookup(data, path); ok {
		if err := json.Unmarshal(value, &n); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// However many writes one request stages, its additions stay additions.
func TestManyWritesBetweenAdditions(t *testing.T) {
	for name, policy := range map[string]func(*session.Policy){"merge": merging, "lossy": nil} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, policy)
			c := s.Begin(`{"n":0}`)
			h := s.Open(c)
			for i := range 300 {
				s.Stage(h, add(t, `{"n":1}`))
				s.Stage(h, sessiontest.MergePatch(t, fmt.Sprintf(`{"i":%d}`, i)))
			}
			s.Commit(s.Open(c), add(t, `{"n":1000}`))
			s.Commit(h, change.Changes{})
			if got := s.Data(c); got != `{"n":1300,"i":299}` {
				t.Fatalf("data is %s", got)
			}
		})
	}
}
