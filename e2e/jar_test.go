package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestJarAcrossAKill is kill -9 right after a response with Set-Cookie, whose
// visitor is still signed in afterwards; and an operator sees names alone.
func TestJarAcrossAKill(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			w.Header().Add("Set-Cookie", "sid=jarsecret; HttpOnly; Path=/")
			w.Header().Add("Set-Cookie", "\u009b31mred=jarsecret; HttpOnly; Path=/")
		}
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	}))
	t.Cleanup(app.Close)
	p := newProxy(t, strings.Replace(site("durability sync", "reverse_proxy "+app.Listener.Addr().String()), "session app", "session shop {\n cookies\n }", 1))
	c := p.client(t)
	if status, header, _ := c.get("/login"); status != http.StatusOK || len(header["Set-Cookie"]) != 1 {
		t.Fatalf("%d %v", status, header)
	}
	p.kill()
	p.start()
	c.want("/", "sid=jarsecret; \u009b31mred=jarsecret")
	ids := p.listed()
	if len(ids) != 1 {
		t.Fatalf("%v", ids)
	}
	out, status := p.operate("show", "shop", ids[0])
	if status != 0 || !strings.Contains(out, "sid") || !strings.Contains(out, "COOKIE") || strings.Contains(out, "jarsecret") || strings.ContainsRune(out, '\u009b') {
		t.Errorf("[%d] %q", status, out)
	}
	// A browser that sends what the app never set: doctor names it.
	c.get("/", "Cookie", "prefs=1")
	if out, _ := p.operate("doctor"); !strings.Contains(out, "pass prefs") || strings.Contains(out, "jarsecret") {
		t.Errorf("doctor: %s", out)
	}
	if out, status := p.operate("revoke", "shop", ids[0]); status != 0 {
		t.Fatalf("revoke: %s", out)
	}
	c.want("/", "")
}
