package jar

import (
	"strings"
	"testing"
)

func TestCookiesHaveAPlace(t *testing.T) {
	named := Options{Drop: []string{"_ga*", "both*"}, Pass: []string{"pref", "bothx", "*.p"}, Jar: []string{"csrf*", "x.p"}, Adopt: []string{"old"}}
	with := func(change func(*Options)) Options {
		o := named
		change(&o)
		return o
	}
	for _, c := range []struct {
		options Options
		name    string
		flags   flags
		want    place
	}{
		{Options{}, "anything", 0, inBrowser},
		{Options{}, "anything", httpOnly, inJar},
		{Options{}, "PHPSESSID", 0, inJar},
		{Options{}, "__Host-session", 0, inJar},
		{Options{}, "__Secure-connect.sid", 0, inJar},
		{Options{}, "phpsessid", 0, inBrowser},
		{Options{}, "", 0, inBrowser},
		{named, "_ga_1", httpOnly, nowhere},
		{named, "bothx", 0, nowhere},
		{named, "pref", httpOnly, inBrowser},
		{named, "x.p", 0, inBrowser}, // pass prevails over jar
		{named, "csrftoken", 0, inJar},
		{named, "old", 0, inJar},
		{with(func(o *Options) { o.Jar = append(o.Jar, "*") }), "other", 0, inJar},
		{with(func(o *Options) { o.Jar = append(o.Jar, "*") }), "pref", 0, inBrowser},
		{with(func(o *Options) { o.Drop = append(o.Drop, "*") }), "csrftoken", 0, inJar},
		{with(func(o *Options) { o.Drop = append(o.Drop, "*") }), "other", httpOnly, nowhere},
		{with(func(o *Options) { o.Pass = append(o.Pass, "*") }), "PHPSESSID", httpOnly, inBrowser},
		{with(func(o *Options) { o.Pass = append(o.Pass, "*") }), "old", 0, inJar},
	} {
		if got := newRules(t, c.options).placeOf(c.name, c.flags); got != c.want {
			t.Errorf("%q of %+v: %d, want %d", c.name, c.options, got, c.want)
		}
	}
	for name := range strings.FieldsSeq("PHPSESSID JSESSIONID JSESSIONIDSSO connect.sid sessionid session _redmine_session _app_session_id ASP.NET_SessionId ASPSESSIONIDQW .AspNetCore.Cookies CFID CFTOKEN rack.session express:sess express:sess.sig koa.sess a.sid sid remember_web_1") {
		if !IsSessionName(name) {
			t.Errorf("%s is no session's name", name)
		}
	}
	for name := range strings.FieldsSeq("csrftoken _csrf blog_ticket sidebar sessions") {
		if IsSessionName(name) {
			t.Errorf("%s is a session's name", name)
		}
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob, name string
		want       bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a*", "a", true}, {"a*", "ab", true}, {"*a", "ba", true}, {"*a", "ab", false},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"a*b*c", "axbyc", true}, {"a*b*c", "acb", false}, {"*b*", "abc", true},
		{"a[b]", "a[b]", true}, {"a?", "ab", false}, {"a*b*b", "ab", false}, {"a**b", "ab", true}, {"x*", "", false},
	} {
		if got := newGlob(c.glob).matches(c.name); got != c.want {
			t.Errorf("%s of %s: %v", c.glob, c.name, got)
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for want, o := range map[string]Options{
		`mount "blog" must be a path that begins with /`:                       {Mount: "blog"},
		`mount "/blog/*" must be a path`:                                       {Mount: "/blog/*"},
		`mount "/b;c" must be a path`:                                          {Mount: "/b;c"},
		"max_size of cookies is 65537 bytes, and may be from 1 to 65536":       {MaxSize: LargestMaxSize + 1},
		"max_size of cookies is -1 bytes":                                      {MaxSize: -1},
		`"a" is in drop and in pass: a cookie goes one way`:                    {Drop: []string{"a"}, Pass: []string{"b", "a"}},
		`"*" is in pass and in jar`:                                            {Jar: []string{"*"}, Pass: []string{"*"}},
		`"a" is in drop and in adopt`:                                          {Drop: []string{"a"}, Adopt: []string{"a"}},
		`"a" is in pass and in remember`:                                       {Pass: []string{"a"}, Remember: []string{"a"}},
		`jar names "a" twice: take one out`:                                    {Jar: []string{"a", "b", "a"}},
		`"" in jar cannot be the name of a cookie`:                             {Jar: []string{""}},
		`"a;b" in pass cannot be the name of a cookie`:                         {Pass: []string{"a;b"}},
		`"a b" in pass cannot be the name of a cookie`:                         {Pass: []string{"a b"}},
		`"**" in jar: write a single *`:                                        {Jar: []string{"**"}},
		"adopt takes names of cookies, and * would be all of them: name those": {Adopt: []string{"*"}},
		"remember takes names of cookies":                                      {Remember: []string{"*"}},
	} {
		if _, err := NewRules(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", o, err, want)
		}
	}
	if _, err := NewRules(Options{Jar: []string{"a"}, Adopt: []string{"a"}, Remember: []string{"a"}, Mount: "/x/", MaxSize: LargestMaxSize}); err != nil {
		t.Error(err)
	}
}

func TestMountIsFound(t *testing.T) {
	for _, c := range []struct{ mount, browser, app, want string }{
		{"", "/", "/", "/"},
		{"", "/a/b", "/a/b", "/"},
		{"", "/blog/a/b", "/a/b", "/blog"},
		{"", "/blog/", "/", "/blog"},
		{"", "/blog", "/", "/blog"},
		{"", "/x/blog/a", "/a", "/x/blog"},
		{"", "/fox", "/x", "/"},
		{"", "/blog;Domain=x/a", "/a", "/"},
		{"", "/a/b", "/index.php", "/"},
		{"", "/blog/a", "a", "/blog"},
		{"/blog", "/blog/a", "/a", "/blog"},
		{"/blog/", "/other", "/other", "/blog"},
		{"/", "/blog/a", "/a", "/"},
	} {
		r := newRules(t, Options{Mount: c.mount})
		if got := r.mountOf(&Request{BrowserPath: c.browser, AppPath: c.app}); got != c.want {
			t.Errorf("%q: %s as %s: %s, want %s", c.mount, c.browser, c.app, got, c.want)
		}
	}
}

func TestPathsMatch(t *testing.T) {
	for _, c := range []struct {
		url, path string
		want      bool
	}{
		{"/", "/", true}, {"", "/", true}, {"/a", "/", true}, {"/a", "/a", true}, {"/a/", "/a", true}, {"/a/b", "/a", true},
		{"/a", "/a/", false}, {"/ab", "/a", false}, {"/a/b", "/a/", true}, {"/", "/a", false},
	} {
		if got := pathMatches(c.url, c.path); got != c.want {
			t.Errorf("%s for %s: %v", c.path, c.url, got)
		}
	}
	for url, want := range map[string]string{"": "/", "/": "/", "/a": "/", "/a/": "/a", "/a/b": "/a", "a/b": "/", "/a/b;Domain=x/c": "/a"} {
		if got := defaultPath(url); got != want {
			t.Errorf("the default path of %q is %s", url, got)
		}
	}
}
