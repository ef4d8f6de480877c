package webhook

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

func TestWebhookAnswers(t *testing.T) {
	for _, tc := range []struct {
		name     string
		status   int
		wrong    string // in the error; empty if it was heard
		hopeless bool
	}{
		{"200", 200, "", false},
		{"204", 204, "", false},
		{"299", 299, "", false},
		{"301", 301, "answers 301", false},
		{"307", 307, "answers 307", false},
		{"400", 400, "answers 400", false},
		{"404", 404, "answers 404", false},
		{"410", 410, "answered 410 Gone", true},
		{"429", 429, "answers 429", false},
		{"500", 500, "answers 500", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tc.status)
			}))
			defer server.Close()
			err := newHook(t, server.URL).Handle(t.Context(), anEnd())
			if calls != 1 {
				t.Errorf("%d calls, want 1", calls)
			}
			if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
				t.Errorf("got %v, want %q", err, tc.wrong)
			}
			if errors.Is(err, event.ErrPermanent) != tc.hopeless {
				t.Errorf("hopeless: %v", err)
			}
			keepsQuiet(t, err)
		})
	}
}

// TestWebhookEndlessAnswer sends without end: little of it is read.
func TestWebhookEndlessAnswer(t *testing.T) {
	closed := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(closed)
		megabyte := make([]byte, 1<<20)
		for range 64 { // more than any buffer on the way holds
			if _, err := w.Write(megabyte); err != nil {
				return
			}
		}
		t.Error("all of the answer was read")
	}))
	defer server.Close()
	if err := newHook(t, server.URL).Handle(t.Context(), anEnd()); err != nil {
		t.Error(err)
	}
	<-closed
}

// TestWebhookThatHangs waits for nothing longer than its timeout.
func TestWebhookThatHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Webhook-Id") == "body" {
			w.Header().Set("Content-Length", "10")
			_ = http.NewResponseController(w).Flush()
		}
		<-release
	}))
	defer server.Close()
	defer close(release)
	hook := newHook(t, server.URL)
	hook.Timeout = caddy.Duration(50 * time.Millisecond)
	e := anEnd()
	err := hook.Handle(t.Context(), e)
	if err == nil || !strings.Contains(err.Error(), "no answer in time") || errors.Is(err, event.ErrPermanent) {
		t.Errorf("before the headers: %v", err)
	}
	keepsQuiet(t, err)
	e.ID = "body" // what was heard was heard
	if err := hook.Handle(t.Context(), e); err != nil {
		t.Errorf("in the body: %v", err)
	}
}

func TestWebhookEndsWithItsContext(t *testing.T) {
	g := caddytest.NewGate(t, func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewServer(g)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-g.Arrived
		cancel()
	}()
	err := newHook(t, server.URL).Handle(ctx, anEnd())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	g.LetGo()
}
