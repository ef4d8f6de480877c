package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
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
	return oneArg(d, &r.Label)
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

func activeApp(t *testing.T) *App {
	t.Helper()
	app, err := caddy.ActiveContext().App(appID)
	if err != nil {
		t.Fatal(err)
	}
	return app.(*App)
}

func TestCaddyEvents(t *testing.T) {
	s := newSite(t)
	_, line := newMemory(t, time.Now)
	routes := "session shop\nreverse_proxy " + app(t, writer)
	config := func(label string) []byte {
		return s.config(line, "events {\n on session_deleted record "+label+"\n}", routes)
	}
	first, second := newRecord(t, "first").open(), newRecord(t, "second").open()
	s.load(config("first"))
	v := s.visitor()
	id := v.id("/")
	v.get("/out")
	first.expect(t, "sessions session_deleted map[manager:shop reason:destroyed session:"+id+"]")

	// After a reload the event goes to the new configuration, and to it alone.
	v.reload(s, config("second"))
	id = v.id("/")
	v.get("/out")
	second.expect(t, "sessions session_deleted map[manager:shop reason:destroyed session:"+id+"]")

	s.stop()
	first.empty(t)
	second.empty(t)
}

// TestCaddyEventsDuringAReload ends a session when the new configuration has
// started and the old one is about to stop: the new one alone is told.
func TestCaddyEventsDuringAReload(t *testing.T) {
	s := newSite(t)
	_, line := newMemory(t, time.Now)
	routes := "session shop\nreverse_proxy " + app(t, writer)
	before, after, stopping := newRecord(t, "before").open(), newRecord(t, "after").open(), newRecord(t, "stopping")
	s.load(s.config(line, "events {\n on session_deleted record before\n on stopping record stopping\n}", routes))
	v := s.visitor()
	id := v.id("/")
	stopping.act = func() { v.get("/out") }
	s.load(s.config(line, "events {\n on session_deleted record after\n}", routes))
	after.expect(t, "sessions session_deleted map[manager:shop reason:destroyed session:"+id+"]")
	s.stop()
	before.empty(t)
	after.empty(t)
}

// TestNamesOfCaddyEvents hands over what may happen to a session.
func TestNamesOfCaddyEvents(t *testing.T) {
	s, all := newSite(t), newRecord(t, "all").open()
	_, line := newMemory(t, time.Now)
	global := "events {\n"
	for _, name := range eventNames {
		global += "on " + name + " record all\n"
	}
	s.load(s.config(line, global+"}", "respond ok"))
	app := activeApp(t)
	for kind, name := range map[session.EventKind]string{
		session.EventCreate: "session_created", session.EventRotate: "session_rotated",
		session.EventDelete: "session_deleted", session.EventRollback: "session_rolled_back",
	} {
		app.events.see(session.Event{Kind: kind, Manager: "shop", Session: store.ID{1}, Principal: "alice", Data: []byte("{}")})
		all.expect(t, "sessions "+name+" map[manager:shop session:AQAAAAAAAAAAAAAAAAAAAA]")
	}
	if _, ok := eventNames[session.EventSave]; ok {
		t.Error("a save is an event of Caddy's")
	}
}

// TestNobodyHearsCaddyEvents has nothing queued for nobody.
func TestNobodyHearsCaddyEvents(t *testing.T) {
	s, x := newSite(t), newRecord(t, "x").open()
	_, line := newMemory(t, time.Now)
	s.load(s.config(line, "events {\n on session_rolled_back record x\n}", "session shop\nreverse_proxy "+app(t, writer)))
	a := activeApp(t)
	unsubscribed := a.events
	v := s.visitor()
	v.get("/")
	v.get("/out") // ends a session, and nobody has subscribed to that
	v.reload(s, s.config(line, "", "session shop\nreverse_proxy "+app(t, writer)))
	v.get("/")
	v.get("/out")
	for _, e := range []*emitter{unsubscribed, activeApp(t).events} {
		if n := len(e.queue); n != 0 {
			t.Errorf("%d events are queued", n)
		}
	}
	x.empty(t)
}

// TestCaddyEventsHoldNobodyUp has a handler that does not return, before and
// during a reload.
func TestCaddyEventsHoldNobodyUp(t *testing.T) {
	s, slow := newSite(t), newRecord(t, "slow")
	_, line := newMemory(t, time.Now)
	config := s.config(line, "events {\n on session_deleted record slow\n}", "session shop\nreverse_proxy "+app(t, writer))
	s.load(config)
	v := s.visitor()
	v.get("/")
	v.expect("/out", http.StatusOK, v.id("/"))

	a, before := activeApp(t), dropsSoFar(t)
	const dropped = 10
	for range eventQueue + 1 + dropped { // the handler may have one of them already
		a.events.see(session.Event{Kind: session.EventDelete, Manager: "shop"})
	}
	if n := dropsSoFar(t) - before; n < dropped || n > dropped+1 {
		t.Errorf("%v events were dropped, want %d", n, dropped)
	}
	s.load(config)
	v.expect("/out", http.StatusOK, v.id("/"))
	<-slow.got // the first one, which the reload has released
}

// TestCaddyEventsSurviveAPanic has a handler that panics, and one event more.
func TestCaddyEventsSurviveAPanic(t *testing.T) {
	s, bad := newSite(t), newRecord(t, "bad").open()
	_, line := newMemory(t, time.Now)
	panicked := false
	bad.act = func() {
		if panicked {
			bad.got <- "told again"
			return
		}
		panicked = true
		panic("no secret of a session")
	}
	s.load(s.config(line, "events {\n on session_deleted record bad\n}", "session shop\nreverse_proxy "+app(t, writer)))
	v := s.visitor()
	for range 2 {
		v.get("/")
		v.get("/out")
	}
	bad.expect(t, "told again")
}

// reload loads a configuration and asks for / until there is an answer: a
// connection that the old one had not accepted is dropped with it.
func (v *visitor) reload(s *site, config []byte) {
	v.t.Helper()
	s.load(config)
	for range 20 {
		resp, err := v.Get(v.base)
		if err != nil {
			continue
		}
		resp.Body.Close()
		return
	}
	v.t.Fatal("no connection after the reload")
}

// dropsSoFar reads the counter.
func dropsSoFar(t *testing.T) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := registerMetrics(registry); err != nil {
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

// id signs in and returns the session's id.
func (v *visitor) id(path string) string {
	v.t.Helper()
	_, id := v.get(path)
	return id
}

// TestOneEmitterAtATime is what happens while two configurations use a store.
func TestOneEmitterAtATime(t *testing.T) {
	var l emitters
	a, b := new(emitter), new(emitter)
	for _, step := range []struct {
		do   func(*emitter)
		with *emitter
		last *emitter
	}{
		{l.add, a, a}, {l.add, b, b}, {l.remove, b, a}, // the new configuration has failed
		{l.add, b, b}, {l.remove, a, b}, {l.remove, b, nil}, {l.remove, b, nil},
	} {
		if step.do(step.with); l.last() != step.last {
			t.Errorf("the wrong one is the last")
		}
	}
}
