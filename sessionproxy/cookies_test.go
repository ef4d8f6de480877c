package sessionproxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// jarRig is a rig with a cookie jar, and what its observers were told.
type jarRig struct {
	*rig
	unknown, fixed []string
	large          int
	lost           error
}

func newJarRig(t *testing.T, o jar.Options, change func(*sessionproxy.Config, *session.Policy)) *jarRig {
	t.Helper()
	rules, err := jar.NewRules(o)
	if err != nil {
		t.Fatal(err)
	}
	j := new(jarRig)
	j.rig = newRig(t, func(c *sessionproxy.Config, p *session.Policy) {
		c.Forward, p.CookieJar = sessionproxy.ForwardID, true
		c.Cookies = &sessionproxy.Cookies{
			Rules:   rules,
			Unknown: func(name string) { j.unknown = append(j.unknown, name) },
			Fixed:   func(name string) { j.fixed = append(j.fixed, name) },
			Refused: func() { j.large++ },
			Lost:    func(err error) { j.lost = err },
			Login:   func(r *http.Request) bool { return r.URL.Path == "/callback" },
		}
		if change != nil {
			change(c, p)
		}
	})
	return j
}

// visitor is a browser that keeps its ticket, and other cookies by hand.
type visitor struct {
	*jarRig
	ticket string
	own    string // other cookies that it sends
}

// asks makes a request. The app answers with Set-Cookie lines; sent is the
// Cookie line that it got.
func (v *visitor) asks(method, path string, header http.Header, lines ...string) (sent []string, got reply) {
	v.t.Helper()
	return v.asksApp(method, path, header, func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range lines {
			w.Header().Add("Set-Cookie", line)
		}
		_, _ = io.WriteString(w, "page")
	})
}

func (v *visitor) asksApp(method, path string, header http.Header, app http.HandlerFunc) (sent []string, got reply) {
	v.t.Helper()
	h := header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	for _, c := range []string{v.ticket, v.own} {
		if c != "" {
			h.Add("Cookie", c)
		}
	}
	got = v.do(method, path, h, func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header["Cookie"]
		app(w, r)
	})
	if got.cookie != nil {
		v.ticket = cookieName + "=" + got.cookie.Value
		if got.cookie.MaxAge < 0 {
			v.ticket = ""
		}
	}
	return sent, got
}

// page is the header of a navigation, script that of a fetch by a script.
var (
	page   = http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
	script = http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}}
)

// wantLine expects one Cookie line, or none.
func (v *visitor) wantLine(sent []string, want string) {
	v.t.Helper()
	if len(sent) > 1 || strings.Join(sent, "") != want {
		v.t.Errorf("the app got the cookies %q, want %q", sent, want)
	}
}

// others returns the Set-Cookie lines but for the ticket's.
func others(got reply) (lines []string) {
	for _, line := range got.header["Set-Cookie"] {
		if !strings.HasPrefix(line, cookieName+"=") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestJarKeepsTheCookiesOfAnApp(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	sent, got := v.asks("GET", "/login", page, "sid=a b=\"c\"; Path=/; HttpOnly", "theme=dark; Path=/", "PHPSESSID=p1; path=/")
	v.wantLine(sent, "")
	if v.ticket == "" || len(others(got)) != 1 || others(got)[0] != "theme=dark; Path=/" {
		t.Fatalf("the browser got %q", got.header["Set-Cookie"])
	}
	v.own = "theme=dark; sid=forged; PHPSESSID=forged; DOKU_PREFS=x"
	sent, got = v.asks("GET", "/deeper/page", page)
	v.wantLine(sent, `sid=a b="c"; PHPSESSID=p1; theme=dark`)
	if got.header["Set-Cookie"] != nil || got.header["Cache-Control"] != nil {
		t.Errorf("nothing was set, and the browser got %v", got.header)
	}
	if len(v.unknown) != 1 || v.unknown[0] != "DOKU_PREFS" {
		t.Errorf("unknown are %q", v.unknown)
	}
	for kind, want := range map[string]float64{"taken": 2, "given": 1, "removed_jar": 2, "removed_unknown": 1} {
		if n := v.counter("cookies_total", "kind", kind); n != want {
			t.Errorf("%s is %v, want %v", kind, n, want)
		}
	}
}

// TestJarIsWrittenWhenItChanges: an app that sets the same cookie with each
// response costs no write, and one with another value costs one.
func TestJarIsWrittenWhenItChanges(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	v.asks("GET", "/", page, "sid=1; HttpOnly")
	writes := 0
	v.store.Before = func(op string, _ store.Key) error {
		if op != "load" { // the clock stands: no access is worth telling either
			writes++
		}
		return nil
	}
	v.run(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Set-Cookie", "sid=1; HttpOnly")
		return nil
	})
	for range 10_000 { // without a server: for speed
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Cookie", v.ticket)
		w := httptest.NewRecorder()
		v.serve(w, req)
		if got := w.Header(); got["Set-Cookie"] != nil || got.Get("Cache-Control") != "private" {
			t.Fatalf("the browser got %v", got)
		}
	}
	for range 10 {
		_, got := v.asks("GET", "/", script, "sid=1; HttpOnly")
		if cc := got.header.Get("Cache-Control"); got.header["Set-Cookie"] != nil || cc != "private" {
			t.Fatalf("the browser got %v", got.header)
		}
	}
	if writes != 0 {
		t.Errorf("%d writes of what has not changed", writes)
	}
	v.asks("GET", "/", script, "sid=2; HttpOnly")
	if writes != 1 {
		t.Errorf("%d writes of a change", writes)
	}
	sent, _ := v.asks("GET", "/", script)
	v.wantLine(sent, "sid=2")
}

// TestJarOnAnyStatus: what a cookie tells the app has done already.
func TestJarOnAnyStatus(t *testing.T) {
	for _, status := range []int{200, 204, 302, 304, 403, 404, 500, 503} {
		v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
		dropped := 0
		defer v.node.Events.Subscribe(func(e event.Event) {
			if e.Kind == event.Rollback {
				dropped++
			}
		})()
		answer := func(value string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Set-Cookie", "sid="+value+"; HttpOnly")
				w.Header().Set("Session-Patch", `{"a":`+value+`}`)
				w.WriteHeader(status)
			}
		}
		_, got := v.asksApp("GET", "/", script, answer("1"))
		if got.status != status || v.ticket == "" {
			t.Fatalf("%d: got %d, %v", status, got.status, got.header)
		}
		v.asksApp("GET", "/", script, answer("2"))
		sent, got := v.asks("GET", "/", script)
		v.wantLine(sent, "sid=2")
		if got.status != 200 {
			t.Fatalf("%d", got.status)
		}
		rec := v.only()
		if want := `{"a":2}`; status >= 500 && string(rec.Data) != "{}" || status < 500 && string(rec.Data) != want {
			t.Errorf("%d: the data is %s", status, rec.Data)
		}
		if want := map[bool]int{true: 2}[status >= 500]; dropped != want || int(v.counter("removed_headers_total", "place", "rolled_back")) != want {
			t.Errorf("%d: %d writes were told as dropped, want %d", status, dropped, want)
		}
	}
}

// only returns the one record of the store.
func (r *rig) only() (rec store.Record) {
	r.t.Helper()
	n := 0
	for info, err := range r.store.List(r.t.Context(), "shop", store.ID{}) {
		if err != nil {
			r.t.Fatal(err)
		}
		if rec, err = r.store.Load(r.t.Context(), store.Key{Manager: "shop", ID: info.ID}); err != nil {
			r.t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		r.t.Fatalf("there are %d sessions", n)
	}
	return rec
}

// sessions returns how many there are.
func (r *rig) sessions() (n int) {
	for range r.store.List(r.t.Context(), "shop", store.ID{}) {
		n++
	}
	return n
}

// TestJarReplacesTheTicketAtALogin: a planted ticket opens nothing after it.
// For a while it shows what it has shown before, and what its requests set is
// dropped.
func TestJarReplacesTheTicketAtALogin(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	v.asks("GET", "/", page, "sid=anon; HttpOnly")
	planted := &visitor{jarRig: v.jarRig, ticket: v.ticket}
	_, got := v.asks("POST", "/login", page, "sid=alice; HttpOnly")
	if got.cookie == nil || v.ticket == planted.ticket {
		t.Fatal("the login replaced no ticket")
	}
	before := planted.ticket
	sent, got := planted.asks("GET", "/", script, "sid=late; HttpOnly", "other=1; HttpOnly")
	planted.wantLine(sent, "sid=anon")
	if got.status != 200 || got.header["Set-Cookie"] != nil || planted.ticket != before {
		t.Errorf("a late request got %v", got.header)
	}
	v.now = v.now.Add(11 * time.Second)
	sent, _ = planted.asks("GET", "/", script)
	planted.wantLine(sent, "")
	sent, _ = v.asks("GET", "/", script)
	v.wantLine(sent, "sid=alice")
}

func TestJarEndsTheSessionWithItsLastCookie(t *testing.T) {
	v := &visitor{jarRig: newJarRig(t, jar.Options{}, nil)}
	v.asks("GET", "/", page, "sid=1; HttpOnly")
	old := v.ticket
	_, got := v.asks("POST", "/logout", page, "sid=; Max-Age=0; Path=/")
	if v.ticket != "" || got.cookie == nil || got.cookie.MaxAge >= 0 || v.sessions() != 0 {
		t.Fatalf("after the logout: %v, %d sessions", got.header, v.sessions())
	}
	// An old copy of the ticket is that of a stranger.
	stranger := &visitor{jarRig: v.jarRig, ticket: old}
	sent, _ := stranger.asks("GET", "/", page, "sid=2; HttpOnly")
	stranger.wantLine(sent, "")
	if stranger.ticket == old || stranger.ticket == "" {
		t.Error("a new cookie began no session of its own")
	}
}
