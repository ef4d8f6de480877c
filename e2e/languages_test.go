package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// app starts the sample app of a language and returns the directive that
// passes requests on to it.
func app(t *testing.T, language string) string {
	t.Helper()
	apps, err := filepath.Abs("apps")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(freePort(t))
	serve := func(name string, args ...string) string {
		p := start(t, nil, apps, name, args...)
		until(t, language+" serves", p, listens("tcp", "127.0.0.1:"+port))
		return "reverse_proxy 127.0.0.1:" + port
	}
	switch language {
	case "python":
		return serve(need(t, "python3"), "python/app.py", port)
	case "node":
		return serve(need(t, "node"), "node/app.mjs", port)
	case "php":
		return serve(need(t, "php"), "-S", "127.0.0.1:"+port, "php/app.php")
	}
	socket := startFPM(t)
	return fmt.Sprintf("root * %s/php\n\t\trewrite * /app.php?{query}\n\t\tphp_fastcgi unix/%s {\n\t\t\tenv REQUEST_URI {http.request.orig_uri.path}?{query}\n\t\t}", apps, socket)
}

// startFPM starts php-fpm on a Unix socket, and returns it.
func startFPM(t *testing.T) string {
	t.Helper()
	fpm := need(t, "php-fpm", "/usr/sbin/php-fpm*")
	dir, err := os.MkdirTemp("", "fpm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "fpm.sock")
	conf := fmt.Sprintf("[global]\nerror_log = /dev/stderr\ndaemonize = no\n[www]\nlisten = %s\npm = static\npm.max_children = 4\n", socket)
	args := []string{"-n", "-F", "-y", filepath.Join(dir, "fpm.conf")}
	if os.Getuid() == 0 {
		conf += "user = root\ngroup = root\n"
		args = append(args, "-R")
	}
	if err := os.WriteFile(filepath.Join(dir, "fpm.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, dir, fpm, args...)
	until(t, "php-fpm serves", p, listens("unix", socket))
	return socket
}

// TestLanguages plays one script against apps that are not Go.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"python", "node", "php", "php-fpm"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, globals+"http://:{PORT} {\n\troute {\n\t\tsession app\n\t\t"+app(t, language)+"\n\t}\n}\n")
			script(t, p)
		})
	}
}

func script(t *testing.T, p *proxy) {
	c := p.client(t)
	t.Run("a visitor without a write has no cookie", func(t *testing.T) {
		_, header, _ := c.get("/raw")
		if header.Get("Set-Cookie") != "" {
			t.Fatalf("got %v", header)
		}
	})
	t.Run("counting", func(t *testing.T) {
		status, header, body := c.get("/")
		if status != http.StatusOK || body != "visit 1" || !strings.Contains(header.Get("Set-Cookie"), "app_ticket=") ||
			!strings.Contains(header.Get("Set-Cookie"), "HttpOnly") || header.Get("Session-Patch") != "" {
			t.Fatalf("got %d %v %s", status, header, body)
		}
		c.want("/", "visit 2")
		c.get("/add")
		c.get("/add")
	})
	t.Run("every character", func(t *testing.T) {
		const text = "Zoë 😀 \"\\\n\t,}"
		c.get("/set?k=text&v=" + url.QueryEscape(text))
		var data struct {
			Text           string
			Visits, Clicks int
		}
		seen := c.seen("/raw")
		if err := json.Unmarshal([]byte(seen["HTTP_SESSION_DATA"]), &data); err != nil || data.Text != text || data.Visits != 2 || data.Clicks != 2 {
			t.Fatalf("got %v (%v)", seen, err)
		}
	})
	t.Run("nobody else speaks for the proxy", func(t *testing.T) {
		seen := c.seen("/raw", "Session-Data", `{"evil":1}`, "Session_Data", `{"evil":1}`, "Session-Principal", `"root"`, "Connection", "Session-Data", "Cookie", "theme=dark")
		if strings.Contains(fmt.Sprint(seen), "evil") || strings.Contains(fmt.Sprint(seen), "root") || seen["HTTP_COOKIE"] != "theme=dark" ||
			seen["HTTP_SESSION_STATE"] != "active" || !strings.Contains(seen["HTTP_SESSION_DATA"], `"visits":2`) {
			t.Fatalf("got %v", seen)
		}
	})
	t.Run("the endpoint", func(t *testing.T) {
		status, _, body := c.get("/endpoint")
		var cart struct{ Items []string }
		if err := json.Unmarshal([]byte(body), &cart); err != nil || status != http.StatusOK || len(cart.Items) != 1 || cart.Items[0] != "apple" {
			t.Fatalf("the app read %d %s at its endpoint", status, body)
		}
		if data := c.seen("/raw")["HTTP_SESSION_DATA"]; !strings.Contains(data, `"cart":{"items":["apple"]}`) || !strings.Contains(data, `"ordered":true`) {
			t.Fatalf("endpoint and header were not committed together: %s", data)
		}
	})
	t.Run("a bad write is refused, and changes nothing", func(t *testing.T) {
		before := c.seen("/raw")["HTTP_SESSION_DATA"]
		status, header, body := c.get("/bad")
		if status != http.StatusBadGateway || header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, "urn:sessionproxy:bad-write") {
			t.Fatalf("got %d %v %s", status, header, body)
		}
		if status, header, _ := c.get("/fail"); status != http.StatusInternalServerError || header.Get("Session-Patch") != "" {
			t.Fatalf("got %d %v", status, header)
		}
		if after := c.seen("/raw")["HTTP_SESSION_DATA"]; after != before {
			t.Fatalf("%s became %s", before, after)
		}
	})
	t.Run("a login replaces the ticket", func(t *testing.T) {
		at, err := url.Parse(p.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		old := c.Jar.Cookies(at)
		id := c.seen("/raw")["HTTP_SESSION_ID"]
		c.get("/login?user=" + url.QueryEscape("Zoë"))
		seen := c.seen("/raw")
		if seen["HTTP_SESSION_ID"] != id || !strings.Contains(seen["HTTP_SESSION_META"], `"principal":"Zo\u00eb"`) {
			t.Fatalf("got %v", seen)
		}
		late := p.client(t)
		late.Jar.SetCookies(at, old)
		if seen := late.seen("/raw"); seen["HTTP_SESSION_STATE"] != "expired" || seen["HTTP_SESSION_DATA"] != "{}" {
			t.Fatalf("the old ticket sees %v", seen)
		}
		if status, header, body := late.get("/"); status != http.StatusConflict || !strings.Contains(body, "gone") || header.Get("Set-Cookie") != "" {
			t.Fatalf("the old ticket wrote: %d %v %s", status, header, body)
		}
	})
	t.Run("the log knows no data and no ticket", func(t *testing.T) {
		at, err := url.Parse(p.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		log := p.output()
		for _, secret := range []string{"visits", `Zo\\u00eb`, c.Jar.Cookies(at)[0].Value} {
			if strings.Contains(log, secret) {
				t.Errorf("the log holds %s", secret)
			}
		}
	})
	t.Run("a logout ends it", func(t *testing.T) {
		_, header, _ := c.get("/logout")
		if !strings.Contains(header.Get("Set-Cookie"), "Max-Age=0") {
			t.Fatalf("got %v", header)
		}
		c.want("/", "visit 1")
	})
}

// TestIsolation mounts the same app twice.
func TestIsolation(t *testing.T) {
	t.Parallel()
	up := app(t, "python")
	p := newProxy(t, globals+`http://:{PORT} {
	handle_path /a/* {
		session a
		`+up+`
	}
	handle_path /b/* {
		session b
		`+up+`
	}
	handle_path /off/* {
		session off
		respond "{http.request.header.Session-Meta}|{http.request.header.Cookie}"
	}
}
`)
	c := p.client(t)
	c.want("/a/", "visit 1")
	c.want("/a/", "visit 2")
	c.want("/b/", "visit 1")
	c.want("/a/", "visit 3")
	c.get("/b/logout")
	c.want("/a/", "visit 4")
	a, b := c.seen("/a/raw"), c.seen("/b/raw")
	if a["HTTP_SESSION_ID"] == b["HTTP_SESSION_ID"] || a["HTTP_COOKIE"] != "" || b["HTTP_COOKIE"] != "" {
		t.Fatalf("a sees %v, b sees %v", a, b)
	}
	if _, _, body := c.get("/off/", "Session-Meta", `{"principal":"root"}`, "Cookie", "theme=dark"); body != "|theme=dark" {
		t.Fatalf("off sees %s", body)
	}
}
