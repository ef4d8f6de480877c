package adminapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestAdminFailsInTheMiddle: a caller that ended some of the sessions learns how many.
func TestAdminFailsInTheMiddle(t *testing.T) {
	st := caddytest.Shop(t, "")
	var mu sync.Mutex
	deleted := 0
	st.SetBefore(func(op string, _ store.Key) error {
		mu.Lock()
		defer mu.Unlock()
		if op != "delete" {
			return nil
		}
		if deleted++; deleted == 2 {
			return fmt.Errorf("writing: %w: the disk is full", store.ErrUnavailable)
		}
		return nil
	})
	w := caddytest.Ask(http.MethodDelete, caddytest.OfShop+"?all=true", "")
	var p adminProblem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusServiceUnavailable {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if p.Ended != 2 || p.Type != sessionproxy.TypeUnavailable || !strings.Contains(p.Detail, "the disk is full") {
		t.Errorf("%+v", p)
	}
}

// TestAdminWithABareStore: what a store cannot do is said so.
func TestAdminWithABareStore(t *testing.T) {
	s := caddytest.NewSite(t)
	able := caddytest.NewAbleStore()
	s.Load(s.Config(caddytest.Prepare(t, caddytest.BareStore{Store: able}), "", "session shop\nrespond ok"))
	caddytest.Fill(t, able, "shop", 1, "alice")
	for _, c := range []struct{ method, path string }{
		{"GET", "/sessions/managers"}, {"GET", caddytest.OfShop}, {"DELETE", caddytest.OfShop + "?all=true"}, {"GET", "/sessions/dead-letters"},
		{"POST", "/sessions/dead-letters/1/retry"}, {"DELETE", "/sessions/dead-letters/1"}, {"DELETE", "/sessions/backlog?listener=mail"}, {"GET", "/sessions/backup"}, {"POST", "/sessions/restore"},
	} {
		var p adminProblem
		w := caddytest.Ask(c.method, c.path, "")
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusNotImplemented || p.Type != sessionproxy.TypeUnsupported {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
	if w := caddytest.Ask(http.MethodGet, "/sessions/stats", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `{"managers":[{"id":"shop","configured":true,`) {
		t.Errorf("stats: %d %s", w.Code, w.Body)
	}
	const one = caddytest.OfShop + "/AQAAAAAAAAAAAAAAAAAA_w"
	if w := caddytest.Ask(http.MethodGet, one, ""); w.Code != http.StatusOK {
		t.Errorf("show: %d %s", w.Code, w.Body)
	}
	if w := caddytest.Ask(http.MethodDelete, one, ""); w.Code != http.StatusOK || able.Len() != 0 {
		t.Errorf("end: %d %s", w.Code, w.Body)
	}
}

func TestAdminTellsFailuresOfTheStore(t *testing.T) {
	st := caddytest.Shop(t, "")
	st.CountsErr = errors.New("reading block 7")
	w := caddytest.Ask(http.MethodGet, "/sessions/managers", "")
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "reading block 7") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if err := st.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if w := caddytest.Ask(http.MethodGet, caddytest.OfShop, ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("closed: %d %s", w.Code, w.Body)
	}
}
