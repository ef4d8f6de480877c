package caddymodule_test

import (
	"net/http"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

func TestSessionRoundTrip(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `
	session shop
	handle /count {
		reverse_proxy `+caddytest.App(t, caddytest.Counter)+`
	}
	reverse_proxy `+caddytest.App(t, caddytest.Echo)))

	alice, bob := s.Visitor(), s.Visitor()
	alice.Expect("/", http.StatusOK, "{}")
	first := alice.Expect("/count", http.StatusOK, "")
	if len(first.Cookies()) != 1 || first.Cookies()[0].Name != "shop_ticket" {
		t.Errorf("cookies of the first write: %v", first.Cookies())
	}
	if second := alice.Expect("/count", http.StatusOK, ""); len(second.Cookies()) != 0 {
		t.Errorf("cookies of the second write: %v", second.Cookies())
	}
	alice.Expect("/", http.StatusOK, `{"visits":2}`)
	bob.Expect("/", http.StatusOK, "{}")
}

func TestSessionsSurviveAStopAndAStart(t *testing.T) {
	s := caddytest.NewSite(t)
	config := s.Config("", "", "session shop\nreverse_proxy "+caddytest.App(t, caddytest.CountAndEcho))
	s.Load(config)
	v := s.Visitor()
	v.Expect("/", http.StatusOK, "{}")
	s.Stop()
	s.Load(config)
	v.Expect("/", http.StatusOK, `{"visits":1}`)
}
