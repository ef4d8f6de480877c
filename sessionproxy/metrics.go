package sessionproxy

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the counters of all handlers of a process. Make them once and
// register them with every registry that wants them: counts survive a
// reload only if the collectors do.
type Metrics struct {
	opened  *prometheus.CounterVec
	commits *prometheus.CounterVec
	refused *prometheus.CounterVec
	tickets *prometheus.CounterVec
	removed *prometheus.CounterVec
	lossy   *prometheus.CounterVec
	again   *prometheus.CounterVec
	calls   *prometheus.CounterVec
	foreign *prometheus.CounterVec
}

// NewMetrics makes the counters, all at zero.
func NewMetrics() *Metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caddy", Subsystem: "sessions", Name: name, Help: help,
		}, labels)
	}
	return &Metrics{
		opened:  vec("opened_total", "Sessions opened for a request, by state.", "manager", "state"),
		commits: vec("commits_total", "Commits that changed something, by what they did.", "manager", "outcome"),
		refused: vec("problems_total", "Responses replaced by a problem document, by type.", "manager", "type"),
		tickets: vec("refused_tickets_total", "Tickets refused without asking the store, by kind.", "manager", "kind"),
		removed: vec("removed_headers_total", "Headers removed because they were not to pass, by place.", "manager", "place"),
		lossy:   vec("reapplied_total", "Commits reapplied to newer data; overwrote tells whether another request's change was undone.", "manager", "overwrote"),
		calls:   vec("endpoint_problems_total", "Calls of the endpoint answered by a problem document, by type.", "manager", "type"),
		foreign: vec("refused_calls_total", "Calls of the endpoint that reached no session, by kind.", "kind"),
		again:   vec("restarts_total", "Requests made again because their commit met a conflict.", "manager"),
	}
}

// Collectors returns what is to be registered.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.opened, m.commits, m.refused, m.tickets, m.removed, m.lossy, m.again, m.calls, m.foreign}
}

// managerMetrics are the counters of one manager, looked up beforehand.
type managerMetrics struct {
	opened                                      func(state string)
	created, saved, destroyed                   prometheus.Counter
	problem                                     func(typ string)
	malformed, forged, ambiguous                prometheus.Counter
	inbound, informational, trailer, echo       prometheus.Counter
	setCookie, rolledBack, reapplied, overwrote prometheus.Counter
	ticketHeader                                prometheus.Counter
	restarted                                   prometheus.Counter
	refusedCall                                 func(typ string)
}

func (m *Metrics) of(manager string) *managerMetrics {
	opened := m.opened.MustCurryWith(prometheus.Labels{"manager": manager})
	// The common state is looked up once, the others when they occur.
	active := opened.WithLabelValues("active")
	problems := m.refused.MustCurryWith(prometheus.Labels{"manager": manager})
	calls := m.calls.MustCurryWith(prometheus.Labels{"manager": manager})
	return &managerMetrics{
		refusedCall: func(typ string) { calls.WithLabelValues(typ).Inc() },
		opened: func(state string) {
			if state == "active" {
				active.Inc()
				return
			}
			opened.WithLabelValues(state).Inc()
		},
		created:       m.commits.WithLabelValues(manager, "created"),
		saved:         m.commits.WithLabelValues(manager, "saved"),
		destroyed:     m.commits.WithLabelValues(manager, "destroyed"),
		problem:       func(typ string) { problems.WithLabelValues(typ).Inc() },
		malformed:     m.tickets.WithLabelValues(manager, "malformed"),
		forged:        m.tickets.WithLabelValues(manager, "forged"),
		ambiguous:     m.tickets.WithLabelValues(manager, "ambiguous"),
		inbound:       m.removed.WithLabelValues(manager, "request"),
		informational: m.removed.WithLabelValues(manager, "informational"),
		trailer:       m.removed.WithLabelValues(manager, "trailer"),
		echo:          m.removed.WithLabelValues(manager, "response"),
		setCookie:     m.removed.WithLabelValues(manager, "set_cookie"),
		ticketHeader:  m.removed.WithLabelValues(manager, "ticket_header"),
		rolledBack:    m.removed.WithLabelValues(manager, "rolled_back"),
		reapplied:     m.lossy.WithLabelValues(manager, "no"),
		restarted:     m.again.WithLabelValues(manager),
		overwrote:     m.lossy.WithLabelValues(manager, "yes"),
	}
}
