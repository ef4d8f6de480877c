package e2e

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// operate runs the command `sessions` beside the proxy, and returns what it
// prints and its exit status.
func (p *proxy) operate(args ...string) (string, int) {
	p.t.Helper()
	out, err := p.command(append([]string{"sessions", "--address", p.admin}, args...)...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	if exit == nil {
		return out, 0
	}
	return out, exit.ExitCode()
}

// TestOperator looks at a session as an operator, and ends it. What identifies
// a user is not in the log, which has every call of the admin endpoint.
func TestOperator(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Id", r.Header.Get("Session-Id"))
		w.Header().Set("X-State", r.Header.Get("Session-State"))
		if r.URL.Path == "/login" {
			w.Header().Set("Session-Principal", `"alice@example.org"`)
			w.Header().Set("Session-Add", `{"visits":1}`)
		}
	}))
	t.Cleanup(app.Close)
	p := newProxy(t, strings.Replace(globals, "sessions {", "sessions {\n\t\tadmin_data on", 1)+"http://:{PORT} {\n\tbind 127.0.0.1\n\tsession app\n\treverse_proxy "+strings.TrimPrefix(app.URL, "http://")+"\n}\n")
	c := p.client(t)
	c.get("/login")
	_, header, _ := c.get("/")
	id := header.Get("X-Id")
	for _, tc := range []struct {
		args   string
		status int
		want   string
	}{
		{"show app " + id, 0, "alice@example.org"},
		{"show app " + id + " --data", 0, `"visits": 1`},
		{"show other " + id, 3, "there is no manager"},
		{"show app", 2, "wrong number of arguments"},
		{"nonsense", 2, "no command"},
		{"--help", 0, "sessionproxy sessions <command>"},
		{"stats --json", 0, `"id":"app"`},
		{"doctor --url " + p.url("/"), 0, "32 were sent and counted"},
		{"revoke app " + id, 0, "ended 1 session"},
		{"revoke app " + id, 3, "no such session"},
	} {
		if out, status := p.operate(strings.Fields(tc.args)...); status != tc.status || !strings.Contains(out, tc.want) {
			t.Errorf("sessions %s: [%d] %s\nwant [%d] %s", tc.args, status, out, tc.status, tc.want)
		}
	}
	if _, header, _ := c.get("/"); header.Get("X-State") != "expired" {
		t.Errorf("the revoked session is %s", header.Get("X-State"))
	}
	p.operate("ls", "app", "--principal", "alice@example.org")
	p.operate("revoke", "app", "--principal", "alice@example.org")
	if log := p.output(); !strings.Contains(log, "/sessions/managers/app/sessions") || strings.Contains(log, "alice") {
		t.Errorf("the log tells who it is about, or does not tell of the calls:\n%s", log)
	}
}

// TestTheBinaryTellsWhatItIs: its version and its help are its own, and
// commands that would replace it by Caddy's are refused.
func TestTheBinaryTellsWhatItIs(t *testing.T) {
	t.Parallel()
	p := &proxy{t: t, dir: t.TempDir()}
	if out, err := p.command("version"); err != nil || !strings.HasPrefix(out, "sessionproxy ") || !strings.Contains(out, "caddy v2.") {
		t.Errorf("version: %v %s", err, out)
	}
	if out, err := p.command("help"); err != nil || !strings.Contains(out, "sessions doctor") {
		t.Errorf("help: %v %s", err, out)
	}
	if out, err := p.command("upgrade"); err == nil || !strings.Contains(out, "no sessionproxy in it") {
		t.Errorf("upgrade: %v %s", err, out)
	}
}
