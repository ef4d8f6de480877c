package jar

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newRules(t testing.TB, o Options) *Rules {
	t.Helper()
	r, err := NewRules(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// page is a navigation to a path that the app sees as it is.
func page(path string) *Request {
	return &Request{BrowserPath: path, AppPath: path, At: noon, Navigation: true}
}

// filled is a jar after a response to a request.
func filled(t testing.TB, r *Rules, req *Request, lines ...string) *Jar {
	t.Helper()
	return (*Jar)(nil).With(r.Sort(nil, req, lines).Wishes, req.At)
}

func TestLineIsOfJarAndBrowser(t *testing.T) {
	for _, c := range []struct {
		name          string
		options       Options
		set           []string // Set-Cookie lines before
		at            Request
		browser       []string
		want, removed string
		unknown       []string
	}{
		{name: "nothing"},
		{name: "the jar alone", set: []string{"a=1; HttpOnly", "PHPSESSID=2"}, want: "a=1; PHPSESSID=2"},
		{name: "bytes", set: []string{`a="x y"; HttpOnly`, "b[c]=ß==; HttpOnly", "odd; HttpOnly", "e=; HttpOnly"}, want: `a="x y"; b[c]=ß==; odd; e=`},
		{name: "longer paths first, then older", set: []string{"a=1; Path=/; HttpOnly", "a=2; Path=/x/y; HttpOnly", "b=3; Path=/x; HttpOnly", "a=4; Path=/x; HttpOnly"},
			at: Request{BrowserPath: "/x/y/z"}, want: "a=2; b=3; a=4; a=1"},
		{name: "other paths", set: []string{"a=1; Path=/xy; HttpOnly", "b=1; Path=/x/; HttpOnly", "c=1; Path=/x; HttpOnly"}, at: Request{BrowserPath: "/x"}, want: "c=1"},
		{name: "the path that the app sees", set: []string{"a=1; Path=/admin; HttpOnly", "b=2; Path=/blog/admin; HttpOnly", "c=3; Path=/other; HttpOnly"},
			at: Request{BrowserPath: "/blog/admin/x", AppPath: "/admin/x"}, want: "b=2; a=1"},
		{name: "strict from another site", set: []string{"a=1; SameSite=Strict; HttpOnly", "b=1; SameSite=Lax; HttpOnly"}, at: Request{CrossSite: true}, want: "b=1"},
		{name: "strict from here", set: []string{"a=1; SameSite=Strict; HttpOnly"}, want: "a=1"},
		{name: "expired", set: []string{"a=1; Max-Age=60; HttpOnly", "b=1; HttpOnly"}, at: Request{At: noon.Add(time.Minute)}, want: "b=1"},
		{name: "noted", set: []string{"csrftoken=x"}, browser: []string{"csrftoken=y; DOKU_PREFS=z"}, want: "csrftoken=y", removed: "removed_unknown 1", unknown: []string{"DOKU_PREFS"}},
		{name: "passed", options: Options{Pass: []string{"DOKU_*"}}, browser: []string{"DOKU_PREFS=z; other=1"}, want: "DOKU_PREFS=z", removed: "removed_unknown 1", unknown: []string{"other"}},
		{name: "a name of the jar", set: []string{"a=1; HttpOnly", "a=r; Path=/x"}, browser: []string{"a=2; PHPSESSID=evil; JSESSIONIDSSO=evil"}, want: "a=1", removed: "removed_jar 3"},
		{name: "a name of the jar on another path", set: []string{"a=1; HttpOnly; Path=/x"}, browser: []string{"a=2"}, removed: "removed_jar 1"},
		{name: "named jar", options: Options{Jar: []string{"x*"}}, browser: []string{"xy=1"}, removed: "removed_jar 1"},
		{name: "all in the jar", options: Options{Jar: []string{"*"}, Pass: []string{"p"}}, browser: []string{"a=1; p=2; b=3"}, want: "p=2", removed: "removed_jar 2"},
		{name: "a session name that passes", options: Options{Pass: []string{"sid"}}, browser: []string{"sid=1"}, want: "sid=1"},
		{name: "dropped", options: Options{Drop: []string{"_ga*"}, Pass: []string{"*"}}, browser: []string{"_ga_x=1; b=2"}, want: "b=2", removed: "removed_rule 1"},
		{name: "dropped since it is in the jar", options: Options{Drop: []string{"a"}}, set: []string{"a=1; HttpOnly", "b=2; HttpOnly"}, want: "b=2"},
		{name: "two lines, first of a name", options: Options{Pass: []string{"*"}}, browser: []string{"a=1; b=2;", "  a=3;c=4 "}, want: "a=1; b=2; c=4", removed: "removed_excess 1"},
		{name: "odd pairs", options: Options{Pass: []string{"*"}}, browser: []string{`;; = ;lonely; ß="q r"; a=b==; [x]={"y":1}`}, want: `lonely; ß="q r"; a=b==; [x]={"y":1}`},
		{name: "a control character", options: Options{Pass: []string{"*"}}, browser: []string{"a=\x01; b=2"}, want: "b=2", removed: "removed_excess 1"},
		{name: "export", options: Options{Export: true, Drop: []string{"d"}}, browser: []string{"PHPSESSID=1; x=2; d=3"}, want: "PHPSESSID=1; x=2", removed: "removed_rule 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			given := filled(t, newRules(t, Options{}), page("/"), c.set...)
			if c.at.BrowserPath == "" {
				c.at.BrowserPath = "/"
			}
			if c.at.At.IsZero() {
				c.at.At = noon
			}
			l := newRules(t, c.options).Line(given, &c.at, c.browser)
			if l.Value != c.want || !slices.Equal(l.Unknown, c.unknown) || countsString(l.Counts) != c.removed {
				t.Errorf("got  %q, unknown %q, %s\nwant %q, unknown %q, %s", l.Value, l.Unknown, countsString(l.Counts), c.want, c.unknown, c.removed)
			}
		})
	}
}

func countsString(c Counts) string {
	var parts []string
	for _, k := range Kinds() {
		if c[k] > 0 {
			parts = append(parts, fmt.Sprint(k, " ", c[k]))
		}
	}
	return strings.Join(parts, " ")
}

func TestLineIsBounded(t *testing.T) {
	r := newRules(t, Options{Pass: []string{"*"}})
	many := make([]string, 0, 1000)
	for i := range 1000 {
		many = append(many, fmt.Sprintf("c%d=1", i))
	}
	l := r.Line(nil, page("/"), []string{strings.Join(many, "; ")})
	if got := strings.Count(l.Value, "="); got != maxPairs || l.Counts[RemovedExcess] != 800 {
		t.Errorf("%d of 1000 cookies are sent, %d removed", got, l.Counts[RemovedExcess])
	}
	l = r.Line(nil, page("/"), []string{"a=" + strings.Repeat("x", maxCookieSize) + "; b=1"})
	if l.Value != "b=1" || l.Counts[RemovedExcess] != 1 {
		t.Errorf("a large one: %.20q, %v", l.Value, l.Counts)
	}
	half := strings.Repeat("x", maxCookieSize-10)
	large := make([]string, 0, 20)
	for i := range 20 {
		large = append(large, fmt.Sprintf("c%d=%s", i, half))
	}
	if l = r.Line(nil, page("/"), large); len(l.Value) > maxPairsSize+100 {
		t.Errorf("the line has %d bytes", len(l.Value))
	}
	l = newRules(t, Options{}).Line(nil, page("/"), []string{strings.Join(many, "; "), strings.Repeat("n", 65) + "=1"})
	if len(l.Unknown) != maxUnknown || l.Counts[RemovedUnknown] != maxPairs {
		t.Errorf("%d unknown names, %d removed", len(l.Unknown), l.Counts[RemovedUnknown])
	}
}

// TestLineKeepsItsOrder compares the order with the RFC's sentence.
func TestLineKeepsItsOrder(t *testing.T) {
	r := newRules(t, Options{Jar: []string{"*"}})
	rapid.Check(t, func(t *rapid.T) {
		paths := rapid.SliceOfN(rapid.SampledFrom([]string{"/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/q"}), 0, 40).Draw(t, "paths")
		var j *Jar
		type set struct {
			path string
			n    int
		}
		var want []set
		url := rapid.SampledFrom([]string{"/", "/a", "/a/b/c/d", "/ab"}).Draw(t, "url")
		for i, p := range paths {
			j = j.With(r.Sort(j, page("/"), []string{fmt.Sprintf("c%d=v; Path=%s", i, p)}).Wishes, noon)
			if p == url || strings.HasPrefix(url, strings.TrimSuffix(p, "/")+"/") {
				want = append(want, set{p, i})
			}
		}
		slices.SortStableFunc(want, func(a, b set) int { return len(b.path) - len(a.path) })
		var parts []string
		for _, w := range want {
			parts = append(parts, fmt.Sprintf("c%d=v", w.n))
		}
		if got := r.Line(j, page(url), nil).Value; got != strings.Join(parts, "; ") {
			t.Fatalf("%s of %q: %q, want %q", url, paths, got, parts)
		}
	})
}
