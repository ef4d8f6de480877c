package session_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/sessionproxy/jar"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// TestJarSignOutIsNeverLost interleaves saves, polls and sign-outs at random, with the
// current ticket and with those before. A poll that answers late never signs
// out; a form's sign-out is never lost within the window of the ticket that was replaced last.
func TestJarSignOutIsNeverLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newJarSite(t, openMemory, locking(rapid.SampledFrom([]session.Locking{session.Lossy, session.Optimistic}).Draw(rt, "locking")))
		type running struct {
			*visit
			kind   string
			ticket int
		}
		tickets, value := []session.Credential{s.begin("sid=alice", "lang=de")}, "sid=alice"
		var (
			open     []running
			replaced time.Time // the ticket before the current one
			n        int
		)
		begin := func() {
			ticket := max(0, len(tickets)-1-rapid.IntRange(0, 2).Draw(rt, "behind"))
			kind := rapid.SampledFrom([]string{"save", "save", "poll", "sign out"}).Draw(rt, "kind")
			req := map[string]jar.Request{"save": scriptPost, "poll": script, "sign out": signOut}[kind]
			open = append(open, running{s.open(req, &tickets[ticket]), kind, ticket})
		}
		answer := func() (signedOut bool) {
			i := rapid.IntRange(0, len(open)-1).Draw(rt, "which")
			r := open[i]
			open = append(open[:i], open[i+1:]...)
			n++
			isCurrent := r.ticket == len(tickets)-1
			given := r.shown() != "" // one that is older when it comes is shown nothing
			var out session.Outcome
			switch r.kind {
			case "save":
				if !isCurrent && !given {
					r.Rollback()
					return false
				}
				if out = r.answer(fmt.Sprintf("sid=alice.%d", n)); out.Rotated {
					tickets, value, replaced = append(tickets, *out.Ticket), fmt.Sprintf("sid=alice.%d", n), s.clock.Now()
				} else if out.Created { // an expired ticket, by a stranger
					return false
				}
			case "poll":
				if isCurrent {
					r.Rollback()
					return false
				}
				out = r.answer("sid=; Max-Age=0", "lang=; Max-Age=0")
			case "sign out":
				out = r.answer("sid=; Max-Age=0")
				within := r.ticket == len(tickets)-2 && s.clock.Now().Sub(replaced) < 10*time.Second
				if signedOut = given && (isCurrent || within); signedOut {
					value = "lang=de"
				}
			}
			if out.Ticket != nil && !isCurrent && !out.Created {
				rt.Fatalf("a replaced ticket is answered with the current one: %+v", out)
			}
			want := value + "; lang=de"
			if signedOut {
				want = value
			} else if value != "lang=de" {
				want = "sid" + value[3:] + "; lang=de"
			}
			v := s.open(script, &tickets[len(tickets)-1])
			defer v.Rollback()
			if got := v.shown(); got != want {
				rt.Fatalf("after a %s of ticket %d of %d the app is shown %q, want %q", r.kind, r.ticket, len(tickets), got, want)
			}
			return signedOut
		}
		for range rapid.IntRange(4, 16).Draw(rt, "steps") {
			switch what := rapid.IntRange(0, 9).Draw(rt, "what"); {
			case what == 0:
				s.clock.advance(time.Duration(rapid.IntRange(1, 12).Draw(rt, "seconds")) * time.Second)
			case len(open) == 0 || what < 5 && len(open) < 4:
				begin()
			default:
				if answer() {
					for i := range tickets { // none is shown again what has gone
						v := s.open(script, &tickets[i])
						if got := v.shown(); got != "" && got != "lang=de" {
							rt.Fatalf("after the sign-out ticket %d of %d is shown %q", i, len(tickets), got)
						}
						v.Rollback()
					}
					return
				}
			}
		}
	})
}
