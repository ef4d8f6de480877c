package runtime_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/store"
)

func init() {
	caddy.RegisterModule(new(recorder))
}

// recorder is a handler of Caddy's events for tests: `on <event> record <label>`.
type recorder struct {
	Label string `json:"label"`
}

// records holds what recorders have been given, by label.
var records sync.Map

// record is what recorders of one label have been given.
type record struct {
	got  chan string
	gate chan struct{} // holds them up until it is closed, or their context ends
	act  func()        // is what they do instead, if it is set
}

// newRecord makes a record for this test alone.
func newRecord(t *testing.T, label string) *record {
	r := &record{got: make(chan string, 8), gate: make(chan struct{})}
	records.Store(label, r)
	t.Cleanup(func() { records.Delete(label) })
	return r
}

// open lets the recorders go on.
func (r *record) open() *record {
	close(r.gate)
	return r
}

func (r *record) expect(t *testing.T, want string) {
	t.Helper()
	if got := <-r.got; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func (r *record) empty(t *testing.T) {
	t.Helper()
	if len(r.got) > 0 {
		t.Errorf("one more: %s", <-r.got)
	}
}

func (*recorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.record", New: func() caddy.Module { return new(recorder) }}
}

func (r *recorder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&r.Label) {
		return d.ArgErr()
	}
	return nil
}

func (r *recorder) Handle(ctx context.Context, e caddy.Event) error {
	found, ok := records.Load(r.Label)
	if !ok {
		return nil // a late one, of a test that has ended
	}
	to := found.(*record)
	if to.act != nil {
		to.act()
		return nil
	}
	select {
	case <-to.gate:
	case <-ctx.Done():
	}
	to.got <- fmt.Sprint(e.Origin().CaddyModule().ID, " ", e.Name(), " ", e.Data)
	return nil
}

var _ caddyevents.Handler = (*recorder)(nil)

// activeEmitter returns that of the configuration that serves.
func activeEmitter(t *testing.T) *runtime.Emitter {
	t.Helper()
	e := runtime.LastEmitter("prepared:" + t.Name())
	if e == nil {
		t.Fatal("no configuration has started")
	}
	return e
}

func TestCaddyEvents(t *testing.T) {
	s := caddytest.NewSite(t)
	_, line := caddytest.NewMemory(t, time.Now)
	routes := "session shop\nreverse_proxy " + caddytest.App(t, caddytest.Writer)
	config := func(label string) []byte {
		return s.Config(line, "events {\n on session_deleted record "+label+"\n}", routes)
	}
	first, second := newRecord(t, "first").open(), newRecord(t, "second").open()
	s.Load(config("first"))
	v := s.Visitor()
	id := v.ID("/")
	v.Fetch("/out")
	first.expect(t, "sessions session_deleted map[manager:shop reason:destroyed session:"+id+"]")

	// After a reload the event goes to the new configuration, and to it alone.
	v.Reload(s, config("second"))
	id = v.ID("/")
	v.Fetch("/out")
	second.expect(t, "sessions session_deleted map[manager:shop reason:destroyed session:"+id+"]")

	s.Stop()
	first.empty(t)
	second.empty(t)
}

// TestCaddyEventsDuringAReload ends a session when the new configuration has
// started and the old one is about to stop: the new one alone is told.
func TestCaddyEventsDuringAReload(t *testing.T) {
	s := caddytest.NewSite(t)
	_, line := caddytest.NewMemory(t, time.Now)
	routes := "session shop\nreverse_proxy " + caddytest.App(t, caddytest.Writer)
	before, after, stopping := newRecord(t, "before").open(), newRecord(t, "after").open(), newRecord(t, "stopping")
	s.Load(s.Config(line, "events {\n on session_deleted record before\n on stopping record stopping\n}", routes))
	v := s.Visitor()
	id := v.ID("/")
	stopping.act = func() { v.Fetch("/out") }
	s.Load(s.Config(line, "events {\n on session_deleted record after\n}", routes))
	after.expect(t, "sessions session_deleted map[manager:shop reason:destroyed session:"+id+"]")
	s.Stop()
	before.empty(t)
	after.empty(t)
}

// TestNamesOfCaddyEvents hands over what may happen to a session.
func TestNamesOfCaddyEvents(t *testing.T) {
	s, all := caddytest.NewSite(t), newRecord(t, "all").open()
	_, line := caddytest.NewMemory(t, time.Now)
	var global strings.Builder
	global.WriteString("events {\n")
	for _, name := range runtime.EventNames {
		global.WriteString("on " + name + " record all\n")
	}
	s.Load(s.Config(line, global.String()+"}", "respond ok"))
	e := activeEmitter(t)
	for kind, name := range map[event.Kind]string{
		event.Create: "session_created", event.Rotate: "session_rotated",
		event.Delete: "session_deleted", event.Rollback: "session_rolled_back",
	} {
		runtime.Emit(e, event.Event{Kind: kind, Manager: "shop", Session: store.ID{1}, Principal: "alice", Data: []byte("{}")})
		all.expect(t, "sessions "+name+" map[manager:shop session:AQAAAAAAAAAAAAAAAAAAAA]")
	}
	if _, ok := runtime.EventNames[event.Save]; ok {
		t.Error("a save is an event of Caddy's")
	}
}

// TestNobodyHearsCaddyEvents queues nothing without a subscriber.
func TestNobodyHearsCaddyEvents(t *testing.T) {
	s, x := caddytest.NewSite(t), newRecord(t, "x").open()
	_, line := caddytest.NewMemory(t, time.Now)
	s.Load(s.Config(line, "events {\n on session_rolled_back record x\n}", "session shop\nreverse_proxy "+caddytest.App(t, caddytest.Writer)))
	unsubscribed := activeEmitter(t)
	v := s.Visitor()
	v.Fetch("/")
	v.Fetch("/out") // ends a session, and nothing subscribes to that
	v.Reload(s, s.Config(line, "", "session shop\nreverse_proxy "+caddytest.App(t, caddytest.Writer)))
	v.Fetch("/")
	v.Fetch("/out")
	for _, e := range []*runtime.Emitter{unsubscribed, activeEmitter(t)} {
		if n := runtime.Queued(e); n != 0 {
			t.Errorf("%d events are queued", n)
		}
	}
	x.empty(t)
}

// TestCaddyEventsHoldNobodyUp has a handler that does not return, before and
// during a reload.
func TestCaddyEventsHoldNobodyUp(t *testing.T) {
	s, slow := caddytest.NewSite(t), newRecord(t, "slow")
	_, line := caddytest.NewMemory(t, time.Now)
	config := s.Config(line, "events {\n on session_deleted record slow\n}", "session shop\nreverse_proxy "+caddytest.App(t, caddytest.Writer))
	s.Load(config)
	v := s.Visitor()
	v.Fetch("/")
	v.Expect("/out", http.StatusOK, v.ID("/"))

	e, before := activeEmitter(t), dropsSoFar(t)
	const dropped = 10
	for range runtime.EventQueue + 1 + dropped { // the handler may have one of them already
		runtime.Emit(e, event.Event{Kind: event.Delete, Manager: "shop"})
	}
	if n := dropsSoFar(t) - before; n < dropped || n > dropped+1 {
		t.Errorf("%v events were dropped, want %d", n, dropped)
	}
	s.Load(config)
	v.Expect("/out", http.StatusOK, v.ID("/"))
	<-slow.got // the first one, which the reload has released
}

// TestCaddyEventsSurviveAPanic has a handler that panics, and one event more.
func TestCaddyEventsSurviveAPanic(t *testing.T) {
	s, bad := caddytest.NewSite(t), newRecord(t, "bad").open()
	_, line := caddytest.NewMemory(t, time.Now)
	panicked := false
	bad.act = func() {
		if panicked {
			bad.got <- "told again"
			return
		}
		panicked = true
		panic("no secret of a session")
	}
	s.Load(s.Config(line, "events {\n on session_deleted record bad\n}", "session shop\nreverse_proxy "+caddytest.App(t, caddytest.Writer)))
	v := s.Visitor()
	for range 2 {
		v.Fetch("/")
		v.Fetch("/out")
	}
	bad.expect(t, "told again")
}

// dropsSoFar reads the counter.
func dropsSoFar(t *testing.T) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := runtime.RegisterMetrics(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "caddy_sessions_dropped_events_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("the counter is not registered")
	return 0
}
