package handler

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// minutes is a duration of a configuration.
func minutes(n int) caddy.Duration { return caddy.Duration(time.Duration(n) * time.Minute) }

func TestAssuranceSetsTimeouts(t *testing.T) {
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name                                string
		policy                              Policy
		idle, absolute, maxIdle, maxAbsolut time.Duration
	}{
		{"none", Policy{}, 30 * time.Minute, 12 * time.Hour, 30 * time.Minute, 12 * time.Hour},
		{"aal1", Policy{Assurance: "aal1"}, 30 * day, 30 * day, 30 * day, 30 * day},
		{"aal2", Policy{Assurance: "aal2"}, time.Hour, day, time.Hour, day},
		{"aal3", Policy{Assurance: "aal3"}, 15 * time.Minute, 12 * time.Hour, 15 * time.Minute, 12 * time.Hour},
		{"shorter idle", Policy{Assurance: "aal2", IdleTimeout: minutes(5)}, 5 * time.Minute, day, 5 * time.Minute, day},
		{"shorter absolute", Policy{Assurance: "aal1", AbsoluteTimeout: minutes(60)}, time.Hour, time.Hour, time.Hour, time.Hour},
		{"a cap up to the level", Policy{Assurance: "aal2", IdleTimeout: minutes(5), MaxIdleTimeout: minutes(60)}, 5 * time.Minute, day, time.Hour, day},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &Handler{Manager: "shop", Policy: tc.policy}
			s, err := h.resolve()
			if err != nil {
				t.Fatal(err)
			}
			p := s.policy
			if p.IdleTimeout != tc.idle || p.AbsoluteTimeout != tc.absolute || p.MaxIdle != tc.maxIdle || p.MaxAbsolute != tc.maxAbsolut {
				t.Errorf("timeouts %v %v, caps %v %v", p.IdleTimeout, p.AbsoluteTimeout, p.MaxIdle, p.MaxAbsolute)
			}
		})
	}
}

func TestRotationAndPrincipalLimit(t *testing.T) {
	second := caddy.Duration(time.Second)
	for _, tc := range []struct {
		name   string
		policy Policy
		want   session.Policy // the fields concerned
		err    string
	}{
		{name: "nothing", want: session.Policy{RotateGrace: 10 * time.Second}},
		{name: "default grace", policy: Policy{RotateEvery: minutes(1)}, want: session.Policy{RotateEvery: time.Minute, RotateGrace: 10 * time.Second}},
		{name: "a grace", policy: Policy{RotateEvery: minutes(1), RotateGrace: &second}, want: session.Policy{RotateEvery: time.Minute, RotateGrace: time.Second}},
		{name: "no grace", policy: Policy{RotateEvery: minutes(1), RotateGrace: new(caddy.Duration)}, want: session.Policy{RotateEvery: time.Minute}},
		{name: "evict", policy: Policy{MaxPerPrincipal: &PrincipalLimit{3, "evict_oldest"}}, want: session.Policy{RotateGrace: 10 * time.Second, MaxPerPrincipal: 3, EvictOldest: true}},
		{name: "refuse", policy: Policy{MaxPerPrincipal: &PrincipalLimit{1, "refuse"}}, want: session.Policy{RotateGrace: 10 * time.Second, MaxPerPrincipal: 1}},
		{name: "grace alone", policy: Policy{RotateGrace: &second}, err: "rotate_grace needs rotate_every"},
		{name: "negative rotation", policy: Policy{RotateEvery: minutes(-1)}, err: "every second or more rarely"},
		{name: "no number", policy: Policy{MaxPerPrincipal: &PrincipalLimit{Beyond: "refuse"}}, err: "at least 1, not 0"},
		{name: "no consequence", policy: Policy{MaxPerPrincipal: &PrincipalLimit{Sessions: 1}}, err: `evict_oldest or refuse, not ""`},
		{name: "unknown level", policy: Policy{Assurance: "aal0"}, err: `aal1, aal2, aal3, not "aal0"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &Handler{Manager: "shop", Policy: tc.policy}
			s, err := h.resolve()
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p := s.policy
			got := session.Policy{RotateEvery: p.RotateEvery, RotateGrace: p.RotateGrace, MaxPerPrincipal: p.MaxPerPrincipal, EvictOldest: p.EvictOldest}
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}
