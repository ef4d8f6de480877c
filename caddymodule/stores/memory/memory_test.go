package memory_test

import (
	"net/http"
	"testing"

	_ "github.com/sessionproxy/sessionproxy/caddymodule"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestMemory keeps a session over a reload, from the Caddyfile and from the
// same in JSON, and not over a restart.
func TestMemory(t *testing.T) {
	s := caddytest.NewSite(t)
	routes := "session shop\nreverse_proxy " + caddytest.App(t, caddytest.Counter)
	config := s.Config("store memory", "", routes)
	s.Load(config)
	v := s.Visitor()
	v.Expect("/", http.StatusOK, "")
	v.Expect("/", http.StatusOK, "")
	s.Load(s.Config("store memory\nsweep_interval 20s", "", routes))
	if n := v.Data("visits"); n != 2 {
		t.Errorf("%d visits after a reload, want 2", n)
	}
	s.Stop()
	s.Load(config)
	if n := v.Data("visits"); n != 0 {
		t.Errorf("%d visits after a restart, want 0", n)
	}
}
