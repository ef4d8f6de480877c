package session_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/badgerstore"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// jarSite is a manager with a cookie jar, and one browser.
type jarSite struct {
	t       *testing.T
	rules   *jar.Rules
	manager *session.Manager
	store   *countingStore
	clock   *clock
}

// countingStore counts saves, but for those that the store's writer plans.
type countingStore struct {
	store.Store
	saves int
	fails bool
}

func (c *countingStore) Save(ctx context.Context, key store.Key, w store.Write, cond store.Condition) error {
	c.saves++
	if c.fails {
		return store.ErrUnavailable
	}
	return c.Store.Save(ctx, key, w, cond)
}

func (c *countingStore) Unwrap() store.Store { return c.Store }

// What browsers do.
var (
	script     = jar.Request{}                               // fetch of a script
	page       = jar.Request{Navigation: true}               // a link that is followed
	form       = jar.Request{Navigation: true, Unsafe: true} // a form that is sent
	scriptPost = jar.Request{Unsafe: true}                   // fetch with POST
	embedded   = jar.Request{Embedded: true}                 // an image
)

func newJarSite(t *testing.T, open func(t *testing.T, now func() time.Time) store.Store, policy func(*session.Policy)) *jarSite {
	t.Helper()
	c := &clock{now: time.Now().Truncate(time.Hour).Add(time.Hour)} // not in the past: Badger has a clock of its own
	st := open(t, c.Now)
	counting := &countingStore{Store: st}
	rules, err := jar.NewRules(jar.Options{Remember: []string{"remember"}, Jar: []string{"remember"}})
	if err != nil {
		t.Fatal(err)
	}
	m := sessiontest.NewManager(t, func(p *session.Policy) {
		p.CookieJar = true
		p.MaxIdle, p.MaxAbsolute = 90*24*time.Hour, 365*24*time.Hour
		if policy != nil {
			policy(p)
		}
	}, session.Options{Provider: session.Fixed(counting), Now: c.Now})
	return &jarSite{t: t, rules: rules, manager: m, store: counting, clock: c}
}

func openMemory(_ *testing.T, now func() time.Time) store.Store { return memstore.New(now) }

func openBadger(t *testing.T, now func() time.Time) store.Store {
	st, err := badgerstore.Open(badgerstore.Options{Dir: t.TempDir(), Now: now, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// onJarSites runs the test with both stores.
func onJarSites(t *testing.T, policy func(*session.Policy), test func(t *testing.T, s *jarSite)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, newJarSite(t, openMemory, policy)) })
	t.Run("badger", func(t *testing.T) { test(t, newJarSite(t, openBadger, policy)) })
}

// visit is one request and its response.
type visit struct {
	site *jarSite
	req  jar.Request
	*session.Session
}

// open opens the session for a request; nil is one without ticket.
func (s *jarSite) open(req jar.Request, cred *session.Credential) *visit {
	s.t.Helper()
	return s.openAs(req, session.Request{}, cred)
}

func (s *jarSite) openAs(req jar.Request, r session.Request, cred *session.Credential) *visit {
	s.t.Helper()
	req.AppPath = cmp.Or(req.AppPath, "/")
	req.BrowserPath, req.At = req.AppPath, s.clock.Now()
	if req.Unsafe && req.Navigation {
		r.Form = "POST " + req.AppPath
	}
	if cred != nil {
		r.Credentials = []session.Credential{*cred}
	}
	h, err := s.manager.Open(s.t.Context(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(h.Rollback)
	return &visit{site: s, req: req, Session: h}
}

// shown is the Cookie line that the app gets.
func (v *visit) shown() string {
	given, _ := v.Jar()
	return v.site.rules.Line(given, &v.req, nil).Value
}

// cookies are what the app's Set-Cookie lines mean.
func (v *visit) cookies(lines ...string) *change.Cookies {
	given, _ := v.Jar()
	lines = slices.Clone(lines)
	for i := range lines {
		if !strings.Contains(lines[i], "HttpOnly") {
			lines[i] += "; HttpOnly"
		}
	}
	w := v.site.rules.Sort(given, &v.req, lines).Wishes
	return &change.Cookies{Wishes: w, Begin: v.site.rules.Begins(&v.req, w, false)}
}

// answer commits the app's Set-Cookie lines.
func (v *visit) answer(lines ...string) session.Outcome {
	v.site.t.Helper()
	return v.commit(change.Changes{CanSetTicket: true, Cookies: v.cookies(lines...)})
}

func (v *visit) commit(c change.Changes) session.Outcome {
	v.site.t.Helper()
	out, err := v.Commit(v.site.t.Context(), c)
	if err != nil {
		v.site.t.Fatal(err)
	}
	return out
}

// refused commits and expects an error.
func (v *visit) refused(c change.Changes, want error) session.Outcome {
	v.site.t.Helper()
	out, err := v.Commit(v.site.t.Context(), c)
	if !errors.Is(err, want) {
		v.site.t.Fatalf("got %v, want %v", err, want)
	}
	return out
}

// begin begins a session by a page, and returns its ticket.
func (s *jarSite) begin(lines ...string) session.Credential {
	s.t.Helper()
	out := s.open(page, nil).answer(lines...)
	if !out.Created || out.Ticket == nil {
		s.t.Fatalf("no session began: %+v", out)
	}
	return *out.Ticket
}

// shows expects the Cookie line that an app gets for a request with the ticket.
func (s *jarSite) shows(cred session.Credential, want string) {
	s.t.Helper()
	v := s.open(script, &cred)
	defer v.Rollback()
	if got := v.shown(); got != want {
		s.t.Fatalf("the app is shown %q, want %q (state %s)", got, want, v.State())
	}
}

func (s *jarSite) record(cred session.Credential) store.Record {
	s.t.Helper()
	rec, err := s.store.Load(s.t.Context(), store.Key{Manager: "shop", ID: cred.ID})
	if err != nil {
		s.t.Fatal(err)
	}
	return rec
}

func (s *jarSite) isGone(cred session.Credential) {
	s.t.Helper()
	if _, err := s.store.Load(s.t.Context(), store.Key{Manager: "shop", ID: cred.ID}); !errors.Is(err, store.ErrGone) {
		s.t.Fatalf("the session lives: %v", err)
	}
}

// dropped returns how many cookies no session took.
func dropped(out session.Outcome) int {
	if out.Cookies == nil {
		return 0
	}
	return out.Cookies[jar.DroppedNoSession]
}

func TestJarBegins(t *testing.T) {
	for _, tc := range []struct {
		name   string
		req    jar.Request
		lines  []string
		begins bool
	}{
		{"a page with a cookie", page, []string{"sid=1"}, true},
		{"a script with a cookie", script, []string{"sid=1"}, true},
		{"an image with a cookie", embedded, []string{"sid=1"}, false},
		{"a deletion", page, []string{"sid=; Max-Age=0"}, false},
		{"set and deleted", page, []string{"sid=1", "sid=; Max-Age=0"}, false},
		{"no cookie", page, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, nil, func(t *testing.T, s *jarSite) {
				v := s.open(tc.req, nil)
				if given, ok := v.Jar(); given.Len(s.clock.Now()) != 0 || !ok {
					t.Fatalf("a stranger has a jar: %v, %v", given, ok)
				}
				out := v.answer(tc.lines...)
				if out.Created != tc.begins || (out.Ticket != nil) != tc.begins {
					t.Fatalf("got %+v", out)
				}
				if tc.begins {
					s.shows(*out.Ticket, tc.lines[0])
					if rec := s.record(*out.Ticket); string(rec.Data) != "{}" || strings.Contains(string(rec.Cookies), "sid=1") {
						t.Fatalf("stored %s and %q", rec.Data, rec.Cookies)
					}
				}
			})
		})
	}
	t.Run("a page without cookies, if the response may begin a session", func(t *testing.T) {
		s := newJarSite(t, openMemory, nil)
		out := s.open(page, nil).commit(change.Changes{Cookies: &change.Cookies{Begin: true}})
		if !out.Created {
			t.Fatalf("got %+v", out)
		}
	})
}

func TestJarIsWrittenWhenItChanges(t *testing.T) {
	onJarSites(t, nil, func(t *testing.T, s *jarSite) {
		cred := s.begin("sid=1", "pref=a; Max-Age=1000")
		for _, tc := range []struct {
			name   string
			lines  []string
			writes bool
			shown  string
		}{
			{"the same", []string{"sid=1"}, false, "sid=1; pref=a"},
			{"the same expiry", []string{"pref=a; Max-Age=1000"}, false, "sid=1; pref=a"},
			{"a little later", []string{"pref=a; Max-Age=1020"}, false, "sid=1; pref=a"},
			{"much later", []string{"pref=a; Max-Age=2000"}, true, "sid=1; pref=a"},
			{"absent, deleted", []string{"other=; Max-Age=0"}, false, "sid=1; pref=a"},
			{"another value", []string{"sid=2"}, true, "sid=2; pref=a"},
			{"a further one", []string{"more=x"}, true, "sid=2; pref=a; more=x"},
			{"one deleted", []string{"pref=; Max-Age=0"}, true, "sid=2; more=x"},
		} {
			before := s.record(cred)
			v := s.open(script, &cred)
			out := v.answer(tc.lines...)
			after := s.record(cred)
			if out.Saved != tc.writes || (before.Version != after.Version) != tc.writes || !after.Written.Equal(before.Written) {
				t.Fatalf("%s: got %+v, %v became %v", tc.name, out, before.Version, after.Version)
			}
			s.shows(cred, tc.shown)
		}
		before := s.record(cred)
		for range 1000 {
			s.open(page, &cred).answer("sid=2", "more=x")
		}
		if after := s.record(cred); after.Version != before.Version {
			t.Fatal("a repeated cookie was written")
		}
	})
}

func TestJarEndsTheSession(t *testing.T) {
	remove := "sid=; Max-Age=0"
	for _, tc := range []struct {
		name  string
		also  change.Changes // of the response that begins the session
		lines []string
		end   bool // Clear-Site-Data
		ends  bool
	}{
		{"the last cookie", change.Changes{}, []string{remove}, false, true},
		{"not the last", change.Changes{}, []string{"other=1", remove}, false, false},
		{"data is left", replace(`{"a":1}`), []string{remove}, false, false},
		{"a principal is left", change.Changes{Principal: new("alice")}, []string{remove}, false, false},
		{"all, with data", replace(`{"a":1}`), nil, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, nil, func(t *testing.T, s *jarSite) {
				v := s.open(page, nil)
				tc.also.Cookies = v.cookies("sid=1")
				cred := *v.commit(tc.also).Ticket
				v = s.open(page, &cred)
				c := v.cookies(tc.lines...)
				c.End = tc.end
				out := v.commit(change.Changes{Cookies: c, CanSetTicket: true})
				if out.Destroyed != tc.ends || out.ClearTicket != tc.ends {
					t.Fatalf("got %+v", out)
				}
				if tc.ends {
					s.isGone(cred)
					if fresh := s.open(page, &cred).answer("sid=3"); !fresh.Created || fresh.Ticket.ID == cred.ID {
						t.Fatalf("the next cookie begins no fresh session: %+v", fresh)
					}
				}
			})
		})
	}
	for _, tc := range []struct {
		name            string
		before          []string
		meanwhile, then string
		ends            bool
	}{
		{"though another response has written", nil, "sid=1; Max-Age=5000", remove, true},
		{"since another response has taken out the others", []string{"other=1"}, "other=; Max-Age=0", remove, true},
		{"not after another response has set one", nil, "other=1", remove, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onJarSites(t, nil, func(t *testing.T, s *jarSite) {
				cred := s.begin(append(tc.before, "sid=1")...)
				slow := s.open(page, &cred)
				s.open(script, &cred).answer(tc.meanwhile)
				if out := slow.answer(tc.then); out.Destroyed != tc.ends || out.ClearTicket != tc.ends {
					t.Fatalf("got %+v", out)
				}
				if tc.ends {
					s.isGone(cred)
				} else {
					s.shows(cred, "other=1")
				}
			})
		})
	}
}

// TestJarAfterTheEnd: cookies of a response whose session has ended meanwhile
// are dropped, and the next cookie begins a session as for a stranger.
func TestJarAfterTheEnd(t *testing.T) {
	for _, locking := range []session.Locking{session.Lossy, session.Optimistic} {
		onJarSites(t, func(p *session.Policy) { p.Locking = locking }, func(t *testing.T, s *jarSite) {
			for name, end := range map[string]func(session.Credential){
				"revoked": func(c session.Credential) {
					key := store.Key{Manager: "shop", ID: c.ID}
					if _, err := (session.Operator{Store: s.store, Node: session.NewNode(s.store)}).Revoke(t.Context(), key); err != nil {
						t.Fatal(err)
					}
				},
				"logged out": func(c session.Credential) { s.open(form, &c).commit(change.Changes{Destroy: true}) },
				"timeout":    func(session.Credential) { s.clock.advance(time.Hour) },
			} {
				cred := s.begin("sid=1")
				slow, slowWriter := s.open(script, &cred), s.open(script, &cred)
				end(cred)
				if out := slow.answer("sid=2"); dropped(out) != 1 || out.Ticket != nil || out.Created || out.ClearTicket {
					t.Fatalf("%s: got %+v", name, out)
				}
				c := replace(`{"a":1}`)
				c.Cookies = slowWriter.cookies("sid=3")
				if out := slowWriter.refused(c, session.ErrGone); dropped(out) != 1 {
					t.Fatalf("%s: got %+v", name, out)
				}
				s.isGone(cred)
				v := s.open(script, &cred)
				if v.State() != session.Expired || v.shown() != "" {
					t.Fatalf("%s: %s sees %q", name, v.State(), v.shown())
				}
				if out := v.answer("sid=4"); !out.Created || out.Ticket.ID == cred.ID {
					t.Fatalf("%s: got %+v", name, out)
				}
			}
		})
	}
}

func TestJarIsOff(t *testing.T) {
	s := newJarSite(t, openMemory, func(p *session.Policy) { p.CookieJar = false })
	v := s.open(page, nil)
	if _, ok := v.Jar(); ok {
		t.Fatal("there is a jar")
	}
	if out := s.open(page, nil).answer("sid=1"); out.Created {
		t.Fatalf("got %+v", out)
	}
	c := replace(`{"a":1}`)
	c.Cookies = v.cookies("sid=1")
	out := v.commit(c)
	if rec := s.record(*out.Ticket); rec.Cookies != nil || out.Cookies != nil {
		t.Fatalf("got %+v, %q", out, rec.Cookies)
	}
}

func TestJarWithoutStore(t *testing.T) {
	s := newJarSite(t, openMemory, func(p *session.Policy) { p.FailOpen = true })
	cred := s.begin("sid=1")
	s.store.Store = failing{s.store.Store}
	v := s.open(page, &cred)
	if _, ok := v.Jar(); ok || v.State() != session.Unavailable {
		t.Fatalf("state %s, jar %v", v.State(), ok)
	}
	if out := v.answer("sid=2"); out.Ticket != nil || out.Created {
		t.Fatalf("got %+v", out)
	}
}

// TestJarWhenTheStoreFailsMeanwhile: without FailOpen the response fails.
func TestJarWhenTheStoreFailsMeanwhile(t *testing.T) {
	for _, open := range []bool{false, true} {
		s := newJarSite(t, openMemory, func(p *session.Policy) { p.FailOpen = open })
		cred := s.begin("sid=1")
		v := s.open(page, &cred)
		s.store.fails = true
		out, err := v.Commit(t.Context(), change.Changes{Cookies: v.cookies("sid=2")})
		if errors.Is(err, session.ErrUnavailable) == open || open && dropped(out) != 1 {
			t.Fatalf("open %v: got %+v, %v", open, out, err)
		}
	}
}

// failing is a store that cannot be read.
type failing struct{ store.Store }

func (failing) Load(context.Context, store.Key) (store.Record, error) {
	return store.Record{}, store.ErrUnavailable
}
