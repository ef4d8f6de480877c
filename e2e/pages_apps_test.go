package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAppsOfThePages runs the apps that count visits behind the README's
// smallest Caddyfile, as they are written, on other ports.
func TestAppsOfThePages(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ language, file string }{
		{"python", "app.py"}, {"js", "app.mjs"}, {"php", "app.php"}, {"go", "app.go"},
	} {
		for _, source := range programs(t, tc.language, tc.file) {
			t.Run(tc.language+" "+filepath.Base(source.page), func(t *testing.T) {
				t.Parallel()
				port, p := source.serve(t, tc.file)
				c := p.client(t)
				c.want("/", "visit 1")
				if status, _, _ := c.get("/favicon.ico"); status != http.StatusNotFound {
					t.Errorf("the icon that a browser asks for: %d", status)
				}
				c.want("/", "visit 2")
				if strings.Contains(source.text, "no Session-Data") || tc.language == "python" {
					resp, err := http.Get("http://127.0.0.1:" + port + "/") // without the proxy
					if err != nil {
						t.Fatal(err)
					}
					if resp.Body.Close(); resp.StatusCode != http.StatusInternalServerError {
						t.Errorf("without Session-Data the app answers %d", resp.StatusCode)
					}
				}
				p.stop()
				p.start()
				c.want("/", "visit 3")
			})
		}
	}
}

// serve runs the program as its first line says, on another port, behind the
// README's smallest Caddyfile.
func (b block) serve(t *testing.T, file string) (port string, p *proxy) {
	t.Helper()
	port = fmt.Sprint(freePort(t))
	words := strings.Fields(strings.ReplaceAll(b.command(), "3000", port))
	name, dir := need(t, words[0]), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.ReplaceAll(b.text, "3000", port)), 0o600); err != nil {
		t.Fatal(err)
	}
	app := start(t, nil, dir, name, words[1:]...)
	until(t, "the app serves", app, listens("tcp", "127.0.0.1:"+port))
	return port, newProxy(t, "{\n\tadmin {ADMIN}\n\tsessions {\n\t\tendpoint {ENDPOINT}\n\t}\n}\n"+smallest(t, port, "{PORT}"))
}

// smallest is the README's smallest Caddyfile, on other ports.
func smallest(t *testing.T, app, port string) string {
	t.Helper()
	return strings.NewReplacer("3000", app, ":8080", ":"+port).Replace(blocksWith(t, "caddyfile", "respond /favicon.ico 404")[0].text)
}

// TestReadmeTutorial types what the README says, line by line.
func TestReadmeTutorial(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var data struct{ Visits int }
		_ = json.Unmarshal([]byte(r.Header.Get("Session-Data")), &data)
		w.Header().Set("Session-Add", `{"visits":1}`)
		_, _ = fmt.Fprintf(w, "visit %d\n", data.Visits+1)
	}))
	t.Cleanup(app.Close)
	_, appPort, _ := strings.Cut(strings.TrimPrefix(app.URL, "http://"), ":")
	p := &proxy{t: t, dir: t.TempDir(), port: freePort(t), admin: loopback(t), endpoint: loopback(t)}
	p.configure("{\n\tadmin {ADMIN}\n\tsessions {\n\t\tendpoint {ENDPOINT}\n\t}\n}\n" + smallest(t, appPort, "{PORT}"))
	calls := 0
	for line := range strings.Lines(blocksWith(t, "sh", "bin/sessionproxy run")[0].text) {
		command, want, _ := strings.Cut(strings.TrimSpace(line), "#")
		if words := strings.Fields(command); words[0] == "bin/sessionproxy" { // it goes on
			p.process = start(t, p.env(), p.dir, binary, words[1:]...)
			until(t, "the proxy serves", p.process, func() bool { return strings.Contains(p.output(), "serving initial configuration") })
			continue
		}
		out, err := p.shell(strings.Replace(command, "curl", "curl -sS", 1))
		if err != nil || strings.TrimSpace(out) != strings.TrimSpace(want) {
			t.Errorf("%s: %s, %v", line, out, err)
		}
		calls++
	}
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
}

// TestLoginOfThePages signs in and out at the app of the tutorial.
func TestLoginOfThePages(t *testing.T) {
	t.Parallel()
	_, p := programs(t, "python", "login.py")[0].serve(t, "login.py")
	c := p.client(t)
	post := func(path, form string, want int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url(path), strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := c.Transport.RoundTrip(withCookies(c, req))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		c.Jar.SetCookies(req.URL, resp.Cookies())
		if resp.StatusCode != want {
			t.Fatalf("POST %s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	c.want("/", "hello stranger")
	post("/login", "name=alice&password=guess", http.StatusForbidden)
	post("/login", "name=&password=", http.StatusForbidden)
	c.want("/", "hello stranger")
	post("/login", "name=alice&password=wonderland", http.StatusSeeOther)
	c.want("/", "hello alice")
	post("/logout", "", http.StatusSeeOther)
	c.want("/", "hello stranger")
}

// withCookies adds what the client's jar has for a request.
func withCookies(c *client, r *http.Request) *http.Request {
	for _, cookie := range c.Jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	return r
}

// TestGoOfThePages: the programs in Go that are no apps are compiled, or are
// tests that pass.
func TestGoOfThePages(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"mystore_test.go", "mylistener.go"} {
		for _, b := range programs(t, "go", file) {
			name := filepath.Join(t.TempDir(), file)
			if err := os.WriteFile(name, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			words := strings.Fields(strings.ReplaceAll(b.command(), file, name))
			cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
			cmd.Dir = ".." // its go.mod has what they import
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", b.page, err, out)
			}
		}
	}
}

// TestCurlOfThePages runs the pages' calls of the endpoint in a shell, from an
// app, and looks at what they print and at what is stored.
func TestCurlOfThePages(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	var lines strings.Builder
	for _, block := range blocksWith(t, "sh", "$SESSION_ENDPOINT") {
		lines.WriteString(block.text)
	}
	script := lines.String()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/look" {
			_, _ = io.WriteString(w, r.Header.Get("Session-Data"))
			return
		}
		cmd := exec.CommandContext(r.Context(), "sh", "-ec", script)
		cmd.Env = append(os.Environ(), "SESSION_ENDPOINT="+r.Header.Get("Session-Endpoint"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		_, _ = w.Write(out)
	}))
	t.Cleanup(app.Close)
	p := newProxy(t, globals+"http://:{PORT} {\n\tsession app\n\treverse_proxy "+strings.TrimPrefix(app.URL, "http://")+"\n}\n")
	c := p.client(t)
	c.want("/", `{}{"n":1}{"n":2,"gift":true}{"visits":1}`)
	c.want("/look", `{"cart":{"n":2},"visits":1}`)
}

// TestBearerOfThePages runs the pages' client without cookies, in front of an
// app that counts visits.
func TestBearerOfThePages(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var data struct{ Visits int }
		if err := json.Unmarshal([]byte(r.Header.Get("Session-Data")), &data); err != nil {
			t.Error(err)
		}
		if r.Header.Get("Authorization") != "" {
			t.Error("the app sees the ticket")
		}
		w.Header().Set("Session-Add", `{"visits":1}`)
		_, _ = fmt.Fprintf(w, "visit %d\n", data.Visits+1)
	}))
	t.Cleanup(app.Close)
	site, script := blocksWith(t, "caddyfile", "ticket bearer")[0].text, blocksWith(t, "sh", "Session-Ticket")[0].text
	site = strings.NewReplacer("127.0.0.1:3000", strings.TrimPrefix(app.URL, "http://"), "localhost:8080", "127.0.0.1:{PORT}").Replace(site)
	p := newProxy(t, globals+site)
	out, err := exec.Command("sh", "-ec", strings.ReplaceAll(script, "http://localhost:8080", strings.TrimSuffix(p.url("/"), "/"))).CombinedOutput()
	if err != nil || string(out) != "visit 2\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestConfigurationsAdapt: every Caddyfile that a reader can copy is accepted,
// and every handler in JSON is that of one of them.
func TestConfigurationsAdapt(t *testing.T) {
	t.Parallel()
	handlers := make(map[string]bool)
	files := append(blocks(t, "caddyfile"), block{page: "../Caddyfile.example", text: read(t, "../Caddyfile.example")})
	for _, b := range files {
		p := &proxy{t: t, dir: t.TempDir()}
		text := strings.NewReplacer("{env.HOOK_SECRET}", hookSecret, "{$LB_SECRET}", "pins-visitors", "/var/log/caddy/", p.dir+"/", "/run/secrets/", p.dir+"/").Replace(b.text)
		for name, secret := range map[string]string{"redis": "s3cret", "ticket_key": strings.Repeat("0f", 32)} {
			if err := os.WriteFile(filepath.Join(p.dir, name), []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p.configure(text)
		if out, err := p.command("validate", "--config", "Caddyfile"); err != nil {
			t.Errorf("%s: %v\n%s\n%s", b.page, err, out, b.text)
		}
		if out, err := p.command("fmt", "--diff", "Caddyfile"); err != nil {
			t.Errorf("%s: not formatted: %s", b.page, out)
		}
		out, err := exec.CommandContext(t.Context(), binary, "adapt", "--config", filepath.Join(p.dir, "Caddyfile")).Output()
		if err != nil {
			t.Errorf("%s: %v", b.page, err)
		}
		var config any
		if err := json.Unmarshal(out, &config); err != nil {
			t.Errorf("%s: %v", b.page, err)
		}
		handlersIn(t, config, handlers)
	}
	for _, b := range blocks(t, "json") {
		var handler any
		if err := json.Unmarshal([]byte(b.text), &handler); err != nil {
			t.Errorf("%s: %v", b.page, err)
		}
		if !handlers[compact(t, handler)] {
			t.Errorf("%s: no Caddyfile comes to this:\n%s", b.page, b.text)
		}
	}
}

// handlersIn collects the session handlers of a configuration.
func handlersIn(t *testing.T, config any, into map[string]bool) {
	t.Helper()
	switch v := config.(type) {
	case []any:
		for _, e := range v {
			handlersIn(t, e, into)
		}
	case map[string]any:
		if v["handler"] == "session" {
			into[compact(t, v)] = true
		}
		for _, e := range v {
			handlersIn(t, e, into)
		}
	}
}

func compact(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
