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
	saves    int
	fails    bool
	onDelete func() // before it
}

func (c *countingStore) Delete(ctx context.Context, key store.Key, reason store.Reason) error {
	if c.onDelete != nil {
		c.onDelete()
	}
	return c.Store.Delete(ctx, key, reason)
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

// failing is a store that cannot be read.
type failing struct{ store.Store }

func (failing) Load(context.Context, store.Key) (store.Record, error) {
	return store.Record{}, store.ErrUnavailable
}
