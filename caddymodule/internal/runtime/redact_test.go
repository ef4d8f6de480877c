package runtime_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
)

// TestCaddysWarningsHoldNoSession breaks an upstream in the middle of a body,
// with Caddy's own log format and no filter.
func TestCaddysWarningsHoldNoSession(t *testing.T) {
	for name, routes := range map[string]string{
		"a site":        "session shop\nreverse_proxy ",
		"a named route": "session shop\ninvoke up\n}\n&(up) {\nreverse_proxy ",
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			file := filepath.Join(t.TempDir(), "log")
			upstream := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Session-Patch", `{"pin":"datasecret1"}`)
				if r.URL.Path == "/broken" {
					w.Header().Set("Content-Length", "100")
					_, _ = w.Write([]byte("half"))
					_ = http.NewResponseController(w).Flush()
					panic(http.ErrAbortHandler)
				}
			})
			s.Load(s.Config("", "log {\n output file "+file+"\n}", routes+upstream))
			v := s.Visitor()
			v.Fetch("/")
			r, err := http.NewRequest(http.MethodGet, v.Base+"/broken", nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := v.Do(r); err == nil {
				_ = resp.Body.Close()
			}
			s.Stop()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), "aborting with incomplete response") {
				t.Fatal("Caddy does not log the broken upstream")
			}
			for _, secret := range []string{"datasecret1", "Session-Endpoint", "Session-Meta", "keeps its logs out of reach"} {
				if strings.Contains(string(text), secret) {
					t.Errorf("the log holds %s", secret)
				}
			}
		})
	}
}

type env map[string]string

func (e env) MarshalLogObject(to zapcore.ObjectEncoder) error {
	for name, value := range e {
		to.AddString(name, value)
	}
	return nil
}

func TestRedactor(t *testing.T) {
	core, lines := observer.New(zapcore.InfoLevel)
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Session-Data", "secret")
	r.Header.Set("X-App", "shown")
	logger := zap.New(runtime.Redactor(core))
	logger.With(
		zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: r}),
		zap.Object("env", env{"HTTP_SESSION_DATA": "secret", "HTTP_X_APP": "shown"}),
	).Warn("one")
	logger.Debug("none")
	if r.Header.Get("Session-Data") != "secret" {
		t.Fatal("the request itself was changed")
	}
	if lines.Len() != 1 {
		t.Fatalf("%d lines", lines.Len())
	}
	bound := lines.All()[0].ContextMap()
	headers, _ := bound["request"].(map[string]any)["headers"].(map[string]any)
	vars, _ := bound["env"].(map[string]any)
	if headers["Session-Data"] != nil || headers["X-App"] == nil || vars["HTTP_SESSION_DATA"] != nil || vars["HTTP_X_APP"] == nil {
		t.Fatalf("got %v", bound)
	}
}
