package sessionproxy

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Totals is what one manager has counted since the process began.
type Totals struct {
	Opened   int64 // sessions, for a request each
	Commits  int64 // that changed something
	Problems int64 // responses replaced by a problem document
	Removed  int64 // headers of requests that pretended to have a session
	Forged   int64 // tickets signed by no key of this proxy, or for another manager
}

// Totals returns the totals of each manager that has counted anything.
func (m *Metrics) Totals() map[string]Totals {
	all := make(map[string]Totals)
	sum := func(vec *prometheus.CounterVec, add func(t *Totals, label string, n int64)) {
		eachCounter(vec, func(manager, label string, n int64) {
			t := all[manager]
			add(&t, label, n)
			all[manager] = t
		})
	}
	sum(m.opened, func(t *Totals, _ string, n int64) { t.Opened += n })
	sum(m.commits, func(t *Totals, _ string, n int64) { t.Commits += n })
	sum(m.problems, func(t *Totals, _ string, n int64) { t.Problems += n })
	sum(m.removed, func(t *Totals, place string, n int64) {
		if place == removedFromRequest {
			t.Removed += n
		}
	})
	sum(m.tickets, func(t *Totals, kind string, n int64) {
		if kind == RefusedForged {
			t.Forged += n
		}
	})
	return all
}

// eachCounter calls f with each counter of a vector whose labels are the
// manager and another one.
func eachCounter(vec *prometheus.CounterVec, f func(manager, label string, n int64)) {
	counters := make(chan prometheus.Metric)
	go func() {
		defer close(counters)
		vec.Collect(counters)
	}()
	for counter := range counters {
		var out dto.Metric
		if err := counter.Write(&out); err != nil {
			continue // of a counter there is none
		}
		var manager, other string
		for _, l := range out.GetLabel() {
			if l.GetName() == "manager" {
				manager = l.GetValue()
			} else {
				other = l.GetValue()
			}
		}
		f(manager, other, int64(out.GetCounter().GetValue()))
	}
}
