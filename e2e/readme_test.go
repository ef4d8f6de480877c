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

// blocks returns the README's code blocks of a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	return blocksOf(t, "../README.md", language)
}

// TestReadmeApps runs the README's smallest apps behind its smallest
// Caddyfile, as they are written, on other ports.
func TestReadmeApps(t *testing.T) {
	for _, tc := range []struct {
		language, file string
		run            []string
	}{
		{"python", "app.py", []string{"python3", "app.py"}},
		{"js", "app.mjs", []string{"node", "app.mjs"}},
		{"php", "app.php", []string{"php", "-S", "127.0.0.1:3000", "app.php"}},
		{"go", "app.go", []string{"go", "run", "app.go"}},
	} {
		for i, source := range blocks(t, tc.language) {
			if !strings.Contains(source, "3000") {
				continue // no app
			}
			t.Run(fmt.Sprint(tc.language, " ", i+1), func(t *testing.T) {
				t.Parallel()
				name := need(t, tc.run[0])
				dir, port := t.TempDir(), fmt.Sprint(freePort(t))
				other := strings.NewReplacer("3000", port)
				if err := os.WriteFile(filepath.Join(dir, tc.file), []byte(other.Replace(source)), 0o600); err != nil {
					t.Fatal(err)
				}
				var args []string
				for _, arg := range tc.run[1:] {
					args = append(args, other.Replace(arg))
				}
				app := start(t, nil, dir, name, args...)
				until(t, "the app serves", app, listens("tcp", "127.0.0.1:"+port))
				caddyfile := strings.ReplaceAll(other.Replace(blocks(t, "caddyfile")[0]), ":8080", ":{PORT}")
				p := newProxy(t, "{\n\tadmin {ADMIN}\n\tsessions {\n\t\tendpoint {ENDPOINT}\n\t}\n}\n"+caddyfile)
				c := p.client(t)
				c.want("/", "visit 1")
				if status, _, _ := c.get("/favicon.ico"); status != http.StatusNotFound {
					t.Errorf("the icon that a browser asks for: %d", status)
				}
				c.want("/", "visit 2")
				if strings.Contains(source, "no Session-Data") || tc.language == "python" {
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

// TestReadmeCurl runs the README's calls of the endpoint in a shell, from an
// app, and looks at what they print and at what is stored.
func TestReadmeCurl(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	script := ""
	for _, block := range blocks(t, "sh") {
		if strings.Contains(block, "$SESSION_ENDPOINT") {
			script += block
		}
	}
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

// TestReadmeBearer runs the README's client without cookies, in front of an
// app that counts visits.
func TestReadmeBearer(t *testing.T) {
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
	site, script := "", ""
	for _, block := range blocks(t, "caddyfile") {
		if strings.Contains(block, "ticket bearer") {
			site = block
		}
	}
	for _, block := range blocks(t, "sh") {
		if strings.Contains(block, "Session-Ticket") {
			script = block
		}
	}
	site = strings.NewReplacer("127.0.0.1:3000", strings.TrimPrefix(app.URL, "http://"), "localhost:8080", "127.0.0.1:{PORT}").Replace(site)
	p := newProxy(t, globals+site)
	out, err := exec.Command("sh", "-ec", strings.ReplaceAll(script, "http://localhost:8080", strings.TrimSuffix(p.url("/"), "/"))).CombinedOutput()
	if err != nil || string(out) != "visit 2\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestConfigurationsAdapt: every Caddyfile that a reader can copy is accepted.
func TestConfigurationsAdapt(t *testing.T) {
	t.Parallel()
	files := blocks(t, "caddyfile")
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range append(files, string(example)) {
		dir := t.TempDir()
		p := &proxy{t: t, dir: dir}
		p.configure(strings.ReplaceAll(text, "{env.HOOK_SECRET}", hookSecret))
		if out, err := p.command("validate", "--config", "Caddyfile"); err != nil {
			t.Errorf("configuration %d: %v\n%s", i+1, err, out)
		}
		if out, err := p.command("fmt", "--diff", "Caddyfile"); err != nil {
			t.Errorf("configuration %d is not formatted: %s", i+1, out)
		}
	}
}
