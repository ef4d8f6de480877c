package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

func badWriter(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Session-Patch", `{"broken":`)
	w.Header().Set("X-App", "secret page")
	w.WriteHeader(http.StatusTeapot)
	_, _ = w.Write([]byte("the app's page"))
}

func TestProblemDocument(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", "session shop\nreverse_proxy "+caddytest.App(t, badWriter)))
	resp, body := s.Visitor().Fetch("/")
	var doc struct{ Type, Title, Session string }
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err, body)
	}
	if resp.StatusCode != http.StatusBadGateway || doc.Type != "urn:sessionproxy:bad-write" || len(doc.Session) != 22 ||
		resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	if resp.Header.Get("X-App") != "" || strings.Contains(body, "page") {
		t.Errorf("the app's response leaks: %v %s", resp.Header, body)
	}
}

func TestErrorRoutesGetTheProblem(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `
	session shop
	reverse_proxy `+caddytest.App(t, badWriter)+`
	handle_errors {
		header X-Leak "{http.request.header.Session-Data}{http.request.header.Session-Id}"
		respond "{http.session.problem} {http.error.status_code} {http.error.message}" {http.error.status_code}
	}`))
	resp := s.Visitor().Expect("/", http.StatusBadGateway, "urn:sessionproxy:bad-write 502 the app's session write is malformed")
	if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-App") != "" {
		t.Errorf("headers of the error page: %v", resp.Header)
	}
	if leak := resp.Header.Values("X-Leak"); len(leak) != 1 || leak[0] != "" {
		t.Errorf("injected headers reach the error page: %q", leak)
	}
}

// Error routes that are not for this error leave the client its problem document.
func TestErrorRoutesForSomethingElse(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `
	session shop
	reverse_proxy `+caddytest.App(t, badWriter)+`
	handle_errors 404 {
		respond "not found"
	}`))
	resp, _ := s.Visitor().Fetch("/")
	if resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

// TestErrorsOfTheAppReachErrorRoutes: the upstream is gone, and what the proxy
// reports passes through unchanged, without what was injected.
func TestErrorsOfTheAppReachErrorRoutes(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `
	session shop
	reverse_proxy `+caddytest.FreeAddress(t)+`
	handle_errors {
		respond "{http.error.status_code}[{http.session.problem}{http.request.header.Session-Data}{http.request.header.Session-Id}{http.request.header.Session-Meta}]"
	}`))
	s.Visitor().Expect("/", http.StatusBadGateway, "502[]")
}

// TestASessionOnAnErrorRoute: the error page is an app of the same session, and
// may write to it.
func TestASessionOnAnErrorRoute(t *testing.T) {
	s := caddytest.NewSite(t)
	shop := caddytest.App(t, caddytest.Counter)
	s.Load(s.Config("", "", `
	handle /broken {
		session shop
		reverse_proxy `+caddytest.FreeAddress(t)+`
	}
	handle {
		session shop
		reverse_proxy `+shop+`
	}
	handle_errors {
		session shop
		reverse_proxy `+shop+`
	}`))
	v := s.Visitor()
	v.Fetch("/")
	v.Fetch("/broken")
	if _, got := v.Fetch("/", "X-Read", "1"); got != `{"visits":2}` {
		t.Errorf("the error page's write is lost, or another session's: %s", got)
	}
}

// TestStoreFailure takes the ticket keys away, which is what a broken storage looks like.
func TestStoreFailure(t *testing.T) {
	s := caddytest.NewSite(t)
	routes := "session shop\nreverse_proxy " + caddytest.App(t, caddytest.Counter)
	s.Load(s.Config("", "", routes))
	s.Stop()
	keys := filepath.Join(s.Storage, filepath.FromSlash(keysFile))
	if err := os.WriteFile(keys, []byte("not a key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := s.Config("", "", routes)
	err := caddytest.Load(config)
	if err == nil || !strings.Contains(err.Error(), "reading line 1 of "+keysFile) || !strings.Contains(err.Error(), "restore the file") {
		t.Errorf("loading with broken keys: %v", err)
	}
	if strings.Contains(err.Error(), "not a key") {
		t.Errorf("the error shows what is in the file: %v", err)
	}
}

// TestTheLogNamesTheRequestOfAProblem: which app was it, and where.
func TestTheLogNamesTheRequestOfAProblem(t *testing.T) {
	s := caddytest.NewSite(t)
	logs := filepath.Join(t.TempDir(), "log")
	s.Load(s.Config("", "log {\n output file "+logs+"\n}", "log\nsession shop\nreverse_proxy "+caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Principal", "alice")
	})))
	s.Visitor().Fetch("/login?token=secret")
	s.Stop()
	text, err := os.ReadFile(logs)
	if err != nil {
		t.Fatal(err)
	}
	uuids := regexp.MustCompile(`"uuid":"([0-9a-f-]{36})"`).FindAllStringSubmatch(string(text), -1)
	if len(uuids) != 2 || uuids[0][1] != uuids[1][1] {
		t.Errorf("the access log and the problem have the ids %q", uuids)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "a request failed because of its session") {
			continue
		}
		for _, want := range []string{`"level":"warn"`, `"method":"GET"`, `"path":"/login"`, `"manager":"shop"`, `expected a JSON string such as`} {
			if !strings.Contains(line, want) {
				t.Errorf("%s is not in %s", want, line)
			}
		}
		if strings.Contains(line, "secret") {
			t.Errorf("the query is in %s", line)
		}
		return
	}
	t.Error("the log has no line for the problem")
}

// keysFile is where the ticket keys are in the storage.
const keysFile = "sessionproxy/ticket_keys"
