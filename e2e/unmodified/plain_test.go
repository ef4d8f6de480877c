package unmodified

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// check is one question about two users in one browser.
type check struct {
	name string
	ask  func(v *visitor, p *pair)
}

// Each check goes on where the one before has ended.
var checks = []check{
	{"a knows no one at first", signedIn("a", false)},
	{"alice signs in to a", func(v *visitor, p *pair) {
		p.app.login(v, p.a, "alice")
		signedIn("a", true)(v, p)
	}},
	{"b does not know alice", signedIn("b", false)},
	{"bob signs in to b", func(v *visitor, p *pair) {
		p.app.login(v, p.b, "bob")
		signedIn("b", true)(v, p)
	}},
	{"alice is still signed in to a", signedIn("a", true)},
	{"alice signs out of a", func(v *visitor, p *pair) {
		p.app.logout(v, p.a)
		signedIn("a", false)(v, p)
	}},
	{"bob is still signed in to b", signedIn("b", true)},
}

// signedIn expects that the user of the copy is signed in, or no user at all.
func signedIn(letter string, in bool) func(*visitor, *pair) {
	return func(v *visitor, p *pair) {
		at := p.a
		if letter == "b" {
			at = p.b
		}
		want := ""
		if in {
			want = at.user
		}
		if got := p.app.who(v, at); got != want {
			v.fail("%s says %q, want %q", at.name, got, want)
		}
	}
}

// failures are the names of the checks that fail, with their reasons.
func failures(base string, p *pair) (names, reasons []string) {
	v := newVisitor(base)
	defer v.close()
	for _, c := range checks {
		v.err = nil
		c.ask(v, p)
		if v.err != nil {
			names = append(names, c.name)
			reasons = append(reasons, fmt.Sprintf("%s: %v", c.name, v.err))
		}
	}
	return names, reasons
}

// TestPlainCaddy shows what happens without a session handler: copies whose
// cookies have the path / sign each other's users out. It proves that the checks
// can fail.
func TestPlainCaddy(t *testing.T) {
	t.Parallel()
	for _, a := range apps {
		t.Run(a.name, func(t *testing.T) {
			pair := launch(a)
			t.Parallel()
			pair.ready(t)
			p := newProxy(t, plain, "", pair)
			names, reasons := failures(p.base, pair)
			if !slices.Equal(names, a.broken) {
				t.Errorf("these checks fail, and should: %q\nthese do: %q\n%s", a.broken, names, strings.Join(reasons, "\n"))
			}
			t.Logf("%d of %d checks fail", len(names), len(checks))
		})
	}
}
