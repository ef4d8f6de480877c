package jar

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// app is an app that keeps its users in a cookie: in signed content, which
// polls renew and count, or by an id. A login or a logout is a form or a page.
type app struct {
	rules   *Rules
	jar     *Jar
	at      time.Time
	serial  int
	content bool // signed content instead of an id
	deletes bool // a logout deletes the cookie
	user    string
	polls   []poll
}

// poll is a script's request that is on its way.
type poll struct {
	given *Jar
	of    int // how many logins and logouts were before
}

// session returns the value that the app was sent, or nothing.
func (a *app) session(j *Jar) string {
	value := a.rules.Line(j, script(a.at), nil).Value
	for part := range strings.SplitSeq(value, "; ") {
		if v, ok := strings.CutPrefix(part, "s="); ok {
			return v
		}
	}
	return ""
}

// userOf reads the user of a value of the cookie.
func userOf(session string) string {
	user, _, _ := strings.Cut(session, ".")
	return user
}

func (a *app) fresh(user string) string {
	a.serial++
	return set(fmt.Sprintf("%s.%d", user, a.serial))
}

func (a *app) merge(req *Request, given *Jar, lines ...string) {
	a.jar = Merge(a.jar, a.rules.Sort(given, req, lines).Wishes, Moment{At: a.at}).Jar
}

// sign signs a user in or, without one, out.
func (a *app) sign(req *Request, user string) {
	line := a.fresh(user)
	if user == "" && a.deletes {
		line = deletion
	}
	a.merge(req, a.jar, line, "beside="+fmt.Sprint(a.serial)+"; HttpOnly")
	a.user = user
}

// answer ends a poll, as apps do: the same value again, another one of the
// same user, or the end of a session that is no longer valid.
func (a *app) answer(p poll, how int) {
	session := a.session(p.given)
	lines := []string{set(session)}
	switch {
	case session == "" || how == 0 && a.content:
		lines = []string{a.fresh(userOf(session))}
	case how == 1:
		lines = []string{deletion}
	case how == 2:
		lines = []string{set(session) + "; Max-Age=3600"}
	case how == 3:
		lines = nil
	}
	a.merge(script(a.at), p.given, lines...)
}

// TestLatePollsDecideNothing lets logins, logouts and polls overlap at random.
// Whatever a poll answers that was on its way at a login or a logout, the user
// stays signed in, or out.
func TestLatePollsDecideNothing(t *testing.T) {
	rules := newRules(t, Options{})
	rapid.Check(t, func(t *rapid.T) {
		a := &app{rules: rules, at: noon, content: rapid.Bool().Draw(t, "content"), deletes: rapid.Bool().Draw(t, "deletes")}
		signs := 0
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			a.at = a.at.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond)
			req := rapid.SampledFrom([]func(time.Time) *Request{navigation, unsafe}).Draw(t, "request")(a.at)
			switch rapid.SampledFrom([]string{"login", "logout", "poll", "poll", "answer", "answer", "answer"}).Draw(t, "step") {
			case "login":
				a.sign(req, rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "user"))
				signs++
			case "logout":
				a.sign(req, "")
				signs++
			case "poll":
				a.polls = append(a.polls, poll{a.jar, signs})
			case "answer":
				if len(a.polls) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(a.polls)-1).Draw(t, "of")
				p := a.polls[i]
				a.polls = append(a.polls[:i], a.polls[i+1:]...)
				how := rapid.IntRange(0, 3).Draw(t, "how")
				if p.of == signs && how == 1 {
					continue // the app itself ends the session that is current
				}
				a.answer(p, how)
			}
			if got := userOf(a.session(a.jar)); got != a.user {
				t.Fatalf("%q is signed in instead of %q: %q", got, a.user, contents(a.jar))
			}
		}
	})
}
