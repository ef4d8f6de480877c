package sessionproxy

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/instrument"
)

// Metrics are the counters of all handlers of a process. Make them once and
// register them with every registry that wants them: counts survive a
// reload only if the collectors do. Labels are ids of managers, names of
// listeners and words of this program: nothing that a client chooses.
type Metrics struct {
	opened           *prometheus.CounterVec
	commits          *prometheus.CounterVec
	problems         *prometheus.CounterVec
	tickets          *prometheus.CounterVec
	removed          *prometheus.CounterVec
	reapplied        *prometheus.CounterVec
	conflicts        *prometheus.CounterVec
	restarts         *prometheus.CounterVec
	endpointProblems *prometheus.CounterVec
	refusedCalls     *prometheus.CounterVec
	injected         *prometheus.CounterVec
	ended            *prometheus.CounterVec
	rotated          *prometheus.CounterVec
	void             *prometheus.CounterVec
	withheld         *prometheus.CounterVec
	cookies          *prometheus.CounterVec
	lostJars         *prometheus.CounterVec
	deliveries       *prometheus.CounterVec
	lockWait         *prometheus.HistogramVec
	store            *prometheus.HistogramVec
}

// NewMetrics makes the counters, all at zero.
func NewMetrics() *Metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caddy", Subsystem: "sessions", Name: name, Help: help,
		}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "caddy", Subsystem: "sessions", Name: name, Help: help, Buckets: buckets,
		}, labels)
	}
	return &Metrics{
		opened:           vec("opened_total", "Sessions opened for a request, by state.", "manager", "state"),
		commits:          vec("commits_total", "Commits that changed something, by what they did.", "manager", "outcome"),
		problems:         vec("problems_total", "Responses replaced by a problem document, by type.", "manager", "type"),
		tickets:          vec("refused_tickets_total", "Tickets refused without asking the store, by kind.", "manager", "kind"),
		removed:          vec("removed_headers_total", "Headers removed because they were not to pass, by place.", "manager", "place"),
		reapplied:        vec("reapplied_total", "Commits reapplied to newer data; overwrote tells whether another request's change was undone.", "manager", "overwrote"),
		conflicts:        vec("conflicts_total", "Requests whose commit met another request's, by how that was settled.", "manager", "outcome"),
		endpointProblems: vec("endpoint_problems_total", "Calls of the endpoint answered by a problem document, by type.", "manager", "type"),
		refusedCalls:     vec("refused_calls_total", "Calls of the endpoint that reached no session, by kind.", "kind"),
		restarts:         vec("restarts_total", "Requests made again because their commit met a conflict.", "manager"),
		injected:         vec("injected_bytes_total", "Bytes of session headers given to apps.", "manager"),
		ended:            vec("ended_total", "Sessions that have ended, by reason.", "manager", "reason"),
		rotated:          vec("rotated_total", "Tickets replaced by new ones.", "manager"),
		void:             vec("void_writes_total", "Responses whose writes were void, since their Session-Action ended the session.", "manager"),
		withheld:         vec("withheld_data_total", "Requests whose data was larger than inline_limit, for an app that is not known to read the endpoint.", "manager"),
		cookies:          vec("cookies_total", "Cookies of apps and browsers that met a cookie jar, by what became of them.", "manager", "kind"),
		lostJars:         vec("lost_jars_total", "Requests whose stored cookie jar could not be read, so that the app got no cookies.", "manager"),
		deliveries:       vec("deliveries_total", "Attempts to tell a listener of an event, by what came of them.", "listener", "outcome"),
		lockWait: histogram("lock_wait_seconds", "How long requests waited for a lock that another one had.",
			[]float64{.001, .004, .016, .064, .25, 1, 4, 16}, "manager"),
		store: histogram("store_seconds", "How long calls of the session store took, by what came of them. Of loads, one in 16 is measured.",
			prometheus.ExponentialBuckets(2e-6, 4, 11), "op", "outcome"), // to 2 s
	}
}

// Collectors returns what is to be registered.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.opened, m.commits, m.problems, m.tickets, m.removed, m.reapplied, m.conflicts, m.restarts, m.endpointProblems, m.refusedCalls,
		m.injected, m.ended, m.rotated, m.void, m.withheld, m.cookies, m.lostJars, m.deliveries, m.lockWait, m.store,
	}
}

// ObserveEvent counts an event of a session; it is for event.Feed.Subscribe.
func (m *Metrics) ObserveEvent(e event.Event) {
	switch e.Kind {
	case event.Delete:
		m.ended.WithLabelValues(e.Manager, string(e.Reason)).Inc()
	case event.Rotate:
		m.rotated.WithLabelValues(e.Manager).Inc()
	case event.Create, event.Save, event.Rollback: // counted by the commit or rollback itself
	}
}

// Store returns a view of s that measures what requests ask of it.
func (m *Metrics) Store(s store.Store) store.Store { return instrument.Wrap(s, m.store) }

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
