package session_test

import (
	"fmt"
	"strings"
	"testing"

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
	var patches, adds, jsonOps session.Changes
	ops := make([]string, 0, 1000)
	for i := range 250 {
		patches.Steps = append(patches.Steps, patch(t, fmt.Sprintf(`{"p%d":%d}`, i, i)).Steps...)
		adds.Steps = append(adds.Steps, add(t, `{"n":1}`).Steps...)
	}
	for i := range cap(ops) {
		ops = append(ops, fmt.Sprintf(`{"op":"replace","path":"/k%d","value":%d}`, 8999-i%50, i))
	}
	jsonOps = jsonPatch(t, "["+strings.Join(ops, ",")+"]")
	for name, tc := range map[string]struct {
		changes session.Changes
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
				rework, bound, err := session.ReworkAfterBound(session.Changes{Steps: append([]session.Step(nil), tc.changes.Steps...)}, []byte(shown))
				if err != nil || rework > bound {
					t.Fatalf("the writer has %d of %d to do, %v", rework, bound, err)
				}
				s := newHeard(t, updater, func(p *session.Policy) { p.MaxSize = 256 << 10 })
				c := s.begin(shown)
				h := s.open(c)
				s.commit(s.open(c), patch(t, `{"other":1}`))
				if !tc.fits {
					s.refused(h, tc.changes, session.ErrTooMuchRework)
					s.commit(s.open(c), tc.changes) // on the data that it has seen it is made as it is
					return
				}
				out := s.commit(h, tc.changes)
				got := s.data(c)
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
