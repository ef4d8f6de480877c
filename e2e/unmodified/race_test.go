package unmodified

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/e2e/internal/product"
)

// rounds is how often each race is run: more by RACES=200.
func rounds(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("RACES"))
	if err != nil {
		return 3
	}
	return n
}

// race has a script's slow request in flight while something is done, and lets
// it end after that. It returns the user that the app knows then.
func race(t *testing.T, p *proxy, at *mount, app *app, signedIn bool, do func(*visitor)) (user string) {
	t.Helper()
	gate := filepath.Join(t.TempDir(), "gate")
	v := newVisitor(p.base)
	defer v.close()
	v.open(at.path + "/")
	if signedIn {
		app.login(v, at, "alice")
	}
	slow := *v // shares its cookies
	ended := make(chan error, 1)
	go func() {
		slow.fetch(at.path + "/poll?file=" + url.QueryEscape(gate))
		ended <- slow.err
	}()
	began := func() bool { _, err := os.Stat(gate + ".began"); return err == nil }
	if err := product.Await("the slow request has begun", nil, time.Minute, began); err != nil {
		t.Fatal(err)
	}
	do(v)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	user = app.who(v, at)
	if v.err != nil {
		t.Fatal(v.err)
	}
	return user
}

// TestRaces: a slow request that a sign-in or a sign-out overtakes takes nothing
// back. In plain Caddy it does.
func TestRaces(t *testing.T) {
	t.Parallel()
	for _, a := range []*app{flask, express} {
		t.Run(a.name, func(t *testing.T) {
			pair := launch(a)
			t.Parallel()
			pair.ready(t)
			at, n := pair.a, rounds(t)
			for _, c := range []struct {
				name      string
				signedIn  bool
				do        func(*visitor)
				want, got string // with the jar, and in plain Caddy
			}{
				{"sign-in", false, func(v *visitor) { a.login(v, at, "alice") }, "alice", ""},
				{"sign-out", true, func(v *visitor) { a.logout(v, at) }, "", "alice"},
			} {
				for _, with := range []struct {
					name string
					session
					want string
				}{{"plain Caddy", plain, c.got}, {"the jar", withJar(), c.want}} {
					p := newProxy(t, with.session, "", pair)
					users := make(map[string]int)
					for range n {
						users[fmt.Sprintf("%q", race(t, p, at, a, c.signedIn, c.do))]++
					}
					t.Logf("%s while a slow request runs, %s: %v", c.name, with.name, users)
					if users[fmt.Sprintf("%q", with.want)] != n {
						t.Errorf("%s while a slow request runs, %s: %v, want %d times %q", c.name, with.name, users, n, with.want)
					}
				}
			}
		})
	}
}
