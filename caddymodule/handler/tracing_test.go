package handler

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// spanLog keeps the spans that Caddy exports.
type spanLog struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
}

func (l *spanLog) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spans = append(l.spans, spans...)
	return nil
}

func (l *spanLog) Shutdown(context.Context) error { return nil }

// exported is where Caddy's `tracing` directive exports to in these tests.
var exported = sync.OnceValue(func() *spanLog {
	l := new(spanLog)
	autoexport.RegisterSpanExporter("sessionproxytest", func(context.Context) (sdktrace.SpanExporter, error) { return l, nil })
	return l
})

// took returns the spans since the last call, by name.
func (l *spanLog) took() map[string][]sdktrace.ReadOnlySpan {
	l.mu.Lock()
	defer l.mu.Unlock()
	byName := make(map[string][]sdktrace.ReadOnlySpan)
	for _, s := range l.spans {
		byName[s.Name()] = append(byName[s.Name()], s)
	}
	l.spans = nil
	return byName
}

// attributesOf returns a span's attributes.
func attributesOf(s sdktrace.ReadOnlySpan) map[string]string {
	all := make(map[string]string)
	for _, a := range s.Attributes() {
		all[string(a.Key)] = a.Value.AsString()
	}
	return all
}

// TestSpans has Caddy's own tracing export the spans of a login, a request
// that finds the lock taken, and a write that fails.
func TestSpans(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "sessionproxytest")
	exporter := exported()
	exporter.took()
	s := caddytest.NewSite(t)
	_, line := caddytest.NewMemory(t, time.Now)
	g := caddytest.NewGate(t, caddytest.Counter)
	session := "session shop {\nlocking serialized {\nwait 0\n}\n}"
	s.Load(s.Config(line, "", `
	tracing {
		span shop
	}
	handle /slow {
		`+session+`
		reverse_proxy `+caddytest.App(t, g.ServeHTTP)+`
	}
	handle {
		`+session+`
		reverse_proxy `+caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			w.Header().Set("Session-Principal", `"alicesecret"`)
			w.Header().Set("Session-Patch", `{"pin":"datasecret"}`)
		case "/bad":
			w.Header().Set("Session-Add", `{"pin":1}`)
		}
	})+`
	}`))
	v := s.Visitor()
	v.Fetch("/login")
	ticket := ""
	for _, c := range v.Jar.Cookies(v.URL()) {
		ticket = c.Value
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.Fetch("/slow")
	}()
	<-g.Arrived
	v.Fetch("/") // finds the lock taken
	g.LetGo()
	<-done
	v.Fetch("/bad")
	s.Stop() // exports

	spans := exporter.took()
	parents := make(map[trace.SpanID]string)
	for name, all := range spans {
		for _, span := range all {
			parents[span.SpanContext().SpanID()] = name
		}
	}
	var got []string
	for name, all := range spans {
		for _, span := range all {
			if !strings.HasPrefix(name, "session.") {
				continue
			}
			a := attributesOf(span)
			failed := ""
			if span.Status().Code == codes.Error {
				failed = " error"
			}
			got = append(got, name+" in "+parents[span.Parent().SpanID()]+": "+a[attributeManager]+" "+a[attributeState]+" "+a[attributeOutcome]+failed)
			if id := a[attributeID]; len(id) != 22 && (id != "" || failed == "") {
				t.Errorf("%s has the id %q", name, id)
			}
			if len(a) > 4 || span.InstrumentationScope().Name != tracerName {
				t.Errorf("%s has the attributes %v, of %s", name, a, span.InstrumentationScope().Name)
			}
			for key, value := range a {
				for _, secret := range []string{ticket, "alicesecret", "datasecret"} {
					if strings.Contains(value, secret) {
						t.Errorf("%s tells %s in %s", name, secret, key)
					}
				}
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"session.commit in shop: shop active bad_write error",
		"session.commit in shop: shop active saved",
		"session.commit in shop: shop new created",
		"session.load in session.open: shop  ok",
		"session.load in session.open: shop  ok",
		"session.lock_wait in session.open: shop  locked error",
		"session.open in shop: shop  locked error",
		"session.open in shop: shop active ok",
		"session.open in shop: shop active ok",
		"session.open in shop: shop new ok",
	}
	if !slices.Equal(got, want) {
		t.Errorf("spans\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestNoSpansWithoutAParent costs nothing when nothing records.
func TestNoSpansWithoutAParent(t *testing.T) {
	follow := spans("shop")
	unsampled := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	for name, ctx := range map[string]context.Context{"no tracing": t.Context(), "not sampled": unsampled} {
		for _, step := range []session.TraceStep{session.TraceOpen, session.TraceLockWait, session.TraceLoad, session.TraceCommit} {
			if inside, done := follow(ctx, step); inside != ctx || done != nil {
				t.Errorf("%s: %s is followed", name, step)
			}
		}
		if n := testing.AllocsPerRun(100, func() { follow(ctx, session.TraceOpen) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
