package unmodified

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestMissingPassIsNamed: without its line `pass DOKU_PREFS` DokuWiki loses a
// preference, and the doctor names the line.
func TestMissingPassIsNamed(t *testing.T) {
	t.Parallel()
	pair := launch(dokuWiki)
	pair.ready(t)
	for _, c := range []struct {
		words string
		rows  bool
	}{{"pass DOKU_PREFS", true}, {"", false}} {
		p := newProxy(t, func(m *mount, _ string) string { return withJar()(m, c.words) }, "", pair)
		v := newVisitor(p.base)
		defer v.close()
		dokuWiki.login(v, pair.a, "alice")
		at, err := url.Parse(p.base + pair.a.path + "/")
		if err != nil {
			t.Fatal(err)
		}
		v.client.Jar.SetCookies(at, []*http.Cookie{{Name: "DOKU_PREFS", Value: "list#rows", Path: pair.a.path + "/"}}) // as its script does
		page := v.open(pair.a.path + "/doku.php?do=media&ns=wiki&tab_files=files")
		if rows := strings.Contains(page.body, `<ul class="rows">`); rows != c.rows || v.err != nil {
			t.Errorf("with %q the preference is read: %v, want %v (%v)", c.words, rows, c.rows, v.err)
		}
		out, err := p.command("sessions", "--address", p.admin, "doctor")
		if named := strings.Contains(out, "pass DOKU_PREFS"); named == c.rows {
			t.Errorf("with %q the doctor names the line: %v (%v)\n%s", c.words, named, err, out)
		}
	}
}

// keeper keeps what a browser that is closed has left of its cookies.
type keeper struct {
	http.RoundTripper
	kept []*http.Cookie
}

func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := k.RoundTripper.RoundTrip(r)
	if err == nil {
		for _, c := range resp.Cookies() {
			if c.MaxAge > 0 || !c.Expires.IsZero() {
				k.kept = append(k.kept, c)
			}
		}
	}
	return resp, err
}

// TestRemembered: a user is signed in after the browser was closed, if the app's
// box was ticked, or the app always remembers, and `remember` names its cookie.
func TestRemembered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		app         *app
		words, box  string
		login, want string
	}{
		{redmine, redmine.words, "autologin", "/login", "alice"},
		{redmine, redmine.words, "", "/login", ""},
		{redmine, "", "autologin", "/login", ""},
		{flask, "remember remember_token", "remember", "/", "alice"},
		{flask, "remember remember_token", "", "/", ""},
		{djangoAdmin, "remember sessionid", "", "/admin/", "alice"},
		{djangoAdmin, "", "", "/admin/", ""},
	} {
		t.Run(fmt.Sprintf("%s %s with %q", c.app.name, c.box, c.words), func(t *testing.T) {
			pair := launch(c.app)
			t.Parallel()
			pair.ready(t)
			p := newProxy(t, func(m *mount, _ string) string { return withJar()(m, c.words) }, "", pair)
			v := newVisitor(p.base)
			defer v.close()
			k := &keeper{RoundTripper: v.client.Transport}
			v.client.Transport = k
			fields := []string{"username", "alice", "user", "alice", "password", password("alice")}
			if c.box != "" {
				fields = append(fields, c.box, "1")
			}
			v.submit(v.open(pair.a.path+c.login), "password", fields...)
			if got := c.app.who(v, pair.a); got != "alice" || v.err != nil {
				t.Fatalf("after signing in the app knows %q (%v)", got, v.err)
			}
			again := newVisitor(p.base)
			defer again.close()
			at, err := url.Parse(p.base)
			if err != nil {
				t.Fatal(err)
			}
			again.client.Jar.SetCookies(at, k.kept)
			if got := c.app.who(again, pair.a); got != c.want || again.err != nil {
				t.Errorf("after the browser was closed the app knows %q, want %q (%v)\n%s", got, c.want, again.err, names(k.kept))
			}
		})
	}
}

// names are those of cookies, without their values.
func names(cookies []*http.Cookie) string {
	var b strings.Builder
	for _, c := range cookies {
		fmt.Fprintf(&b, "%s %s %d\n", c.Name, c.Path, c.MaxAge)
	}
	return b.String()
}
