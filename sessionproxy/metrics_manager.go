package sessionproxy

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// managerMetrics are the counters of one manager, looked up beforehand.
type managerMetrics struct {
	opened                                             func(state string)
	created, saved, destroyed                          prometheus.Counter
	problem                                            func(typ string)
	malformed, forged, ambiguous, inbound              refusal
	informational, trailer, echo                       prometheus.Counter
	setCookie, ticketHeader, rolledBack                prometheus.Counter
	kept, overwrote                                    prometheus.Counter
	reapplied, conflictRestarted, conflictEnd, tooMuch prometheus.Counter
	restarted                                          prometheus.Counter
	injected, void, withheld                           prometheus.Counter
	lostJar                                            prometheus.Counter
	cookies                                            []prometheus.Counter // by jar.Kind
	refusedCall                                        func(typ string)
}

// Kinds of what is refused from clients, as Config.Refused is told.
const (
	RefusedMalformed = "malformed" // a ticket that is none
	RefusedForged    = "forged"    // a ticket that was not issued here
	RefusedAmbiguous = "ambiguous" // several genuine tickets, or far too many
	RefusedSpoofed   = "spoofed"   // headers or trailers that speak for the proxy
)

// removedFromRequest is the place of headers of requests that were removed.
const removedFromRequest = "request"

// refusal counts what is refused from clients, and tells of it.
type refusal struct {
	prometheus.Counter
	tell func()
}

// Inc counts one.
func (r refusal) Inc() { r.Add(1) }

// Add counts several, in one request.
func (r refusal) Add(n float64) {
	r.Counter.Add(n)
	if r.tell != nil {
		r.tell()
	}
}

// of returns the counters of the manager. tell hears the kind of what is
// refused, when not nil.
func (m *Metrics) of(manager *session.Manager, tell func(kind string)) *managerMetrics {
	id := manager.ID()
	opened := m.opened.MustCurryWith(prometheus.Labels{"manager": id})
	// The common state is looked up once, the others when they occur.
	active := opened.WithLabelValues("active")
	problems := m.problems.MustCurryWith(prometheus.Labels{"manager": id})
	calls := m.endpointProblems.MustCurryWith(prometheus.Labels{"manager": id})
	refused := func(c *prometheus.CounterVec, label, kind string) refusal {
		r := refusal{Counter: c.WithLabelValues(id, label)}
		if tell != nil {
			r.tell = func() { tell(kind) }
		}
		return r
	}
	reapplied := "reapplied"
	if manager.Policy().Locking == session.Optimistic {
		reapplied = "merged"
	}
	kinds := jar.Kinds()
	cookies := make([]prometheus.Counter, len(kinds))
	for _, k := range kinds {
		cookies[k] = m.cookies.WithLabelValues(id, k.String())
	}
	return &managerMetrics{
		cookies:     cookies,
		lostJar:     m.lostJars.WithLabelValues(id),
		refusedCall: func(typ string) { calls.WithLabelValues(typ).Inc() },
		opened: func(state string) {
			if state == "active" {
				active.Inc()
				return
			}
			opened.WithLabelValues(state).Inc()
		},
		created:           m.commits.WithLabelValues(id, "created"),
		saved:             m.commits.WithLabelValues(id, "saved"),
		destroyed:         m.commits.WithLabelValues(id, "destroyed"),
		problem:           func(typ string) { problems.WithLabelValues(typ).Inc() },
		malformed:         refused(m.tickets, "malformed", RefusedMalformed),
		forged:            refused(m.tickets, "forged", RefusedForged),
		ambiguous:         refused(m.tickets, "ambiguous", RefusedAmbiguous),
		inbound:           refused(m.removed, removedFromRequest, RefusedSpoofed),
		informational:     m.removed.WithLabelValues(id, "informational"),
		trailer:           m.removed.WithLabelValues(id, "trailer"),
		echo:              m.removed.WithLabelValues(id, "response"),
		setCookie:         m.removed.WithLabelValues(id, "set_cookie"),
		ticketHeader:      m.removed.WithLabelValues(id, "ticket_header"),
		rolledBack:        m.removed.WithLabelValues(id, "rolled_back"),
		kept:              m.reapplied.WithLabelValues(id, "no"),
		overwrote:         m.reapplied.WithLabelValues(id, "yes"),
		restarted:         m.restarts.WithLabelValues(id),
		void:              m.void.WithLabelValues(id),
		withheld:          m.withheld.WithLabelValues(id),
		injected:          m.injected.WithLabelValues(id),
		reapplied:         m.conflicts.WithLabelValues(id, reapplied),
		conflictRestarted: m.conflicts.WithLabelValues(id, "restarted"),
		conflictEnd:       m.conflicts.WithLabelValues(id, "refused"),
		tooMuch:           m.conflicts.WithLabelValues(id, "too_much"),
	}
}

// countCookies counts what became of cookies.
func (m *managerMetrics) countCookies(n *jar.Counts) {
	for kind, of := range n {
		if of > 0 {
			m.cookies[kind].Add(float64(of))
		}
	}
}

// count counts a commit that succeeded.
func (m *managerMetrics) count(out session.Outcome) {
	switch {
	case out.Created:
		m.created.Inc()
	case out.Destroyed:
		m.destroyed.Inc()
	case out.Saved:
		m.saved.Inc()
	}
	switch {
	case out.Overwrote:
		m.overwrote.Inc()
	case out.Reapplied:
		m.kept.Inc()
	}
	if out.Reapplied {
		m.reapplied.Inc()
	}
}

// countRefused counts a commit that failed, if it was for a conflict.
func (m *managerMetrics) countRefused(err error) {
	switch {
	case errors.Is(err, change.ErrTooMuchRework):
		m.tooMuch.Inc()
	case errors.Is(err, change.ErrConflict):
		m.conflictEnd.Inc()
	}
}
