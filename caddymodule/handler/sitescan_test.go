package handler

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestMeetingSessionsAreRefusedWithTheirLines adapts sites in which a request
// must meet two sessions, and their neighbours.
func TestMeetingSessionsAreRefusedWithTheirLines(t *testing.T) {
	for name, tc := range map[string]struct{ site, refusal string }{
		"one after the other":    {"session a\nsession b", "at Caddyfile:2 and at Caddyfile:3"},
		"with a matcher":         {"session @x a\nsession b\n@x path /x", "at Caddyfile:2 and at Caddyfile:3"},
		"in a block below":       {"session\nhandle /admin/* {\nsession admin {\nlocking serialized\n}\nrespond ok\n}", "at Caddyfile:2 and at Caddyfile:4"},
		"in a block above":       {"handle /admin/* {\nsession admin\n}\nsession shop", "at Caddyfile:3 and at Caddyfile:5"},
		"in one block":           {"route /x {\nheader {\nsession of-no-one\n}\nsession a\nroute {\nsession /y b\n}\n}", "at Caddyfile:6 and at Caddyfile:8"},
		"side by side":           {"handle /a {\nsession a\n}\nhandle {\nsession b\n}", ""},
		"by matchers":            {"session /a a\nsession /b b", ""},
		"a matcher above":        {"session /a a\nhandle /b {\nsession b\n}", ""},
		"off below":              {"session a\nhandle /b {\nsession off\n}", ""},
		"on an error route":      {"session a\nhandle_errors {\nsession b\n}", ""},
		"a word that is no name": {"session a\nheader {\nsession x\n}\nrespond session", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("http://x.example {\n"+tc.site+"\n}\n"), map[string]any{"filename": "Caddyfile"})
			switch {
			case tc.refusal == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case tc.refusal != "" && (err == nil || !strings.Contains(err.Error(), tc.refusal)):
				t.Fatalf("got %v, want %q", err, tc.refusal)
			}
		})
	}
}
