package runtime_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
)

// TestAuditGoesWhereTheLogBlockSays routes the records by Caddy's own words,
// over a reload.
func TestAuditGoesWhereTheLogBlockSays(t *testing.T) {
	s := caddytest.NewSite(t)
	_, line := caddytest.NewMemory(t, time.Now)
	dir := t.TempDir()
	global := func(name string) string {
		return "log default {\n output file " + filepath.Join(dir, "default.log") + "\n exclude " + runtime.AuditName + "\n}\n" +
			"log audit {\n output file " + filepath.Join(dir, name) + "\n include " + runtime.AuditName + "\n}"
	}
	routes := "session shop\nhandle /end {\nreverse_proxy " + caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Action", "destroy")
	}) + "\n}\nreverse_proxy " + caddytest.App(t, caddytest.Counter)
	s.Load(s.Config(line+"\naudit", global("one.log"), routes))
	v := s.Visitor()
	v.Fetch("/")
	v.Fetch("/end")
	s.Load(s.Config(line+"\naudit", global("two.log"), routes))
	v.Fetch("/")
	v.Fetch("/end")
	s.Visitor().Fetch("/", "Cookie", "shop_ticket=nonsense")
	s.Stop()
	if n := runtime.AuditLoggers(); n != 0 {
		t.Errorf("%d configurations that have gone are written to", n)
	}
	for name, c := range map[string]struct{ ended, refused int }{
		"one.log": {1, 0}, "two.log": {1, 1}, "default.log": {0, 0},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		count := make(map[string]int)
		for line := range bytes.Lines(text) {
			var record struct{ Event, Logger, Reason, Kind string }
			if err := json.Unmarshal(line, &record); err != nil {
				t.Fatal(err)
			}
			if count[record.Event+" "+record.Reason+record.Kind]++; name != "default.log" && record.Logger != runtime.AuditName {
				t.Errorf("%s holds %s", name, line)
			}
		}
		if count["session_ended destroyed"] != c.ended || count["session_refused malformed"] != c.refused {
			t.Errorf("%s holds %v", name, count)
		}
	}
}
