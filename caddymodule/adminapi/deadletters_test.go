package adminapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/store"
)

func TestAdminDeadLetters(t *testing.T) {
	st := caddytest.Shop(t, "")
	caddytest.Subscribe(st, "mail", "audit")
	id := caddytest.Fill(t, st, "shop", 4, "bob", store.Event{Kind: store.EventSaved, Keys: []string{"cart"}})
	for _, letter := range []string{"00000000000000010000000000000000", "00000000000000010000000000000001"} {
		if err := st.Settle(t.Context(), store.Settlement{ID: letter, Dead: true, Error: "no answer"}); err != nil {
			t.Fatal(err)
		}
	}
	const rest = `"event":"save","manager":"shop","session":"BAAAAAAAAAAAAAAAAAAA_w","principal":"bob","keys":["cart"],"at":1700003600,"attempts":1,"error":"no answer"}`
	w := caddytest.Ask(http.MethodGet, "/sessions/dead-letters?limit=1", "")
	if want := `{"dead_letters":[{"id":"00000000000000010000000000000000","listener":"mail",` + rest + `],"next":"MDAwMDAwMDAwMDAwMDAwMTAwMDAwMDAwMDAwMDAwMDA"}`; strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("%s\nwant %s", w.Body, want)
	}
	w = caddytest.Ask(http.MethodGet, "/sessions/dead-letters?limit=1&cursor=MDAwMDAwMDAwMDAwMDAwMTAwMDAwMDAwMDAwMDAwMDA", "")
	if want := `{"dead_letters":[{"id":"00000000000000010000000000000001","listener":"audit",` + rest + `]}`; strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("%s\nwant %s", w.Body, want)
	}
	app, _ := servingApp()
	_, local, err := app.Provider().Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer app.Provider().Release()
	heard := make(chan event.Event, 1)
	defer local.Subscriptions.Add(map[string][]event.Subscription{"shop": {{
		Name: "audit", Kinds: []event.Kind{event.Save},
		Listener: hearing(func(e event.Event) { heard <- e }),
	}}})()
	if w := caddytest.Ask(http.MethodPost, "/sessions/dead-letters/00000000000000010000000000000001/retry", ""); w.Code != http.StatusOK || w.Body.String() != "{\"id\":\"00000000000000010000000000000001\"}\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	select {
	case e := <-heard:
		if e.Session != id || e.Kind != event.Save {
			t.Errorf("told of %+v", e)
		}
	case <-time.After(30 * time.Second):
		t.Error("nobody was told it again")
	}
	if w := caddytest.Ask(http.MethodPost, "/sessions/dead-letters/00000000000000010000000000000001/retry", ""); w.Code != http.StatusNotFound {
		t.Errorf("twice: %d", w.Code)
	}
}

// TestAdminDiscards: a dead letter, and all for a listener once no
// configuration has it.
func TestAdminDiscards(t *testing.T) {
	st := caddytest.Shop(t, "")
	caddytest.Subscribe(st, "mail", "audit")
	caddytest.Fill(t, st, "shop", 4, "bob", store.Event{Kind: store.EventSaved, Keys: []string{"cart"}})
	caddytest.Fill(t, st, "shop", 5, "bob", store.Event{Kind: store.EventSaved, Keys: []string{"cart"}})
	for _, letter := range []string{"00000000000000010000000000000000", "00000000000000010000000000000001"} {
		if err := st.Settle(t.Context(), store.Settlement{ID: letter, Dead: true}); err != nil {
			t.Fatal(err)
		}
	}
	app, _ := servingApp()
	_, local, err := app.Provider().Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer app.Provider().Release()
	answers := func(method, path string, status int, want string) {
		t.Helper()
		if w := caddytest.Ask(method, path, ""); w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s: %d %s, want %d %s", method, path, w.Code, w.Body, status, want)
		}
	}
	done := local.Subscriptions.Add(map[string][]event.Subscription{"shop": {{Name: "mail", Kinds: []event.Kind{event.Save}, Listener: silent{}}}})
	answers("DELETE", "/sessions/dead-letters/00000000000000010000000000000001", 200, `{"id":"00000000000000010000000000000001"}`)
	answers("DELETE", "/sessions/dead-letters/00000000000000010000000000000001", 404, "no such dead letter")
	answers("DELETE", "/sessions/backlog?listener=mail", 409, "remove it from the configuration first")
	answers("GET", "/sessions/stats", 200, `{"name":"audit","waiting":1,"dead":0,"oldest":1700003600,"configured":false},{"name":"mail","waiting":1,"dead":1,"oldest":1700003600,"configured":true}`)
	answers("DELETE", "/sessions/backlog?listener=audit", 200, `{"discarded":1}`)
	answers("DELETE", "/sessions/backlog?listener=audit", 404, "nothing waits")
	done()
	answers("DELETE", "/sessions/backlog?listener=mail", 200, `{"discarded":2}`)
	answers("GET", "/sessions/stats", 200, `"listeners":[]`)
}

// silent is a listener that never answers.
type silent struct{}

func (silent) Handle(ctx context.Context, _ event.Event) error {
	<-ctx.Done()
	return ctx.Err()
}

// hearing is a listener that has heard everything.
type hearing func(event.Event)

func (h hearing) Handle(_ context.Context, e event.Event) error { h(e); return nil }
