package jar

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// contents are the jar's cookies, for tests.
func contents(j *Jar) string {
	var parts []string
	if j != nil {
		for _, c := range j.cookies {
			parts = append(parts, c.name+"="+c.value)
		}
	}
	return strings.Join(parts, " ")
}

// kinds of requests, by their rank.
func script(at time.Time) *Request { return &Request{BrowserPath: "/", AppPath: "/", At: at} }

func navigation(at time.Time) *Request {
	r := script(at)
	r.Navigation = true
	return r
}

func unsafe(at time.Time) *Request {
	r := script(at)
	r.Unsafe = true
	return r
}

// step is a response: to which request, and what it sets.
type step struct {
	req  func(time.Time) *Request
	line string
}

// respond merges a response into a jar, to a request that was given another.
func (s step) respond(r *Rules, given, now *Jar, m Moment) Merged {
	return Merge(now, r.Sort(given, s.req(m.At), []string{s.line}).Wishes, m)
}

func set(value string) string { return "s=" + value + "; HttpOnly; Path=/" }

const deletion = "s=; Max-Age=0; HttpOnly; Path=/"

// TestResponsesMerge has one row for each row of the table: a response to a
// request that was given what the first steps left, after the other steps.
func TestResponsesMerge(t *testing.T) {
	anonymous, alice := step{script, set("anonymous")}, step{unsafe, set("alice")}
	logout := step{navigation, deletion}
	for _, c := range []struct {
		name                string
		before, meanwhile   []step
		late                step
		want                string
		stale, login, empty bool
	}{
		// now = given
		{name: "the first cookie", late: anonymous, want: "s=anonymous"},
		{name: "a change by a script", before: []step{anonymous}, late: step{script, set("b")}, want: "s=b"},
		{name: "a repetition", before: []step{anonymous}, late: anonymous, want: "s=anonymous"},
		{name: "a deletion", before: []step{anonymous}, late: step{script, deletion}, empty: true},
		{name: "a deletion of nothing", late: step{script, deletion}},
		{name: "changed back meanwhile", before: []step{anonymous}, meanwhile: []step{alice, {unsafe, set("anonymous")}}, late: step{script, set("b")}, want: "s=b"},
		// now ≠ given, new = now
		{name: "the same", before: []step{anonymous}, meanwhile: []step{alice}, late: step{script, set("alice")}, want: "s=alice"},
		{name: "the same deletion", before: []step{anonymous}, meanwhile: []step{logout}, late: step{navigation, deletion}},
		// now ≠ given, the response keeps what was given
		{name: "rolling after a login", before: []step{anonymous}, meanwhile: []step{alice}, late: step{unsafe, "s=anonymous; HttpOnly; Path=/; Max-Age=60"}, want: "s=alice", stale: true},
		{name: "rolling after a logout", before: []step{alice}, meanwhile: []step{logout}, late: step{navigation, "s=alice; HttpOnly; Path=/; Max-Age=60"}, stale: true},
		// both have changed it
		{name: "a poll after a login", before: []step{anonymous}, meanwhile: []step{alice}, late: step{script, set("counted")}, want: "s=alice", stale: true},
		{name: "a poll after a login by navigation", before: []step{anonymous}, meanwhile: []step{{navigation, set("alice")}}, late: step{script, set("counted")}, want: "s=alice", stale: true},
		{name: "a poll without a cookie after a login", meanwhile: []step{alice}, late: anonymous, want: "s=alice", stale: true},
		{name: "a poll that ends the old session", before: []step{anonymous}, meanwhile: []step{alice}, late: step{script, deletion}, want: "s=alice", stale: true},
		{name: "a poll after a logout", before: []step{alice}, meanwhile: []step{logout}, late: step{script, set("counted")}, stale: true},
		{name: "a poll after a logout by a script", before: []step{alice}, meanwhile: []step{{script, deletion}}, late: step{script, set("counted")}, stale: true},
		{name: "a poll after a logout that sets another", before: []step{alice}, meanwhile: []step{{navigation, set("out")}}, late: step{script, set("counted")}, want: "s=out", stale: true},
		{name: "a poll after a logout and a new session", before: []step{alice}, meanwhile: []step{logout, anonymous}, late: step{script, set("counted")}, want: "s=anonymous", stale: true},
		{name: "a poll after a login and another poll", before: []step{anonymous}, meanwhile: []step{alice, {script, set("alice2")}}, late: step{script, set("counted")}, want: "s=alice2", stale: true},
		{name: "two polls", before: []step{anonymous}, meanwhile: []step{{script, set("b")}}, late: step{script, set("c")}, want: "s=c"},
		{name: "two logins", before: []step{anonymous}, meanwhile: []step{alice}, late: step{unsafe, set("bob")}, want: "s=bob", login: true},
		{name: "a login after a logout", before: []step{alice}, meanwhile: []step{logout}, late: step{unsafe, set("bob")}, want: "s=bob", login: true},
		{name: "a logout after a login", before: []step{anonymous}, meanwhile: []step{alice}, late: logout, empty: true},
		{name: "a login after a poll", before: []step{anonymous}, meanwhile: []step{{script, set("b")}}, late: alice, want: "s=alice", login: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, at := newRules(t, Options{}), noon
			run := func(j *Jar, steps []step) *Jar {
				for _, s := range steps {
					at = at.Add(time.Second)
					j = s.respond(r, j, j, Moment{At: at, Replaced: noon}).Jar
				}
				return j
			}
			given := run(nil, c.before)
			now := run(given, c.meanwhile)
			m := c.late.respond(r, given, now, Moment{At: at.Add(time.Second), Replaced: noon})
			if got := contents(m.Jar); got != c.want {
				t.Errorf("jar %q, want %q", got, c.want)
			}
			if m.Login != c.login || m.Emptied != c.empty || m.Counts[DroppedStale] > 0 != c.stale {
				t.Errorf("login %v, emptied %v, %v", m.Login, m.Emptied, m.Counts)
			}
			if m.Changed != (contents(m.Jar) != contents(now)) {
				t.Errorf("changed: %v", m.Changed)
			}
		})
	}
}

func TestExpiriesAreWrittenWhenTheyMove(t *testing.T) {
	age := func(seconds int) string { return fmt.Sprintf("s=1; HttpOnly; Max-Age=%d", seconds) }
	for _, c := range []struct {
		before, after string
		later         time.Duration
		want          bool
	}{
		{before: "s=1; HttpOnly", after: "s=1; HttpOnly"},
		{before: "s=1; HttpOnly", after: age(60), want: true},
		{before: age(60), after: "s=1; HttpOnly", want: true},
		{before: age(1000), after: age(1000)},
		{before: age(1000), after: age(1000), later: 40 * time.Second},
		{before: age(1000), after: age(1000), later: 50 * time.Second, want: true},
		{before: age(1000), after: age(1050)},
		{before: age(1000), after: age(1051), want: true},
		{before: age(1000), after: age(999), want: true},
		{before: "s=1; HttpOnly", after: "s=1; HttpOnly; Secure", want: true},
		{before: "s=1; HttpOnly", after: "s=1; HttpOnly; SameSite=Lax", want: true},
		{before: "s=1; HttpOnly", after: "s=1; HttpOnly; Domain=x", want: true},
	} {
		r := newRules(t, Options{})
		j := filled(t, r, page("/"), c.before)
		at := noon.Add(c.later)
		m := step{unsafe, c.after}.respond(r, j, j, Moment{At: at})
		if m.Changed != c.want || m.Login || m.Jar.Len(at) != 1 {
			t.Errorf("%s, then %s: changed %v, login %v", c.before, c.after, m.Changed, m.Login)
		}
	}
}

func TestRepeatedCookiesAreNoChange(t *testing.T) {
	r := newRules(t, Options{})
	lines := []string{set("1"), "csrf=2; Path=/", "p=3; HttpOnly; Max-Age=86400"}
	j := filled(t, r, page("/"), lines...)
	for i := range 10_000 {
		at := noon.Add(time.Duration(i) * 100 * time.Millisecond)
		if m := Merge(j, r.Sort(j, navigation(at), lines).Wishes, Moment{At: at}); m.Changed {
			t.Fatalf("response %d changes the jar", i)
		}
	}
}

func TestExpiredCookiesAreNone(t *testing.T) {
	r := newRules(t, Options{})
	before := filled(t, r, page("/"), "s=1; HttpOnly; Max-Age=60", "t=1; HttpOnly")
	late := noon.Add(time.Minute)
	if m := (step{script, set("2")}).respond(r, before, before, Moment{At: late}); contents(m.Jar) != "t=1 s=2" || m.Counts[DroppedStale] != 0 {
		t.Errorf("a new one: %q, %v", contents(m.Jar), m.Counts)
	}
	w := r.Sort(before, script(noon), []string{set("2")}).Wishes // it was given before it expired
	if m := Merge(before, w, Moment{At: late}); contents(m.Jar) != "s=2 t=1" {
		t.Errorf("renewed in time: %q", contents(m.Jar))
	}
	if m := (step{script, "t=; Max-Age=0; HttpOnly"}).respond(r, before, before, Moment{At: late}); !m.Emptied || m.Jar != nil {
		t.Errorf("the last one: %q, emptied %v", contents(m.Jar), m.Emptied)
	}
}

func TestLoginsAreSeen(t *testing.T) {
	r := newRules(t, Options{})
	long := noon.Add(-time.Hour)
	for _, c := range []struct {
		name   string
		before int // changes by safe requests
		late   step
		rest   time.Duration // since the last replacement
		want   bool
	}{
		{"a form changes a cookie", 0, step{unsafe, set("x")}, time.Hour, true},
		{"a form adds a cookie", 0, step{unsafe, "new=1; HttpOnly"}, time.Hour, true},
		{"a form, at once", 9, step{unsafe, set("x")}, 0, true},
		{"a form repeats", 0, step{unsafe, set("0")}, time.Hour, false},
		{"a form deletes", 0, step{unsafe, deletion}, time.Hour, false},
		{"a form sets a readable cookie", 0, step{unsafe, "csrf=1"}, time.Hour, false},
		{"a page changes a cookie", 0, step{navigation, set("x")}, time.Hour, true},
		{"a page adds a cookie", 0, step{navigation, "new=1; HttpOnly"}, time.Hour, true},
		{"a page adds a cookie, at once", 0, step{navigation, "new=1; HttpOnly"}, ticketRest - 1, false},
		{"a script adds a cookie", 0, step{script, "new=1; HttpOnly"}, time.Hour, false},
		{"a page, at once", 0, step{navigation, set("x")}, ticketRest - 1, false},
		{"a page, after the rest", 0, step{navigation, set("x")}, ticketRest, true},
		{"a page changes what changed three times", 3, step{navigation, set("x")}, time.Hour, true},
		{"a page changes what rolls", 4, step{navigation, set("x")}, time.Hour, false},
		{"a script changes a cookie", 0, step{script, set("x")}, time.Hour, false},
	} {
		j := filled(t, r, page("/"), set("0"))
		for i := range c.before {
			j = step{script, set(fmt.Sprint(i + 1))}.respond(r, j, j, Moment{At: long}).Jar
		}
		if m := c.late.respond(r, j, j, Moment{At: noon, Replaced: noon.Add(-c.rest)}); m.Login != c.want {
			t.Errorf("%s: %v", c.name, m.Login)
		}
	}
}

func TestJarsAreBounded(t *testing.T) {
	r := newRules(t, Options{MaxSize: 1000})
	var j *Jar
	for i := range 5 {
		j = j.With(r.Sort(j, page("/"), []string{fmt.Sprintf("c%d=%s; HttpOnly", i, strings.Repeat("x", 198))}).Wishes, noon)
	}
	oldest := Merge(j, r.Sort(j, page("/"), []string{"n=1; HttpOnly"}).Wishes, Moment{At: noon})
	if oldest.Counts[Evicted] != 1 || oldest.Jar.find("c0", "/", noon) >= 0 || oldest.Jar.Len(noon) != 5 {
		t.Errorf("one too many: %v, %d cookies", oldest.Counts, oldest.Jar.Len(noon))
	}
	grown := Merge(j, r.Sort(j, page("/"), []string{"c0=" + strings.Repeat("x", 300) + "; HttpOnly"}).Wishes, Moment{At: noon})
	if grown.Counts[Evicted] != 1 || grown.Jar.find("c0", "/", noon) < 0 || grown.Jar.find("c1", "/", noon) >= 0 {
		t.Errorf("the oldest has grown: %v", grown.Counts)
	}
	var notes *Jar
	for i := range 200 {
		notes = notes.With(r.Sort(notes, page("/"), []string{fmt.Sprintf("n%d=1", i)}).Wishes, noon)
	}
	if len(notes.notes) != maxCookies || notes.hasNoted("n0") || !notes.hasNoted("n199") {
		t.Errorf("%d notes", len(notes.notes))
	}
}
