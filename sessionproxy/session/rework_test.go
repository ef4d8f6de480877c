package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// largeData is a document of about 200 KB.
func largeData() string {
	var b strings.Builder
	b.WriteString(`{"n":0`)
	for i := range 9000 {
		fmt.Fprintf(&b, `,"k%d":"vvvvvvvv%d"`, i, i)
	}
	return b.String() + "}"
}

// TestReworkIsBounded: what is made again on newer data is bounded before the
// store's writer does it, and comes to the same; only JSON Patches, whose
// conditions cannot be kept, conflict then.
func TestReworkIsBounded(t *testing.T) {
	shown := largeData()
	var patches, adds, jsonOps change.Changes
	ops := make([]string, 0, 1000)
	for i := range 250 {
		patches.Ops = append(patches.Ops, sessiontest.MergePatch(t, fmt.Sprintf(`{"p%d":%d}`, i, i)).Ops...)
		adds.Ops = append(adds.Ops, add(t, `{"n":1}`).Ops...)
	}
	for i := range cap(ops) {
		ops = append(ops, fmt.Sprintf(`{"op":"replace","path":"/k%d","value":%d}`, 8999-i%50, i))
	}
	jsonOps = jsonPatch(t, "["+strings.Join(ops, ",")+"]")
	for name, tc := range map[string]struct {
		changes change.Changes
		fits    bool
		want    string // at the end of the data
	}{
		"patches":     {patches, true, `"p249":249}`},
		"additions":   {adds, true, `"other":1}`},
		"one replace": {replace(strings.Replace(shown, `"n":0`, `"m":1`, 1)), true, `"m":1}`},
		"JSON Patch":  {jsonOps, false, ""},
	} {
		for _, updater := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, updater %v", name, updater), func(t *testing.T) {
				bounded := change.Changes{Ops: slices.Clone(tc.changes.Ops)}
				err := bounded.BoundRework([]byte(shown), 1<<20)
				if rework := len(shown) * bounded.Rewrites(); err != nil || rework > 8<<20 {
					t.Fatalf("the writer has %d of %d to do, %v", rework, 8<<20, err)
				}
				s := newHeard(t, updater, func(p *session.Policy) { p.MaxSize = 256 << 10 })
				c := s.Begin(shown)
				h := s.Open(c)
				s.Commit(s.Open(c), sessiontest.MergePatch(t, `{"other":1}`))
				if !tc.fits {
					s.refused(h, tc.changes, change.ErrTooMuchRework)
					s.Commit(s.Open(c), tc.changes) // on the data that it has seen it is made as it is
					return
				}
				out := s.Commit(h, tc.changes)
				got := s.Data(c)
				if !out.Reapplied || !strings.Contains(got, `"other":1`) || !strings.HasSuffix(got, tc.want) {
					t.Errorf("got %+v, …%s", out, got[len(got)-40:])
				}
				if name == "additions" && !strings.HasPrefix(got, `{"n":250,`) {
					t.Errorf("data is %s…", got[:20])
				}
			})
		}
	}
}
