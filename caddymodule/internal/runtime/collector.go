package runtime

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/store"
)

// collector tells at each scrape how the open stores are, and what belongs to
// them. What several stores have, during a move from one to another, is added
// up. What a store cannot tell is left out.
type collector struct {
	live, streams, locks               *prometheus.Desc
	lag, waiting, dead, overflowed     *prometheus.Desc
	disk, free, cached, swept, damaged *prometheus.Desc
	logs                               *prometheus.Desc
	writable, reserve                  *prometheus.Desc
}

// scrapeTimeout bounds how long a scrape waits for a store.
const scrapeTimeout = 2 * time.Second

func newCollector() *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName("caddy", "sessions", name), help, labels, nil)
	}
	return &collector{
		live:       desc("live", "Sessions that are stored, those included that have expired and are not swept yet.", "manager"),
		streams:    desc("open_streams", "WebSockets and event streams that end with their session."),
		locks:      desc("locks_held", "Sessions whose lock a request has."),
		lag:        desc("listener_lag_seconds", "How long ago happened what the listener is to be told next.", "listener"),
		waiting:    desc("listener_waiting", "Events that the listener is still to be told.", "listener"),
		dead:       desc("dead_letters", "Events that the listener is not told any more, until somebody asks for it.", "listener"),
		overflowed: desc("listener_overflowed_total", "Events that were dead letters at once, because as many waited for the listener as may.", "listener"),
		disk:       desc("store_disk_bytes", "Disk space that the session store takes."),
		free:       desc("store_free_bytes", "Free disk space where the session store is."),
		cached:     desc("store_cache_bytes", "Memory that the session store has for copies of records."),
		swept:      desc("store_swept_total", "Sessions that were found expired and ended."),
		writable:   desc("store_writable", "1 while the session store takes writes, 0 while it refuses them."),
		reserve:    desc("store_reserve_bytes", "Free disk space below which the session store refuses writes."),
		logs:       desc("store_damaged_logs", "Logs of the session store that were damaged or missing when it was opened: what was written to them is lost."),
		damaged:    desc("store_damaged_total", "Records that failed their checksum, and count as ended."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.live, c.streams, c.locks, c.lag, c.waiting, c.dead, c.overflowed, c.disk, c.free, c.cached, c.swept, c.damaged, c.logs, c.writable, c.reserve} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g *collector) Collect(to chan<- prometheus.Metric) {
	all := OpenStores()
	streams, locks := 0, 0
	for _, db := range all {
		streams += db.Node.Streams.Len()
		locks += db.Node.Locks.Len()
	}
	tell := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	for manager, n := range liveSessions(all) {
		tell(g.live, prometheus.GaugeValue, float64(n), manager)
	}
	tell(g.streams, prometheus.GaugeValue, float64(streams))
	tell(g.locks, prometheus.GaugeValue, float64(locks))
	for listener, b := range backlogs(all) {
		tell(g.waiting, prometheus.GaugeValue, float64(b.Waiting), listener)
		tell(g.dead, prometheus.GaugeValue, float64(b.Dead), listener)
		tell(g.overflowed, prometheus.CounterValue, float64(b.Overflowed), listener)
		lag := 0.0
		if !b.Oldest.IsZero() {
			lag = max(0, time.Since(b.Oldest).Seconds())
		}
		tell(g.lag, prometheus.GaugeValue, lag, listener)
	}
	if s, ok := statsOf(all); ok {
		tell(g.disk, prometheus.GaugeValue, float64(s.DiskBytes))
		tell(g.free, prometheus.GaugeValue, float64(s.FreeBytes))
		tell(g.cached, prometheus.GaugeValue, float64(s.CacheBytes))
		tell(g.swept, prometheus.CounterValue, float64(s.Swept))
		tell(g.damaged, prometheus.CounterValue, float64(s.Damaged))
		tell(g.logs, prometheus.GaugeValue, float64(s.DamagedLogs))
		if h := s.Health; h != nil {
			writable := 0.0
			if h.Writable {
				writable = 1
			}
			tell(g.writable, prometheus.GaugeValue, writable)
			tell(g.reserve, prometheus.GaugeValue, float64(h.ReserveBytes))
		}
	}
}

// OpenStores returns the stores that the process has open. A store that is
// closed meanwhile answers with an error.
func OpenStores() (all []*PooledStore) {
	process.stores.Range(func(_, value any) bool {
		if db, ok := value.(*PooledStore); ok {
			all = append(all, db)
		}
		return true
	})
	return all
}

// liveSessions counts sessions by manager, if the stores can tell.
func liveSessions(all []*PooledStore) map[string]int64 {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	sum := make(map[string]int64)
	for _, db := range all {
		counter := db.Node.Features.Counter
		if counter == nil {
			continue
		}
		counts, err := counter.Counts(ctx)
		if err != nil {
			continue // the store tells of its troubles itself
		}
		for _, c := range counts {
			sum[c.Manager] += c.Sessions
		}
	}
	return sum
}

// backlogs returns what waits, by listener: those that are configured, and
// those for whom something waits still.
func backlogs(all []*PooledStore) map[string]store.Backlog {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	sum := make(map[string]store.Backlog)
	for _, db := range all {
		outbox := db.Node.Features.Outbox
		if outbox == nil {
			continue
		}
		waiting, err := outbox.Backlog(ctx)
		if err != nil {
			continue // the store tells of its troubles itself
		}
		for name := range db.Node.Subscriptions.All() {
			if _, ok := sum[name]; !ok {
				sum[name] = store.Backlog{} // nothing waits, as far as is known
			}
		}
		for _, b := range waiting {
			s := sum[b.Listener]
			s.Waiting += b.Waiting
			s.Dead += b.Dead
			s.Overflowed += b.Overflowed
			if s.Oldest.IsZero() || !b.Oldest.IsZero() && b.Oldest.Before(s.Oldest) {
				s.Oldest = b.Oldest
			}
			sum[b.Listener] = s
		}
	}
	return sum
}

// statsOf adds up what the stores tell of themselves. Of free space it is the
// least, and of health that of a store which refuses writes, if there is one. It reports false if none of them tells anything.
func statsOf(all []*PooledStore) (sum store.Stats, ok bool) {
	for _, db := range all {
		reporter := db.Node.Features.Reporter
		if reporter == nil {
			continue
		}
		s := reporter.Stats()
		if !ok || s.FreeBytes < sum.FreeBytes {
			sum.FreeBytes = s.FreeBytes
		}
		ok = true
		if s.Health != nil && (sum.Health == nil || sum.Health.Writable) {
			sum.Health = s.Health
		}
		sum.DiskBytes += s.DiskBytes
		sum.CacheBytes += s.CacheBytes
		sum.Swept += s.Swept
		sum.Damaged += s.Damaged
		sum.DamagedLogs += s.DamagedLogs
	}
	return sum, ok
}

// Interface guard.
var _ prometheus.Collector = (*collector)(nil)
