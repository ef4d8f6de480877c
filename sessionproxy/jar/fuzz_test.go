package jar

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzResponse takes any two Set-Cookie lines and any Cookie line the whole
// way: sorted, merged, stored, sent to the app, exported.
func FuzzResponse(f *testing.F) {
	for i, s := range seeds {
		f.Add(s, seeds[(i+3)%len(seeds)], "a=1; b; =c; a=2", "/blog/x")
	}
	all, some := newRules(f, Options{Jar: []string{"*"}}), newRules(f, Options{Mount: "/blog", Pass: []string{"a*"}, Drop: []string{"*d"}})
	f.Fuzz(func(t *testing.T, first, second, cookies, url string) {
		if strings.ContainsAny(url, " \t") || hasControl(url) {
			return // no request line has it
		}
		req := &Request{BrowserPath: url, AppPath: strings.TrimPrefix(url, "/blog"), At: noon, Secure: true}
		for _, r := range []*Rules{all, some} {
			s := r.Sort(nil, req, []string{first, second})
			for _, line := range s.Browser {
				checkBrowserLine(t, r, req, line, first, second)
			}
			j := (*Jar)(nil).With(s.Wishes, noon)
			if again, err := Decode(j.Encode()); err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", j) {
				t.Fatalf("%v: %+v is stored as %+v", err, j, again)
			}
			for _, line := range j.Export(noon) {
				if c, refused := parseSetCookie(line, noon); refused != Taken || j.find(c.name, c.path, noon) < 0 || j.cookies[j.find(c.name, c.path, noon)].value != c.value {
					t.Fatalf("exported as %q", line)
				}
			}
			if value := r.Line(j, req, []string{cookies}).Value; hasControl(value) {
				t.Fatalf("the line for the app is %q", value)
			}
			if m := Merge(j, r.Sort(j, req, []string{first, second}).Wishes, Moment{At: noon}); m.Changed {
				t.Fatalf("repeated: %q, %q change the jar", first, second)
			}
		}
	})
}

// checkBrowserLine compares a line for the browser with that of the app.
func checkBrowserLine(t *testing.T, r *Rules, req *Request, line, first, second string) {
	t.Helper()
	got, refused := parseSetCookie(line, noon)
	for _, text := range []string{first, second} {
		was, _ := parseSetCookie(text, noon)
		was.flags |= secure
		path := was.path
		was.path = got.path
		if refused != Taken || was != got {
			continue
		}
		mount := r.mountOf(req)
		kept := got.path == path && (isHostName(got.name) || r.passes(got.name) || mount == "/" || pathMatches(path, mount) || path == "" && pathMatches(defaultPath(req.BrowserPath), mount))
		if kept || pathMatches(got.path, mount) && got.path != path {
			return
		}
	}
	t.Fatalf("%q goes to the browser, of %q and %q", line, first, second)
}
