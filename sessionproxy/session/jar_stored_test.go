package session_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestJarThatCannotBeRead counts as gone. It stays as it is until the app sets
// cookies.
func TestJarThatCannotBeRead(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(cookies []byte) []byte
	}{
		{"tampered with", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }},
		{"an index tampered with", func(b []byte) []byte { b[3] ^= 1; return b }},
		{"of a newer version", func(b []byte) []byte { b[0]++; return b }},
		{"cut off", func(b []byte) []byte { return b[:5] }},
		{"of anything", func([]byte) []byte { return []byte("anything") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, nil, func(t *testing.T, s *jarSite) {
				cred := s.begin("sid=1")
				key := store.Key{Manager: "shop", ID: cred.ID}
				rec := s.record(cred)
				cond := store.IfVersion(rec.Version)
				rec.Version, rec.Cookies = rec.Version.Next(), tc.spoil(bytes.Clone(rec.Cookies))
				if err := s.store.Save(t.Context(), key, store.Write{Record: rec}, cond); err != nil {
					t.Fatal(err)
				}
				v := s.open(page, &cred)
				if v.State() != session.Active || v.shown() != "" || v.JarLost() == nil {
					t.Fatalf("state %s, shown %q, lost %v", v.State(), v.shown(), v.JarLost())
				}
				v.commit(replace(`{"a":1}`))
				if after := s.record(cred); !bytes.Equal(after.Cookies, rec.Cookies) {
					t.Fatal("data has overwritten the jar")
				}
				in := s.open(form, &cred).commit(change.Changes{Principal: new("alice")})
				if after := s.record(cred); !bytes.Equal(after.Cookies, rec.Cookies) {
					t.Fatal("a sign-in has overwritten the jar")
				}
				v = s.open(script, in.Ticket)
				v.answer("sid=2")
				v = s.open(page, in.Ticket)
				if v.shown() != "sid=2" || v.JarLost() != nil {
					t.Fatalf("shown %q, lost %v", v.shown(), v.JarLost())
				}
			})
		})
	}
	t.Run("of another session", func(t *testing.T) {
		s := newJarSite(t, openMemory, nil)
		mine, other := s.begin("sid=1"), s.begin("sid=2")
		rec := s.record(mine)
		cond := store.IfVersion(rec.Version)
		rec.Version, rec.Cookies = rec.Version.Next(), s.record(other).Cookies
		if err := s.store.Save(t.Context(), store.Key{Manager: "shop", ID: mine.ID}, store.Write{Record: rec}, cond); err != nil {
			t.Fatal(err)
		}
		s.shows(mine, "")
	})
}

// TestLargestJar: the largest jar there is, and its past, can be stored.
func TestLargestJar(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		rules, err := jar.NewRules(jar.Options{MaxSize: jar.LargestMaxSize})
		if err != nil {
			t.Fatal(err)
		}
		s.rules = rules
		path, domain, value := "/"+strings.Repeat("p", 1000), strings.Repeat("d", 1000), strings.Repeat("v", 500)
		var lines []string
		for i := range 128 {
			lines = append(lines, fmt.Sprintf("c%03d=%s; Path=%s; Domain=%s; Max-Age=1000", i, value, path, domain), fmt.Sprintf("c%03d=%s", i, value))
		}
		cred := s.begin(lines...)
		v := s.open(form, &cred)
		var notes []string
		for i := range 128 {
			notes = append(notes, fmt.Sprintf("note%d=1; Path=%s", i, path))
		}
		w := s.rules.Sort(nil, &v.req, notes).Wishes
		v.commit(change.Changes{Cookies: &change.Cookies{Wishes: w}})
		out := s.open(form, &cred).answer("c000=w", "c001=w")
		if !out.Rotated {
			t.Fatalf("got %+v", out)
		}
		t.Logf("%d bytes", len(s.record(*out.Ticket).Cookies))
	})
}

func TestJarIsDescribed(t *testing.T) {
	s := newJarSite(t, openMemory, nil)
	cred := s.begin("sid=secret-value; Path=/")
	infos, err := session.DescribeJar(s.record(cred).Cookies)
	if err != nil || len(infos) != 1 || infos[0].Name != "sid" || infos[0].Path != "/" || infos[0].Size != len("sid"+"secret-value") {
		t.Fatalf("got %+v, %v", infos, err)
	}
	if infos, err := session.DescribeJar(nil); err != nil || infos != nil {
		t.Fatalf("got %+v, %v", infos, err)
	}
	if _, err := session.DescribeJar([]byte{9}); err == nil {
		t.Fatal("a newer jar was described")
	}
}

// TestJarRemembers: while a cookie of the kind "remember me" is in the jar,
// session and ticket last as long.
func TestJarRemembers(t *testing.T) {
	const day = 24 * time.Hour
	policy := func(p *session.Policy) { p.MaxIdle, p.MaxAbsolute, p.RotateEvery = 20*day, 30*day, 12*time.Hour }
	onJarSites(t, policy, func(t *testing.T, s *jarSite) {
		cred := s.begin("sid=1")
		out := s.open(script, &cred).answer("remember=me; Max-Age=1209600") // 14 days
		if !out.Resend || !out.Persist || out.Ticket == nil || out.Lifetime < 13*day || out.Rotated {
			t.Fatalf("got %+v", out)
		}
		s.clock.advance(3 * day)
		out = s.open(page, &cred).answer()
		if !out.Rotated || !out.Persist {
			t.Fatalf("rotated by timer: got %+v", out)
		}
		cred = *out.Ticket
		out = s.open(form, &cred).answer("sid=2")
		if !out.Rotated || !out.Persist || out.Resend {
			t.Fatalf("a login: got %+v", out)
		}
		cred = *out.Ticket
		out = s.open(form, &cred).answer("remember=me2; Max-Age=31536000")
		cred = *out.Ticket
		if rec := s.record(cred); !rec.Absolute.Equal(rec.Since.Add(30*day)) || rec.Idle != 20*day {
			t.Fatalf("idle %v, absolute %v after %v", rec.Idle, rec.Absolute, rec.Since)
		}
		s.clock.advance(19 * day)
		s.shows(cred, "sid=2; remember=me2")
		out = s.open(script, &cred).answer("remember=; Max-Age=0")
		if !out.Resend || out.Persist || out.Ticket == nil || out.Lifetime > time.Hour {
			t.Fatalf("forgotten: got %+v", out)
		}
		s.shows(*out.Ticket, "sid=2")
		s.clock.advance(time.Hour)
		s.shows(*out.Ticket, "")
	})
	t.Run("to its own expiry", func(t *testing.T) {
		s := newJarSite(t, openMemory, policy)
		cred := s.begin("sid=1", "remember=me; Max-Age=172800")
		s.clock.advance(47 * time.Hour)
		s.shows(cred, "sid=1; remember=me")
		s.clock.advance(time.Hour)
		s.shows(cred, "")
	})
	t.Run("not without an expiry", func(t *testing.T) {
		s := newJarSite(t, openMemory, policy)
		v := s.open(page, nil)
		if out := v.answer("remember=me"); out.Persist || out.Lifetime > time.Hour {
			t.Fatalf("got %+v", out)
		}
	})
}

// TestJarOfSeveralTickets: of two genuine tickets the one that is current
// brings its jar.
func TestJarOfSeveralTickets(t *testing.T) {
	s := newJarSite(t, openMemory, nil)
	old := s.begin("sid=1")
	current := *s.open(form, &old).answer("sid=2").Ticket
	other := s.begin("sid=3")
	h, err := s.manager.Open(t.Context(), session.Request{Credentials: []session.Credential{old, current}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Rollback()
	v := &visit{site: s, req: jar.Request{BrowserPath: "/", AppPath: "/", At: s.clock.Now()}, Session: h}
	if v.shown() != "sid=2" {
		t.Fatalf("shown %q", v.shown())
	}
	_ = other
}
