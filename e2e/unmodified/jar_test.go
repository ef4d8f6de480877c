package unmodified

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestJar mounts each app twice with `cookies`: no check fails.
func TestJar(t *testing.T) {
	t.Parallel()
	for _, a := range apps {
		t.Run(a.name, func(t *testing.T) {
			pair := launch(a)
			t.Parallel()
			pair.ready(t)
			p := newProxy(t, withJar(), "", pair)
			if _, reasons := failures(p.base, pair); reasons != nil {
				t.Errorf("%d of %d checks fail:\n%s", len(reasons), len(checks), strings.Join(reasons, "\n"))
			}
		})
	}
}

// tap is the server of another app, that keeps what is sent to it.
type tap struct {
	mu      sync.Mutex
	cookies []string
	server  *httptest.Server
}

func newTap(t *testing.T) *tap {
	t.Helper()
	tap := new(tap)
	tap.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		tap.mu.Lock()
		defer tap.mu.Unlock()
		tap.cookies = append(tap.cookies, r.Header.Values("Cookie")...)
	}))
	t.Cleanup(tap.server.Close)
	return tap
}

// route is that of the other app, behind a session of its own or none.
func (tap *tap) route(session string) string {
	return fmt.Sprintf("\thandle_path /tap/* {\n\t\t%s\n\t\treverse_proxy %s\n\t}\n", session, strings.TrimPrefix(tap.server.URL, "http://"))
}

// sent returns the cookies that reached the other app, and forgets them.
func (tap *tap) sent() []string {
	tap.mu.Lock()
	defer tap.mu.Unlock()
	all := tap.cookies
	tap.cookies = nil
	return all
}

// present are the pairs of all apps that are here.
func present(t *testing.T) []*pair {
	t.Helper()
	var all []*pair
	for _, a := range apps {
		launch(a)
	}
	for _, a := range apps {
		p := launch(a)
		<-p.done
		if p.err != nil && (!errors.Is(p.err, errMissing) || os.Getenv("CI") == "true") {
			t.Fatalf("%s does not start: %v", a.name, p.err)
		}
		if p.err != nil {
			t.Logf("without %s: %v", a.name, p.err)
			continue
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Skip("no app is here; `make test-deps` installs them")
	}
	return all
}

// everyone expects the user of each copy to be signed in; out are those at which no
// user is.
func everyone(v *visitor, all []*pair, out ...*mount) (wrong []string) {
	for _, p := range all {
		for _, m := range p.mounts() {
			want := m.user
			if slices.Contains(out, m) {
				want = ""
			}
			v.err = nil
			if got := p.app.who(v, m); got != want || v.err != nil {
				wrong = append(wrong, fmt.Sprintf("%s knows %q, want %q (%v)", m.name, got, want, v.err))
			}
		}
	}
	return wrong
}

func signInEverywhere(t *testing.T, v *visitor, all []*pair) {
	t.Helper()
	for _, p := range all {
		for _, m := range p.mounts() {
			if p.app.login(v, m, m.user); v.err != nil {
				t.Fatalf("signing in to %s: %v", m.name, v.err)
			}
		}
	}
}

// TestForeignCookiesInPlainCaddy: another app's server is sent the session ids
// of the users of all.
func TestForeignCookiesInPlainCaddy(t *testing.T) {
	t.Parallel()
	all := present(t)
	tap := newTap(t)
	p := newProxy(t, plain, tap.route(""), all...)
	v := newVisitor(p.base)
	defer v.close()
	signInEverywhere(t, v, all)
	v.open("/tap/")
	sent := tap.sent()
	if len(sent) == 0 {
		t.Fatal("the other app is sent no cookie")
	}
	t.Logf("the other app is sent %d cookies, %d bytes", strings.Count(sent[0], "=")+1, len(sent[0]))
}

// TestAllAtOnce signs a user in to every copy of every app in one browser, behind
// one Caddyfile. Kill -9 of the proxy signs no user out; an operator signs one
// out, and a click another; nothing of it reaches the server of another app.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	all := present(t)
	tap := newTap(t)
	p := newProxy(t, withJar(), tap.route("session tap {\n\t\t\tcookies\n\t\t}"), all...)
	v := newVisitor(p.base)
	defer v.close()
	signInEverywhere(t, v, all)
	if wrong := everyone(v, all); wrong != nil {
		t.Errorf("after signing in everywhere:\n%s", strings.Join(wrong, "\n"))
	}
	v.err = nil
	if v.open("/tap/"); v.err != nil {
		t.Error(v.err)
	}
	if sent := tap.sent(); len(sent) != 0 {
		t.Errorf("the other app is sent %q", sent)
	}

	p.Kill()
	p.start()
	if wrong := everyone(v, all); wrong != nil {
		t.Errorf("after kill -9 of the proxy:\n%s", strings.Join(wrong, "\n"))
	}

	revoked := all[0].a
	if out, err := p.command("sessions", "--address", p.admin, "revoke", revoked.name, onlySession(t, p, revoked.name)); err != nil {
		t.Fatalf("revoking: %v: %s", err, out)
	}
	if wrong := everyone(v, all, revoked); wrong != nil {
		t.Errorf("after `sessions revoke`:\n%s", strings.Join(wrong, "\n"))
	}
	out := []*mount{revoked}
	for _, each := range all {
		v.err = nil
		if each.b != revoked {
			each.app.logout(v, each.b)
		}
		out = append(out, each.b)
		if wrong := everyone(v, []*pair{each}, out...); wrong != nil || v.err != nil {
			t.Errorf("after signing out of %s: %v\n%s", each.b.name, v.err, strings.Join(wrong, "\n"))
		}
	}
	if wrong := everyone(v, all, out...); wrong != nil {
		t.Errorf("after signing out of every b:\n%s", strings.Join(wrong, "\n"))
	}
}

// onlySession returns the id of the only session of a manager.
func onlySession(t *testing.T, p *proxy, manager string) string {
	t.Helper()
	out, err := p.command("sessions", "--address", p.admin, "ls", manager, "--json")
	if err != nil {
		t.Fatalf("listing: %v: %s", err, out)
	}
	var listed struct{ Sessions []struct{ ID string } }
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed.Sessions) != 1 {
		t.Fatalf("%s has not one session (%v):\n%s", manager, err, out)
	}
	return listed.Sessions[0].ID
}
