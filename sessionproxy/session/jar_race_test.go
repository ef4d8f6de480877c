package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// TestJarRaces: a slow request of a script answers after a login, or a logout.
func TestJarRaces(t *testing.T) {
	for _, app := range []struct{ name, poll, expiry string }{
		{"keeps content in the cookie", "%s.1", ""},
		{"renews the cookie", "%s", "; Max-Age=%d"},
	} {
		for _, tc := range []struct {
			name          string
			begin, answer string
			lang          bool // another cookie is left
			want          string
		}{
			{"login", "anon", "alice", false, "sid=alice"},
			{"logout that changes the cookie", "alice", "anon", false, "sid=anon"},
			{"logout that deletes the cookie", "alice", "; Max-Age=0", false, ""},
			{"logout that leaves another cookie", "alice", "; Max-Age=0", true, "lang=de"},
		} {
			t.Run(app.name+", "+tc.name, func(t *testing.T) {
				onJarSites(t, nil, func(t *testing.T, s *jarSite) {
					expiry := func(seconds int) string {
						if app.expiry == "" {
							return ""
						}
						return fmt.Sprintf(app.expiry, seconds)
					}
					lines := []string{"sid=" + tc.begin + expiry(1000)}
					if tc.lang {
						lines = append(lines, "lang=de")
					}
					cred := s.begin(lines...)
					slow := s.open(script, &cred)
					line := "sid=" + tc.answer
					if !strings.Contains(line, "Max-Age") {
						line += expiry(1000)
					}
					if out := s.open(form, &cred).answer(line); out.Ticket != nil {
						cred = *out.Ticket
					}
					if out := slow.answer("sid=" + fmt.Sprintf(app.poll, tc.begin) + expiry(2000)); out.Ticket != nil {
						t.Fatalf("the slow request brings a ticket: %+v", out)
					}
					s.clock.advance(10 * time.Second)
					s.shows(cred, tc.want)
				})
			})
		}
	}
}

// TestJarLoggedOutStaysOut interleaves requests at random. What a login has put
// into the jar, and a logout has taken out, is never seen again by any ticket.
func TestJarLoggedOutStaysOut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newJarSite(t, openMemory, locking(rapid.SampledFrom([]session.Locking{session.Lossy, session.Optimistic}).Draw(rt, "locking")))
		type running struct {
			*visit
			kind, user string // user is the login that the app was shown
		}
		var (
			cred    *session.Credential // of the browser
			tickets []session.Credential
			open    []running
			dead    = make(map[string]bool)
			n       int
		)
		user := func(line string) string { // of an app that keeps it in the cookie
			for c := range strings.SplitSeq(line, "; ") {
				if id, ok := strings.CutPrefix(c, "sid=user"); ok {
					id, _, _ = strings.Cut(id, ".")
					return id
				}
			}
			return ""
		}
		begin := func() {
			kind := rapid.SampledFrom([]string{"poll", "login", "logout", "delete"}).Draw(rt, "kind")
			req := script
			if kind != "poll" {
				req = jar.Request{Navigation: true, Unsafe: true, AppPath: "/" + kind}
			}
			v := s.open(req, cred)
			open = append(open, running{v, kind, user(v.shown())})
		}
		answer := func() {
			i := rapid.IntRange(0, len(open)-1).Draw(rt, "which")
			r := open[i]
			open = append(open[:i], open[i+1:]...)
			n++
			var lines []string
			switch r.kind {
			case "poll":
				if r.user != "" {
					lines = []string{fmt.Sprintf("sid=user%s.%d", r.user, n)}
				}
			case "login":
				lines = []string{fmt.Sprintf("sid=user%d", n), "lang=de"}
			case "logout":
				lines = []string{fmt.Sprintf("sid=anon%d", n)}
			case "delete":
				lines = []string{"sid=; Max-Age=0"}
			}
			before := r.ID()
			out := r.answer(lines...)
			if r.user != "" && strings.HasPrefix(r.kind, "l") || r.kind == "delete" {
				if out.Destroyed || out.Rotated || out.Saved && !out.Created && r.ID() == before {
					dead[r.user] = true
				}
			}
			if out.Ticket != nil {
				cred = out.Ticket
				tickets = append(tickets, *out.Ticket)
			}
			if out.ClearTicket {
				cred = nil
			}
		}
		for range rapid.IntRange(2, 14).Draw(rt, "steps") {
			switch what := rapid.IntRange(0, 9).Draw(rt, "what"); {
			case what == 0:
				s.clock.advance(time.Duration(rapid.IntRange(1, 12).Draw(rt, "seconds")) * time.Second)
			case len(open) == 0 || what < 6 && len(open) < 4:
				begin()
			default:
				answer()
			}
		}
		for len(open) > 0 {
			answer()
		}
		delete(dead, "")
		s.clock.advance(11 * time.Second)
		for _, c := range tickets {
			v := s.open(script, &c)
			if u := user(v.shown()); u != "" && dead[u] {
				rt.Fatalf("user %s was logged out, and is shown %q", u, v.shown())
			}
			v.Rollback()
		}
	})
}
