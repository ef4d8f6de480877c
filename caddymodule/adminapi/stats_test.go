package adminapi

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/store"
)

func TestAdminStats(t *testing.T) {
	st := caddytest.Shop(t, "")
	st.Reported = store.Stats{Batches: 4, Writes: 9, SweptThrough: caddytest.Begin, DiskBytes: 1 << 20}
	caddytest.Subscribe(st, "mail", "audit")
	at := caddytest.Fill(t, st, "shop", 4, "", store.Event{Kind: store.EventCreated})
	if err := st.Settle(t.Context(), store.Settlement{ID: "00000000000000010000000000000001", Dead: true, Error: "500"}); err != nil {
		t.Fatal(err)
	}
	app, _ := servingApp()
	_, local, err := app.Provider().Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer app.Provider().Release()
	defer local.Streams.Watch(store.Key{Manager: "shop", ID: at}, func() {}).Done()
	var got StatsView
	w := caddytest.Ask(http.MethodGet, "/sessions/stats", "")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	if got.Store == nil || got.Store.Batches != 4 || *got.Store.SweptThrough != caddytest.Begin.Unix() || got.Streams != 1 || len(got.Managers) != 2 || got.Managers[1].ID != "shop" {
		t.Errorf("%s", w.Body)
	}
	want := caddytest.Begin.Add(time.Hour).Unix()
	if len(got.Listeners) != 2 || got.Listeners[0] != (BacklogView{Name: "audit", Dead: 1}) || got.Listeners[1].Waiting != 1 || *got.Listeners[1].Oldest != want {
		t.Errorf("%s", w.Body)
	}
}

// TestAdminStatsCount counts requests, and headers that pretended.
func TestAdminStatsCount(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config(caddytest.Prepare(t, caddytest.NewAbleStore()), "", "session counted\nreverse_proxy "+caddytest.App(t, caddytest.Counter)))
	before := runtime.Metrics().Totals()
	s.Visitor().Fetch("/", "Session-Id", "x", "Session-Data", "{}")
	after := runtime.Metrics().Totals()
	was, is := before["counted"], after["counted"]
	if is.Opened-was.Opened != 1 || is.Commits-was.Commits != 1 || is.Removed-was.Removed != 2 || is.Problems != was.Problems {
		t.Errorf("from %+v to %+v", was, is)
	}
}
