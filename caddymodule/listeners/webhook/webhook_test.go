package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/store"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// newHook returns a webhook for a server of the test, with secrets in its URL.
func newHook(t *testing.T, server string) *Webhook {
	t.Helper()
	w := &Webhook{URL: strings.Replace(server, "://", "://user:hunter1@", 1) + "/hunter2?key=hunter3", Secret: hookSecret, AllowPrivate: true}
	provision(t, w)
	return w
}

func provision(t *testing.T, w *Webhook) {
	t.Helper()
	if err := w.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Validate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Cleanup() })
}

// anEnd is an event with something in every field.
func anEnd() event.Event {
	return event.Event{
		ID: "e1", Kind: event.Delete, Manager: "shop", Session: store.ID{1}, Reason: store.Idle,
		Principal: "alicesecret", Data: []byte(`{"pin":"datasecret"}`),
		At:      time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("", 3600)),
		Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Expires: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Attempt: 1,
	}
}

// keepsQuiet fails if an error tells what it must not.
func keepsQuiet(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{"hunter", "whsec", "secret", "MfKQ", "echoed"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds %q: %v", secret, err)
		}
	}
}

// TestWebhookSignature is the example of the specification.
func TestWebhookSignature(t *testing.T) {
	w := newHook(t, "http://hooks.example")
	w.now = func() time.Time { return time.Unix(1614265330, 0) }
	r, err := w.request(t.Context(), "msg_p5jXN8AQM9LWM0D4loKWxJek", []byte(`{"test": 2432232314}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		"content-type":      "application/json",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestWebhookPayload(t *testing.T) {
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	var got string
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || verifier.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
		if user, password, _ := r.BasicAuth(); user != "user" || password != "hunter1" || r.Method != http.MethodPost || r.RequestURI != "/hunter2?key=hunter3" {
			t.Errorf("%s %s by %s", r.Method, r.RequestURI, user)
		}
		got, header = string(body), r.Header
	}))
	defer server.Close()
	hook := newHook(t, server.URL)
	full := `{"type":"session.delete","timestamp":"2026-01-02T02:04:05.006Z","data":{"manager":"shop","session":"AQAAAAAAAAAAAAAAAAAAAA",` +
		`"reason":"idle","principal":"alicesecret","created":"2026-01-01T00:00:00Z","expires":"2026-01-02T00:00:00Z","data":{"pin":"datasecret"}}}`
	for _, tc := range []struct {
		name  string
		event event.Event
		want  string
	}{
		{"an end", anEnd(), full},
		{
			"a save", event.Event{ID: "e2", Kind: event.Save, Manager: "shop", At: anEnd().At, Keys: []string{"a", "b"}, Created: anEnd().Created, Expires: anEnd().Expires},
			`{"type":"session.save","timestamp":"2026-01-02T02:04:05.006Z","data":{"manager":"shop","session":"AAAAAAAAAAAAAAAAAAAAAA","created":"2026-01-01T00:00:00Z","expires":"2026-01-02T00:00:00Z","keys":["a","b"]}}`,
		},
		{
			"a rollback", event.Event{Kind: event.Rollback, Manager: "shop", At: anEnd().At},
			`{"type":"session.rollback","timestamp":"2026-01-02T02:04:05.006Z","data":{"manager":"shop","session":"AAAAAAAAAAAAAAAAAAAAAA"}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := hook.Handle(t.Context(), tc.event); err != nil {
				t.Fatal(err)
			}
			if got != tc.want || !json.Valid([]byte(got)) {
				t.Errorf("sent %s\nwant %s", got, tc.want)
			}
			if id := header.Get("webhook-id"); tc.event.ID != "" && id != tc.event.ID || id == "" {
				t.Errorf("webhook-id is %q", id)
			}
		})
	}
}

// TestWebhookTalksToStrangers answers what is no HTTP, with the request in it.
func TestWebhookTalksToStrangers(t *testing.T) {
	for _, tc := range []struct{ name, answer string }{
		{"nothing", ""},
		{"garbage", "echoed alicesecret\r\n\r\n"},
		{"bad status", "HTTP/1.1 echoed hunter2\r\n\r\n"},
		{"bad header", "HTTP/1.1 200 OK\r\nechoed datasecret\r\n\r\n"},
		{"a megabyte of headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: echoed\r\n", 100_000) + "\r\n"},
		{"a megabyte of a line", "HTTP/1.1 200 " + strings.Repeat("echoed", 200_000) + "\r\n\r\n"},
		{"informational without end", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 10_000)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = io.WriteString(conn, tc.answer)
					_ = conn.(*net.TCPConn).CloseWrite()
					go func() {
						_, _ = io.Copy(io.Discard, conn)
						conn.Close()
					}()
				}
			}()
			err = newHook(t, "http://"+l.Addr().String()).Handle(t.Context(), anEnd())
			if err == nil || errors.Is(err, event.ErrPermanent) || !strings.Contains(err.Error(), "the answer is no HTTP") {
				t.Errorf("got %v", err)
			}
			keepsQuiet(t, err)
		})
	}
}

func TestWebhookOfNoJSON(t *testing.T) {
	e := anEnd()
	e.Data = []byte(`{"pin":datasecret`)
	err := newHook(t, "http://127.0.0.1:1").Handle(t.Context(), e)
	if !errors.Is(err, event.ErrPermanent) {
		t.Errorf("got %v", err)
	}
	keepsQuiet(t, err)
}

func TestWebhookOptions(t *testing.T) {
	t.Setenv("HOOK_SECRET", hookSecret)
	t.Setenv("HOOK_URL", "https://user:hunter1@hooks.example/hunter2")
	w := &Webhook{URL: "{env.HOOK_URL}", Secret: "{env.HOOK_SECRET}"}
	provision(t, w)
	shown, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"url":"{env.HOOK_URL}","secret":"{env.HOOK_SECRET}","events":["create","rotate","delete"],"timeout":10000000000}`; string(shown) != want {
		t.Errorf("shows %s", shown)
	}
	if w.url.Host != "hooks.example" {
		t.Errorf("goes to %s", w.url.Host)
	}
	const https = "https://hooks.example/"
	t.Setenv("HOOK_BAD", "hunter2")
	t.Setenv("HOOK_CLEAR", "http://user:hunter1@hooks.example/hunter2?key=hunter3")
	for _, tc := range []struct {
		name string
		hook Webhook
		want string
	}{
		{"missing secret", Webhook{URL: https}, "must be whsec_"},
		{"unset variable", Webhook{URL: https, Secret: "{env.HOOK_NOTHING}"}, "resolving secret"},
		{"bad secret", Webhook{URL: https, Secret: "{env.HOOK_BAD}"}, "must be whsec_"},
		{"missing url", Webhook{Secret: hookSecret}, "absolute URL"},
		{"bad url", Webhook{URL: "https://hooks.example/hunter2\x7f", Secret: hookSecret}, "absolute URL"},
		{"opaque url", Webhook{URL: "https:hunter2", Secret: hookSecret}, "absolute URL"},
		{"clear url", Webhook{URL: "{env.HOOK_CLEAR}", Secret: hookSecret}, "clear HTTP needs allow_private"},
		{"private url", Webhook{URL: "https://[fd00::1]/hunter2", Secret: hookSecret}, "public internet"},
		{"negative timeout", Webhook{URL: https, Secret: hookSecret, Timeout: -1}, "timeout"},
		{"long timeout", Webhook{URL: https, Secret: hookSecret, Timeout: longestWebhookTimeout + 1}, "timeout"},
		{"no events", Webhook{URL: https, Secret: hookSecret, Events: []event.Kind{}}, "are empty"},
		{"unknown event", Webhook{URL: https, Secret: hookSecret, Events: []event.Kind{"end"}}, `not "end"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.hook.Provision(caddy.Context{})
			if err == nil {
				err = tc.hook.Validate()
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}
