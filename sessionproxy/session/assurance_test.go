package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

func TestAssuranceLevels(t *testing.T) {
	for _, tc := range []struct {
		level         string
		overall, idle time.Duration
	}{
		{"aal1", 30 * 24 * time.Hour, 30 * 24 * time.Hour},
		{"aal2", 24 * time.Hour, time.Hour},
		{"aal3", 12 * time.Hour, 15 * time.Minute},
	} {
		t.Run(tc.level, func(t *testing.T) {
			a, err := session.FindAssurance(tc.level)
			if err != nil || a.Overall != tc.overall || a.Idle() != tc.idle {
				t.Fatalf("%+v, %v", a, err)
			}
			good := session.DefaultPolicy()
			good.IdleTimeout, good.MaxIdle = tc.idle, tc.idle
			good.AbsoluteTimeout, good.MaxAbsolute = tc.overall, tc.overall
			if err := a.Check(good); err != nil {
				t.Error(err)
			}
			if _, err := session.NewManager("shop", good, session.Options{Provider: session.Fixed(nil), NewCredential: sessiontest.Credential}); err != nil {
				t.Error(err)
			}
			for name, change := range map[string]func(*session.Policy){
				"idle timeout":     func(p *session.Policy) { p.IdleTimeout++ },
				"absolute timeout": func(p *session.Policy) { p.AbsoluteTimeout++ },
				"longest idle":     func(p *session.Policy) { p.MaxIdle++ },
				"longest absolute": func(p *session.Policy) { p.MaxAbsolute++ },
			} {
				p := good
				change(&p)
				if err := a.Check(p); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), a.Section) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	for _, level := range []string{"", "AAL2", "aal4"} {
		if _, err := session.FindAssurance(level); err == nil || !strings.Contains(err.Error(), "aal1, aal2, aal3") {
			t.Errorf("%q: %v", level, err)
		}
	}
}
