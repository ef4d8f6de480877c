package sessionproxy

import (
	"maps"
	"testing"
)

// TestTotals adds up what belongs together, and leaves out what does not.
func TestTotals(t *testing.T) {
	m := NewMetrics()
	if got := m.Totals(); len(got) != 0 {
		t.Errorf("before anything: %v", got)
	}
	m.opened.WithLabelValues("shop", "active").Add(2)
	m.opened.WithLabelValues("shop", "new").Inc()
	m.opened.WithLabelValues("blog", "new").Inc()
	m.commits.WithLabelValues("shop", "created").Inc()
	m.commits.WithLabelValues("shop", "saved").Add(4)
	m.problems.WithLabelValues("shop", TypeBadWrite).Inc()
	m.problems.WithLabelValues("shop", TypeConflict).Inc()
	m.removed.WithLabelValues("shop", removedFromRequest).Add(6)
	m.removed.WithLabelValues("shop", "response").Inc()
	m.tickets.WithLabelValues("shop", RefusedForged).Add(7)
	m.tickets.WithLabelValues("shop", RefusedMalformed).Inc()
	want := map[string]Totals{
		"shop": {Opened: 3, Commits: 5, Problems: 2, Removed: 6, Forged: 7},
		"blog": {Opened: 1},
	}
	if got := m.Totals(); !maps.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
