package jar

import (
	"slices"
	"testing"
	"time"
)

func TestJarIsExported(t *testing.T) {
	r := newRules(t, Options{Jar: []string{"*"}})
	lines := []string{
		"PHPSESSID=1; Path=/", `a="b c"; Path=/x; Domain=.example.org; Max-Age=60; HttpOnly; Secure; Partitioned; SameSite=None`,
		"=x=y; Path=/; SameSite=Strict", "gone=1; Max-Age=10", "[b]=ß; Path=/; SameSite=Lax",
	}
	j := filled(t, r, page("/"), lines...)
	at := noon.Add(20 * time.Second)
	want := slices.Delete(slices.Clone(lines), 3, 4)
	want[1] = `a="b c"; Path=/x; Domain=.example.org; Max-Age=40; HttpOnly; Secure; Partitioned; SameSite=None`
	got := j.Export(at)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for i := range got { // a browser reads what the app has set
		c, refused := parseSetCookie(got[i], at)
		if w, _ := parseSetCookie(want[i], at); refused != Taken || c != w {
			t.Errorf("%q is read as %+v", got[i], c)
		}
	}
	if (*Jar)(nil).Export(noon) != nil {
		t.Error("an empty jar is exported")
	}
}

func TestCookiesAreAdopted(t *testing.T) {
	r := newRules(t, Options{Adopt: []string{"PHPSESSID", "wp_*"}, Drop: []string{"wp_bad"}})
	req := unsafe(noon)
	browser := []string{"PHPSESSID=first; other=1; wp_a=2", "PHPSESSID=second; wp_bad=3"}
	w := r.Adopt(req, browser)
	j := (*Jar)(nil).With(w, noon)
	if l := r.Line(j, req, browser); l.Value != "PHPSESSID=first; wp_a=2" || countsString(l.Counts) != "removed_rule 1 removed_jar 3 removed_unknown 1" {
		t.Errorf("%q, %s", l.Value, countsString(l.Counts))
	}
	// the app renews the id: one cookie remains
	sum := w.Then(r.Sort(j, req, []string{"PHPSESSID=new; path=/"}).Wishes)
	if got := r.Line(Merge(nil, sum, Moment{At: noon}).Jar, req, nil).Value; got != "wp_a=2; PHPSESSID=new" {
		t.Errorf("%q", got)
	}
	// the app has had it under another path: what it does there, it does to it
	for line, want := range map[string]string{
		"PHPSESSID=new; path=/blog/":                    "PHPSESSID=new; wp_a=2",
		"PHPSESSID=; path=/blog/; Max-Age=0":            "wp_a=2",
		"PHPSESSID=; path=/; Max-Age=0":                 "wp_a=2",
		"wp_a=x; path=/blog; Max-Age=0; Domain=example": "PHPSESSID=first",
		"wp_a=3; path=/blog/":                           "wp_a=3; PHPSESSID=first",
	} {
		blog := &Request{BrowserPath: "/blog/", AppPath: "/blog/", At: noon, Unsafe: true}
		for _, wishes := range []Wishes{w.Then(r.Sort(j, blog, []string{line}).Wishes), r.Sort(j, blog, []string{line}).Wishes} {
			now := j
			if len(wishes.cookies) > 1 && !wishes.cookies[0].given.present {
				now = nil // the response that adopts
			}
			if got := r.Line(Merge(now, wishes, Moment{At: noon}).Jar, blog, nil).Value; got != want {
				t.Errorf("after %s: %q, want %q", line, got, want)
			}
		}
	}
	if !r.Begins(req, w, false) {
		t.Error("nothing begins")
	}
	if w := newRules(t, Options{}).Adopt(req, browser); !w.IsEmpty() {
		t.Error("adopted without a name")
	}
}

func TestBrowsersForget(t *testing.T) {
	const gone = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
	r := newRules(t, Options{Jar: []string{"jar*"}, Adopt: []string{"old"}, Pass: []string{"pref", "jarless"}})
	blog := &Request{BrowserPath: "/blog/a", AppPath: "/a", At: noon, Secure: true}
	browser := []string{"jar1=1; old=2; PHPSESSID=3; pref=4; jarless=5; jar1=6"}
	want := []string{
		"jar1=; Path=/blog/" + gone + "; Secure", "jar1=; Path=/blog" + gone + "; Secure", "jar1=; Path=/" + gone + "; Secure",
		"old=; Path=/blog/" + gone + "; Secure", "old=; Path=/blog" + gone + "; Secure", "old=; Path=/" + gone + "; Secure",
	}
	if got := r.Expire(blog, browser); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	j := filled(t, r, page("/"), "csrf=1; Path=/c; Domain=example.org; Partitioned; Secure", "PHPSESSID=1")
	want = []string{"csrf=; Path=/c; Domain=example.org" + gone + "; Secure; Partitioned", "pref=; Path=/" + gone, "jarless=; Path=/" + gone}
	if got := r.Forget(j, page("/"), browser); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestClearSiteDataKeepsCookies(t *testing.T) {
	for _, c := range []struct {
		values, want []string
		ends         bool
	}{
		{nil, nil, false},
		{[]string{`"cookies"`}, nil, true},
		{[]string{`"cache", "cookies", "storage"`}, []string{`"cache", "storage"`}, true},
		{[]string{`"*"`}, []string{`"cache", "storage"`}, true},
		{[]string{`"cache","*"`}, []string{`"cache", "storage"`}, true},
		{[]string{`"cookies"`, `"executionContexts"`}, []string{`"executionContexts"`}, true},
		{[]string{`"cache"`, `cookies`}, []string{`"cache"`, `cookies`}, false}, // without quotes it is nothing to browsers
	} {
		got, ends := ClearSiteData(c.values)
		if !slices.Equal(got, c.want) || ends != c.ends {
			t.Errorf("%q: %q, %v", c.values, got, ends)
		}
	}
}
