package runtime_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// scrape returns what Caddy exports of ours, by name and labels.
func scrape(v *caddytest.Visitor) (values map[string]float64, text string) {
	v.T.Helper()
	resp, text := v.Fetch("/metrics")
	if resp.StatusCode != http.StatusOK {
		v.T.Fatalf("scraping: %d %s", resp.StatusCode, text)
	}
	values = make(map[string]float64)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !strings.HasPrefix(line, "caddy_sessions_") {
			continue
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			v.T.Fatal(err)
		}
		values[name] = f
	}
	return values, text
}

// moves expects that what f does adds this much to the metrics.
func moves(v *caddytest.Visitor, what string, f func(), want map[string]float64) {
	v.T.Helper()
	before, _ := scrape(v)
	f()
	after, _ := scrape(v)
	for name, n := range want {
		if got := after["caddy_sessions_"+name] - before["caddy_sessions_"+name]; got != n {
			v.T.Errorf("%s: %s moved by %v, want %v", what, name, got, n)
		}
	}
}

const metricsRoutes = `
	handle /metrics {
		metrics
	}
	handle {
		session shop {
			locking serialized {
				wait 0
			}
		}
		reverse_proxy `

// TestMetrics watches the counts move when things happen, across a reload,
// and looks at what the labels tell.
func TestMetrics(t *testing.T) {
	s := caddytest.NewSite(t)
	_, line := caddytest.NewMemory(t, time.Now)
	g := caddytest.NewGate(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			w.Header().Set("Session-Principal", `"alicesecret"`)
			w.Header().Set("Session-Patch", `{"pin":"datasecret"}`)
		case "/logout":
			w.Header().Set("Session-Action", "destroy")
		case "/bad":
			w.Header().Set("Session-Patch", `{`)
		}
	})
	g.LetGo()
	config := s.Config(line, "", metricsRoutes+caddytest.App(t, g.ServeHTTP)+"\n}")
	s.Load(config)
	v := s.Visitor()
	moves(v, "a login", func() { v.Fetch("/login") }, map[string]float64{
		`opened_total{manager="shop",state="new"}`:          1,
		`commits_total{manager="shop",outcome="created"}`:   1,
		`store_seconds_count{op="save",outcome="ok"}`:       1,
		`store_seconds_count{op="save",outcome="conflict"}`: 0,
	})
	ticket := v.Jar.Cookies(v.URL())[0].Value
	moves(v, "a request", func() { v.Fetch("/") }, map[string]float64{
		`opened_total{manager="shop",state="active"}`: 1,
	})
	moves(v, "spoofed headers and a bad ticket", func() {
		s.Visitor().Fetch("/", "Session-Id", "me", "Session-Data", "{}", "Cookie", "shop_ticket="+ticket[:len(ticket)-4]+"AAAA")
	}, map[string]float64{
		`removed_headers_total{manager="shop",place="request"}`: 2,
		`refused_tickets_total{kind="forged",manager="shop"}`:   1,
	})
	moves(v, "a reload and a bad write", func() { s.Load(config); v.Fetch("/bad") }, map[string]float64{
		`problems_total{manager="shop",type="urn:sessionproxy:bad-write"}`: 1,
	})
	moves(v, "an end", func() { v.Fetch("/logout") }, map[string]float64{
		`ended_total{manager="shop",reason="destroyed"}`:    1,
		`commits_total{manager="shop",outcome="destroyed"}`: 1,
		`store_seconds_count{op="delete",outcome="ok"}`:     1,
	})

	values, text := scrape(v)
	if values[`caddy_sessions_injected_bytes_total{manager="shop"}`] == 0 {
		t.Error("no injected bytes are counted")
	}
	for _, secret := range []string{"alicesecret", "datasecret", ticket} {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics hold %s", secret)
		}
	}
	label := regexp.MustCompile(`(\w+)="([^"]*)"`)
	for name := range values {
		for _, m := range label.FindAllStringSubmatch(name, -1) {
			switch m[1] {
			case "manager", "state", "outcome", "type", "kind", "place", "overwrote", "reason", "op", "listener", "le":
			default:
				t.Errorf("%s has the label %s", name, m[1])
			}
			if len(m[2]) == 22 { // as session ids have
				t.Errorf("%s has the value %s", name, m[2])
			}
		}
	}
}

// TestLockMetrics has one request hold the lock that another one wants.
func TestLockMetrics(t *testing.T) {
	s := caddytest.NewSite(t)
	_, line := caddytest.NewMemory(t, time.Now)
	g := caddytest.NewGate(t, caddytest.Counter)
	s.Load(s.Config(line, "", strings.Replace(metricsRoutes, "handle {", "handle /free {\nsession shop {\nlocking serialized {\nwait 0\n}\n}\nreverse_proxy "+caddytest.App(t, caddytest.Counter)+"\n}\nhandle {", 1)+caddytest.App(t, g.ServeHTTP)+"\n}"))
	v := s.Visitor()
	v.Fetch("/free")
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.Fetch("/")
	}()
	<-g.Arrived
	moves(v, "a lock that is held", func() {
		if resp, _ := v.Fetch("/free"); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("the lock was not held: %d", resp.StatusCode)
		}
	}, map[string]float64{`lock_wait_seconds_count{manager="shop"}`: 1})
	if values, _ := scrape(v); values["caddy_sessions_locks_held"] != 1 {
		t.Errorf("%v locks are held", values["caddy_sessions_locks_held"])
	}
	g.LetGo()
	<-done
	if values, _ := scrape(v); values["caddy_sessions_locks_held"] != 0 {
		t.Errorf("%v locks are held", values["caddy_sessions_locks_held"])
	}
}

// TestStoreMetricsOfBadger sees that the store that is delivered is measured.
func TestStoreMetricsOfBadger(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", metricsRoutes+caddytest.App(t, caddytest.Counter)+"\n}"))
	v := s.Visitor()
	moves(v, "a write", func() { v.Fetch("/") }, map[string]float64{`store_seconds_count{op="save",outcome="ok"}`: 1})
}

// TestGauges looks at what a scrape finds in the open stores.
func TestGauges(t *testing.T) {
	const ago = 2 * time.Hour
	s := caddytest.NewSite(t)
	m, line := caddytest.NewMemory(t, func() time.Time { return time.Now().Add(-ago) })
	m.Reported = store.Stats{DiskBytes: 11, FreeBytes: 12, CacheBytes: 13, Swept: 14, Damaged: 15, Health: &store.Health{ReserveBytes: 16}}
	s.Load(s.Config(line, "", metricsRoutes+caddytest.App(t, caddytest.Counter)+"\n}"))
	m.LimitPending("shop/webhook/1", 3)
	caddytest.Subscribe(m, "shop/webhook/1")
	for i := range 4 {
		now := time.Now().Add(-ago)
		rec := store.Record{Data: []byte("{}"), Created: now, Accessed: now, Idle: time.Hour, Absolute: now.Add(time.Hour), Incarnation: 1, Version: store.Version{}.Next()}
		w := store.Write{Record: rec, Events: []store.Event{{Kind: store.EventCreated}}}
		if err := m.Save(t.Context(), store.Key{Manager: "shop", ID: store.ID{byte(i)}}, w, store.Create()); err != nil {
			t.Fatal(err)
		}
	}
	due, _, err := m.Deliveries(t.Context(), "shop/webhook/1", 1)
	if err != nil || len(due) != 1 {
		t.Fatal(due, err)
	}
	if err := m.Settle(t.Context(), store.Settlement{ID: due[0].ID, Dead: true, Error: "no"}); err != nil {
		t.Fatal(err)
	}
	values, _ := scrape(s.Visitor())
	for name, want := range map[string]float64{
		"open_streams": 0, "locks_held": 0,
		"store_disk_bytes": 11, "store_free_bytes": 12, "store_cache_bytes": 13, "store_swept_total": 14, "store_damaged_total": 15,
		"store_writable": 0, "store_reserve_bytes": 16,
		`listener_waiting{listener="shop/webhook/1"}`: 2, `dead_letters{listener="shop/webhook/1"}`: 2,
		`listener_overflowed_total{listener="shop/webhook/1"}`: 1,
	} {
		if got, ok := values["caddy_sessions_"+name]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	if lag := values[`caddy_sessions_listener_lag_seconds{listener="shop/webhook/1"}`]; lag < ago.Seconds() {
		t.Errorf("the listener is %v seconds behind", lag)
	}
	// A store that has been closed under the scrape is left out.
	if err := m.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if values, _ := scrape(s.Visitor()); fmt.Sprint(values[`caddy_sessions_dead_letters{listener="shop/webhook/1"}`]) != "0" {
		t.Error("a closed store tells of its listeners")
	}
}

// TestGaugesOfSeveralStores adds up what two open stores tell.
func TestGaugesOfSeveralStores(t *testing.T) {
	now := time.Now()
	health := []*store.Health{{Writable: true}, {Reason: "no space"}}
	var all []*runtime.PooledStore
	for i := range 2 {
		at := now.Add(time.Duration(-i) * time.Hour) // the second one is behind
		m := &caddytest.AbleStore{Store: memstore.New(func() time.Time { return at }), Reported: store.Stats{DiskBytes: 10, FreeBytes: int64(5 - i), Swept: 3, Health: health[i]}}
		rec := store.Record{Data: []byte("{}"), Created: at, Accessed: at, Idle: time.Hour, Absolute: at.Add(time.Hour), Incarnation: 1, Version: store.Version{}.Next()}
		w := store.Write{Record: rec, Events: []store.Event{{Kind: store.EventCreated}}}
		caddytest.Subscribe(m, "shop/webhook/1")
		if err := m.Save(t.Context(), store.Key{Manager: "shop"}, w, store.Create()); err != nil {
			t.Fatal(err)
		}
		db := &runtime.PooledStore{Store: m, Node: session.NewNode(m)}
		db.Node.Subscriptions.Add(map[string][]event.Subscription{"shop": {{Name: "shop/idle/2"}}})
		all = append(all, db)
	}
	got := runtime.Backlogs(all)
	want := map[string]store.Backlog{"shop/webhook/1": {Waiting: 2, Oldest: now.Add(-time.Hour)}, "shop/idle/2": {}}
	if !maps.Equal(got, want) {
		t.Errorf("waiting: %+v, want %+v", got, want)
	}
	if s, ok := runtime.StatsOf(all); !ok || s != (store.Stats{DiskBytes: 20, FreeBytes: 4, Swept: 6, Health: health[1]}) {
		t.Errorf("stats: %+v, %v", s, ok)
	}
	if _, ok := runtime.StatsOf(nil); ok {
		t.Error("no store tells of itself")
	}
}

// TestLiveSessionsAreCounted by manager.
func TestLiveSessionsAreCounted(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "metrics", "handle /metrics {\nmetrics\n}\nhandle /a {\nsession a\nreverse_proxy "+caddytest.App(t, caddytest.Counter)+"\n}\nhandle {\nsession b\nreverse_proxy "+caddytest.App(t, caddytest.Counter)+"\n}"))
	for _, path := range []string{"/a", "/a", "/b"} {
		s.Visitor().Fetch(path)
	}
	values, _ := scrape(s.Visitor())
	if a, b := values[`caddy_sessions_live{manager="a"}`], values[`caddy_sessions_live{manager="b"}`]; a != 2 || b != 1 {
		t.Errorf("%v of a, %v of b", a, b)
	}
}
