package runtime

import (
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

// auditName is the logger of what happens to sessions: a `log` block takes its
// records with `include sessions.audit`, or leaves them out with `exclude`.
const auditName = "sessions.audit"

// auditLog writes one record for each session that begins, gets another ticket
// or ends, and for what is refused from clients. There is no ticket in it, no
// data and no principal. Safe for concurrent use.
type auditLog struct {
	bursts *throttle[refused]

	mu      sync.Mutex    // protects what follows
	loggers []*zap.Logger // of the configurations that want records
	queue   []auditRecord // not written yet, in order
	idle    chan struct{} // closed when the queue has been written; nil while nothing is
}

// auditRecord is an event, and the logger that was the current one when it happened.
type auditRecord struct {
	logger *zap.Logger
	event  event.Event
}

const (
	// auditQueue is how many records may wait for a log that is slow.
	auditQueue = 1 << 14
	// auditFlush is how long the end of a configuration waits for its records.
	auditFlush = time.Second
)

// newDroppedRecords counts what found the queue full.
func newDroppedRecords() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "sessions", Name: "dropped_audit_records_total",
		Help: "Audit records of sessions that were not written, because their log was too slow.",
	})
}

// refused is one kind of what a manager refuses.
type refused struct{ manager, kind string }

// auditEvery is the least time between two records of one kind of refusal.
const auditEvery = time.Second

func newAuditLog(now func() time.Time) *auditLog {
	return &auditLog{bursts: newThrottle[refused](now, auditEvery)}
}

// AuditModule gives the audit a logger of its own in Caddy.
type AuditModule struct{}

// CaddyModule returns the Caddy module information. It is not registered.
func (AuditModule) CaddyModule() caddy.ModuleInfo { return caddy.ModuleInfo{ID: auditName} }

// UseAudit has the audit's records written to a configuration's logs, until
// done is called.
func UseAudit(logger *zap.Logger) (done func()) { return process.audit.use(logger) }

// AuditRefusal writes to the audit that something was refused from a client.
func AuditRefusal(manager, kind string) { process.audit.refuse(manager, kind) }

// use has records written to a configuration's logs, until done is called.
// During a reload there are two; the later one has them.
func (a *auditLog) use(logger *zap.Logger) (done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.loggers = append(a.loggers, logger)
	return func() {
		a.flush(auditFlush)
		a.mu.Lock()
		defer a.mu.Unlock()
		if i := slices.Index(a.loggers, logger); i >= 0 {
			a.loggers = slices.Delete(a.loggers, i, i+1)
		}
	}
}

// logger returns the one to write to, or nil.
func (a *auditLog) logger() *zap.Logger {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.loggers); n > 0 {
		return a.loggers[n-1]
	}
	return nil
}

// onEvent has an event of a session written down. It is for session.Node.Subscribe and
// does no I/O: the store's writer calls it, and a log may block.
func (a *auditLog) onEvent(e event.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.loggers)
	switch {
	case n == 0 || e.Kind == event.Save || e.Kind == event.Rollback:
		return
	case len(a.queue) >= auditQueue:
		process.droppedRecords.Inc()
		return
	}
	a.queue = append(a.queue, auditRecord{a.loggers[n-1], e})
	if a.idle == nil {
		a.idle = make(chan struct{})
		go a.drain()
	}
}

// drain writes what waits, and ends when nothing does.
func (a *auditLog) drain() {
	for {
		a.mu.Lock()
		records := a.queue
		a.queue = nil
		if len(records) == 0 {
			close(a.idle)
			a.idle = nil
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		for _, r := range records {
			writeAudit(r.logger, &r.event)
		}
	}
}

// flush waits until what was seen is written, or for the longest time given.
func (a *auditLog) flush(longest time.Duration) {
	a.mu.Lock()
	idle := a.idle
	a.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-time.After(longest):
	}
}

// writeAudit writes the record of an event.
func writeAudit(logger *zap.Logger, e *event.Event) {
	defer func() { // of a log's writer: there is no server around this goroutine
		if recover() != nil {
			process.droppedRecords.Inc()
		}
	}()
	var message, ev string
	switch e.Kind {
	case event.Create:
		message, ev = "session created", "session_created"
	case event.Rotate:
		message, ev = "session rotated", "session_rotated"
	case event.Delete:
		message, ev = "session ended", "session_ended"
	default:
		return
	}
	c := logger.Check(zap.InfoLevel, message)
	if c == nil {
		return
	}
	fields := []zap.Field{zap.String("event", ev), zap.String("manager", e.Manager), zap.Stringer("session_id", e.Session)}
	if e.Reason != "" {
		fields = append(fields, zap.String("reason", string(e.Reason)))
	}
	c.Write(fields...)
}

// refuse writes down that something was refused from a client: the first time,
// and then not more often than auditEvery, with how many were left out.
func (a *auditLog) refuse(manager, kind string) {
	logger := a.logger()
	if logger == nil {
		return
	}
	suppressed, ok := a.bursts.admit(refused{manager, kind})
	if !ok {
		return
	}
	if c := logger.Check(zap.InfoLevel, "session refused"); c != nil {
		c.Write(zap.String("event", "session_refused"), zap.String("manager", manager), zap.String("kind", kind), zap.Int("suppressed", suppressed))
	}
}
