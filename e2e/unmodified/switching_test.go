package unmodified

import "testing"

// TestSwitchingOnAndOff keeps users signed in while the jar is switched on, with
// `adopt`, and off again, with `export`. One of them signs out and in between:
// what was adopted ends with the sign-out as well.
func TestSwitchingOnAndOff(t *testing.T) {
	t.Parallel()
	for _, a := range apps {
		t.Run(a.name, func(t *testing.T) {
			pair := launch(a)
			t.Parallel()
			pair.ready(t)
			p := newProxy(t, plain, "", pair)
			stays, moves := newVisitor(p.base), newVisitor(p.base)
			both := []*visitor{stays, moves}
			for _, v := range both {
				defer v.close()
				a.login(v, pair.a, "alice")
			}
			ask := func(v *visitor, when, want string) {
				t.Helper()
				for range 2 { // the first answer may change what the next request carries
					if got := a.who(v, pair.a); got != want || v.err != nil {
						t.Fatalf("%s the app knows %q, want %q (%v)", when, got, want, v.err)
					}
				}
			}
			for _, step := range []struct {
				when string
				session
			}{
				{"switched on with `adopt`,", withJar("adopt " + a.adopt)},
				{"without `adopt`,", withJar()},
				{"with `export`,", withJar("export")},
				{"switched off,", plain},
			} {
				p.configure(step.session, "", pair)
				p.reload()
				for _, v := range both {
					v.client.CloseIdleConnections()
					ask(v, step.when, "alice")
				}
				if step.when == "without `adopt`," {
					a.logout(moves, pair.a)
					ask(moves, "signed out of what was adopted,", "")
					a.login(moves, pair.a, "alice")
					ask(moves, "signed in again,", "alice")
				}
			}
			a.logout(moves, pair.a)
			ask(moves, "signed out without the jar,", "")
		})
	}
}
