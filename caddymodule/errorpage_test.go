package caddymodule

import (
	"net/http"
	"testing"
)

// TestASessionCleansWhatAnErrorPagesAppAnswers has an app behind handle_errors
// answer with what is not for clients.
func TestASessionCleansWhatAnErrorPagesAppAnswers(t *testing.T) {
	s := newSite(t)
	page := app(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Id", "x")
		w.Header().Set("Session-Pach", "{}")
		w.Header().Set("Set-Cookie", "shop_ticket=planted; Path=/")
		w.Header().Set("X-Page", "yes")
	})
	broken := app(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Patch", "{") })
	s.load(s.config("", "", "session shop\nreverse_proxy "+broken+"\nhandle_errors {\nsession shop\nreverse_proxy "+page+"\n}"))
	resp, _ := s.visitor().get("/")
	if resp.Header.Get("X-Page") != "yes" {
		t.Fatalf("the error page was not shown: %d %v", resp.StatusCode, resp.Header)
	}
	for _, name := range []string{"Session-Id", "Session-Pach", "Set-Cookie"} {
		if resp.Header.Get(name) != "" {
			t.Errorf("%s came through", name)
		}
	}
}
