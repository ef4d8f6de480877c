package caddymodule

import (
	"net/http"
	"testing"
)

func TestSessionRoundTrip(t *testing.T) {
	s := newSite(t)
	s.load(s.config("", "", `
	session shop
	handle /count {
		reverse_proxy `+app(t, counter)+`
	}
	reverse_proxy `+app(t, echo)))

	alice, bob := s.visitor(), s.visitor()
	alice.expect("/", http.StatusOK, "{}")
	first := alice.expect("/count", http.StatusOK, "")
	if len(first.Cookies()) != 1 || first.Cookies()[0].Name != "shop_ticket" {
		t.Errorf("cookies of the first write: %v", first.Cookies())
	}
	if second := alice.expect("/count", http.StatusOK, ""); len(second.Cookies()) != 0 {
		t.Errorf("cookies of the second write: %v", second.Cookies())
	}
	alice.expect("/", http.StatusOK, `{"visits":2}`)
	bob.expect("/", http.StatusOK, "{}")
}

func TestSessionsSurviveAStopAndAStart(t *testing.T) {
	s := newSite(t)
	config := s.config("", "", "session shop\nreverse_proxy "+app(t, countAndEcho))
	s.load(config)
	v := s.visitor()
	v.expect("/", http.StatusOK, "{}")
	s.stop()
	s.load(config)
	v.expect("/", http.StatusOK, `{"visits":1}`)
}
