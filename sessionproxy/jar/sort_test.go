package jar

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// wishesString tells what is wished, for tests.
func wishesString(w Wishes) string {
	var parts []string
	for _, c := range w.cookies {
		if c.deletes {
			parts = append(parts, "-"+c.cookie.name+c.cookie.path)
		} else {
			parts = append(parts, fmt.Sprintf("%s%s=%s", c.cookie.name, c.cookie.path, c.cookie.value))
		}
	}
	for _, n := range w.notes {
		parts = append(parts, "note "+n.name+n.path)
	}
	return strings.Join(parts, " ")
}

func TestResponsesAreSorted(t *testing.T) {
	blog := &Request{BrowserPath: "/blog/a/b", AppPath: "/a/b", At: noon}
	for _, c := range []struct {
		name    string
		options Options
		given   []string // Set-Cookie lines before
		req     *Request // page("/") if nil
		lines   []string
		wishes  string
		browser []string
		counts  string
		host    string
	}{
		{name: "nothing"},
		// of frameworks
		{name: "PHP", lines: []string{"PHPSESSID=q1; path=/"}, wishes: "PHPSESSID/=q1", counts: "taken 1"},
		{name: "PHP, logout", given: []string{"PHPSESSID=q1; path=/"}, lines: []string{"PHPSESSID=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/"},
			wishes: "-PHPSESSID/", counts: "taken 1"},
		{name: "Django, below a mount", req: blog, lines: []string{
			"csrftoken=t; expires=Sat, 27 Nov 2027 12:00:00 GMT; Max-Age=31449600; Path=/; SameSite=Lax",
			"sessionid=s; expires=Sat, 12 Dec 2026 12:00:00 GMT; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax"},
			wishes:  "sessionid/=s note csrftoken/blog",
			browser: []string{"csrftoken=t; expires=Sat, 27 Nov 2027 12:00:00 GMT; Max-Age=31449600; SameSite=Lax; Path=/blog"}, counts: "taken 1 given 1"},
		{name: "Django, logout", given: []string{"sessionid=s; HttpOnly; Path=/"}, lines: []string{`sessionid=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax`},
			wishes: "-sessionid/", counts: "taken 1"},
		{name: "Flask", lines: []string{"session=e.Z.s; HttpOnly; Path=/"}, wishes: "session/=e.Z.s", counts: "taken 1"},
		{name: "Flask, logout", given: []string{"session=e.Z.s; HttpOnly; Path=/"}, lines: []string{"session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/"}, wishes: "-session/", counts: "taken 1"},
		{name: "Express", lines: []string{"_csrf=c; Path=/", "connect.sid=s%3Aa.b; Path=/; HttpOnly"}, wishes: "connect.sid/=s%3Aa.b note _csrf/", browser: []string{"_csrf=c; Path=/"}, counts: "taken 1 given 1"},
		{name: "Express, clearCookie", given: []string{"x=1; HttpOnly; Path=/"}, lines: []string{"x=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, wishes: "-x/", counts: "taken 1"},
		{name: "MediaWiki", req: blog, lines: []string{
			"my_wiki_session=q; path=/; HttpOnly", "my_wikiUserID=1; expires=Thu, 27-May-2027 12:00:00 GMT; Max-Age=15552000; path=/; HttpOnly",
			"my_wikiUserName=Alice; expires=Thu, 27-May-2027 12:00:00 GMT; Max-Age=15552000; path=/; HttpOnly",
			"forceHTTPS=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/; HttpOnly"},
			wishes: "my_wiki_session/=q my_wikiUserID/=1 my_wikiUserName/=Alice", counts: "taken 4"},
		{name: "Jupyter", req: &Request{BrowserPath: "/ju-a/login", AppPath: "/ju-a/login", At: noon}, options: Options{Mount: "/ju-a"},
			lines:  []string{`username-localhost-8888="2|1:0|x"; expires=Mon, 28 Dec 2026 12:00:00 GMT; HttpOnly; Path=/ju-a/`, "_xsrf=2|f; Path=/ju-a/"},
			wishes: `username-localhost-8888/ju-a/="2|1:0|x" note _xsrf/ju-a/`, browser: []string{"_xsrf=2|f; Path=/ju-a/"}, counts: "taken 1 given 1"},
		{name: "Redmine", options: Options{Mount: "/rm-a/"}, lines: []string{"_redmine_session=Qm--a1; path=/rm-a; HttpOnly; SameSite=Lax", "autologin=k; path=/rm-a; expires=Sun, 28 Nov 2027 12:00:00 GMT; HttpOnly"},
			wishes: "_redmine_session/rm-a=Qm--a1 autologin/rm-a=k", counts: "taken 2"},
		{name: "Tomcat", lines: []string{"JSESSIONID=5F3A; Path=/ta"}, wishes: "JSESSIONID/ta=5F3A", counts: "taken 1"},
		// rules
		{name: "by name", options: Options{Jar: []string{"c*"}, Pass: []string{"p"}, Drop: []string{"d"}}, lines: []string{"csrf=1", "p=2; HttpOnly", "d=3; HttpOnly"},
			wishes: "csrf/=1", browser: []string{"p=2; HttpOnly"}, counts: "taken 1 given 1 dropped_rule 1"},
		{name: "a domain that passes", req: blog, options: Options{Pass: []string{"sso"}}, lines: []string{"sso=1; Domain=example.org; Path=/"}, browser: []string{"sso=1; Domain=example.org; Path=/"}, counts: "given 1"},
		{name: "a stranger's domain", lines: []string{"a=1; HttpOnly; Domain=203.0.113.9"}, wishes: "a/=1", counts: "taken 1"},
		{name: "paths that move", req: blog, lines: []string{"a=1", "b=1; Path=/admin; Path=/x", "c=1; Path=/blog", "d=1; Path=/blogger; Secure", "e=1; Path=odd"},
			wishes:  "note a/blog/a note b/blog/x note c/blog note d/blog/blogger note e/blog/a",
			browser: []string{"a=1", "b=1; Path=/blog/x", "c=1; Path=/blog", "d=1; Secure; Path=/blog/blogger", "e=1; Path=odd"}, counts: "given 5"},
		{name: "a page outside of the mount", req: page("/login"), options: Options{Mount: "/blog"}, lines: []string{"a=1"}, wishes: "note a/blog", browser: []string{"a=1; Path=/blog"}, counts: "given 1"},
		{name: "__Host-", req: &Request{BrowserPath: "/blog/", AppPath: "/", At: noon, Secure: true}, lines: []string{"__Host-c=1; Secure; Path=/"},
			wishes: "note __Host-c/", browser: []string{"__Host-c=1; Secure; Path=/"}, counts: "given 1", host: "__Host-c"},
		{name: "TLS", req: &Request{BrowserPath: "/", AppPath: "/", At: noon, Secure: true}, lines: []string{"c=1"}, wishes: "note c/", browser: []string{"c=1; Secure"}, counts: "given 1"},
		{name: "export", options: Options{Export: true, Drop: []string{"d"}}, req: blog, lines: []string{"PHPSESSID=1; path=/", "x=2", "d=3"}, browser: []string{"PHPSESSID=1; path=/", "x=2"}, counts: "given 2 dropped_rule 1"},
		// several lines about one cookie
		{name: "the last counts", lines: []string{"a=1; HttpOnly; Path=/", "a=; Max-Age=0; HttpOnly; Path=/", "a=3; HttpOnly; Path=/"}, wishes: "a/=3", counts: "taken 1"},
		{name: "set, then deleted", given: []string{"a=1; HttpOnly"}, lines: []string{"a=2; HttpOnly", "a=; Max-Age=0"}, wishes: "-a/", counts: "taken 1"},
		{name: "repeated, and deleted for the parent domain", given: []string{"a=1; HttpOnly"}, lines: []string{"a=1; HttpOnly", "a=; Max-Age=0; HttpOnly; Domain=example.org"}, counts: "taken 2"},
		{name: "on two paths", lines: []string{"a=1; HttpOnly; Path=/x", "a=2; HttpOnly; Path=/"}, wishes: "a/x=1 a/=2", counts: "taken 2"},
		// deletions
		{name: "a deletion of nothing", lines: []string{"x=; Max-Age=0; HttpOnly"}, counts: "taken 1"},
		{name: "a readable one", given: []string{"c=1"}, lines: []string{"c=; Max-Age=0; HttpOnly"}, browser: []string{"c=; Max-Age=0; HttpOnly"}, counts: "given 1"},
		{name: "an unknown one", lines: []string{"c=; Max-Age=0"}, browser: []string{"c=; Max-Age=0"}, counts: "given 1"},
		{name: "made readable", given: []string{"c=1; HttpOnly"}, lines: []string{"c=2"}, wishes: "-c/ note c/", browser: []string{"c=2"}, counts: "given 1"},
		// changes
		{name: "repeated", given: []string{"a=1; HttpOnly", "c=1"}, lines: []string{"a=1; HttpOnly", "c=1"}, browser: []string{"c=1"}, counts: "taken 1 given 1"},
		{name: "a later expiry", given: []string{"a=1; HttpOnly; Max-Age=60"}, lines: []string{"a=1; HttpOnly; Max-Age=61"}, wishes: "a/=1", counts: "taken 1"},
		// refused
		{name: "too large", options: Options{MaxSize: 100}, lines: []string{"a=" + strings.Repeat("x", 100) + "; HttpOnly", "b=" + strings.Repeat("x", 9000), "c=" + strings.Repeat("x", 1<<20), "=", "d=\x00"},
			counts: "dropped_invalid 2 dropped_size 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.req == nil {
				c.req = page("/")
			}
			given := filled(t, newRules(t, Options{}), page("/"), c.given...)
			s := newRules(t, c.options).Sort(given, c.req, c.lines)
			if got := wishesString(s.Wishes); got != c.wishes {
				t.Errorf("wishes %s\n  want %s", got, c.wishes)
			}
			if !slices.Equal(s.Browser, c.browser) {
				t.Errorf("browser %q\n   want %q", s.Browser, c.browser)
			}
			if got := countsString(s.Counts); got != c.counts || strings.Join(s.Host, " ") != c.host {
				t.Errorf("counts %s, want %s; host %q", got, c.counts, s.Host)
			}
		})
	}
}

func TestManyLinesAreBounded(t *testing.T) {
	r := newRules(t, Options{})
	lines := make([]string, 0, 1000)
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("c%d=%d; HttpOnly", i, i))
	}
	s := r.Sort(nil, page("/"), lines)
	m := Merge(nil, s.Wishes, Moment{At: noon})
	if s.Counts[DroppedBySize] != 1000-maxLines || m.Counts[Evicted] != maxLines-maxCookies || m.Jar.Len(noon) != maxCookies || m.Jar.find("c999", "/", noon) < 0 {
		t.Errorf("%v, %v, %d cookies", s.Counts, m.Counts, m.Jar.Len(noon))
	}
}

func TestSessionsBeginByCookies(t *testing.T) {
	r, nav := newRules(t, Options{Pass: []string{"p"}}), newRules(t, Options{BeginByNavigation: true})
	image := page("/")
	image.Navigation, image.Embedded = false, true
	script := &Request{BrowserPath: "/", AppPath: "/", At: noon}
	for _, c := range []struct {
		name  string
		rules *Rules
		req   *Request
		lines []string
		want  bool
	}{
		{"a cookie", r, page("/"), []string{"a=1; HttpOnly"}, true},
		{"a readable cookie", r, page("/"), []string{"a=1"}, true},
		{"one that passes", r, page("/"), []string{"p=1"}, false},
		{"a deletion", r, page("/"), []string{"a=; Max-Age=0; HttpOnly"}, false},
		{"an image", r, image, []string{"a=1; HttpOnly"}, false},
		{"a page", r, page("/"), nil, false},
		{"a page that begins", nav, page("/"), nil, true},
		{"a script", nav, script, nil, false},
	} {
		if got := c.rules.Begins(c.req, c.rules.Sort(nil, c.req, c.lines).Wishes, true); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestAttemptsAddUp(t *testing.T) {
	r := newRules(t, Options{})
	given := filled(t, r, page("/"), "a=0; HttpOnly", "b=0; HttpOnly", "c=0; HttpOnly")
	first := r.Sort(given, page("/"), []string{"a=1; HttpOnly", "b=; Max-Age=0", "n=1; HttpOnly", "note=1"})
	shown := given.With(first.Wishes, noon)
	if got := r.Line(shown, page("/"), []string{"note=1"}).Value; got != "a=1; c=0; n=1; note=1" {
		t.Fatalf("the second attempt is shown %q", got)
	}
	second := r.Sort(shown, page("/"), []string{"a=2; HttpOnly", "n=; Max-Age=0", "c=; Max-Age=0", "note=2"})
	sum := first.Wishes.Then(second.Wishes)
	m := Merge(given, sum, Moment{At: noon})
	if got := r.Line(m.Jar, page("/"), nil).Value; got != "a=2" || m.Counts != (Counts{}) {
		t.Errorf("the sum is %q, %v", got, m.Counts)
	}
	now := given.With(r.Sort(given, page("/"), []string{"n=theirs; HttpOnly"}).Wishes, noon)
	if m = Merge(now, sum, Moment{At: noon}); m.Jar.find("n", "/", noon) < 0 || m.Counts[DroppedStale] != 1 {
		t.Errorf("deleted what another response has set: %v", m.Counts)
	}
	if got := wishesString(Wishes{}.Then(first.Wishes).Then(Wishes{})); got != wishesString(first.Wishes) {
		t.Errorf("nothing added: %s", got)
	}
	if first.Wishes.Len() != 3 || first.Wishes.IsEmpty() {
		t.Error(first.Wishes.Len())
	}
}

func TestCookiesAreRemembered(t *testing.T) {
	r := newRules(t, Options{Remember: []string{"auto*"}})
	j := filled(t, r, page("/"), "autologin=1; HttpOnly; Max-Age=3600", "auto2=1; HttpOnly; Max-Age=60", "auto3=1; HttpOnly", "other=1; HttpOnly; Max-Age=9999")
	if got := r.Remembered(j, noon); !got.Equal(noon.Add(time.Hour)) {
		t.Errorf("until %v", got)
	}
	if !r.Remembered(j, noon.Add(time.Hour)).IsZero() || !r.Remembered(nil, noon).IsZero() {
		t.Error("remembered for too long")
	}
	m := Merge(j, r.Sort(j, page("/"), []string{"autologin=; Max-Age=0", "auto2=; Max-Age=0"}).Wishes, Moment{At: noon})
	if !m.Remember.IsZero() {
		t.Errorf("until %v after the logout", m.Remember)
	}
}
