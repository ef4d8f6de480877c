package caddymodule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestLogsHoldNoJars looks for values of cookies in all that is logged below
// DEBUG, in good requests and in bad ones, and counts the warnings.
func TestLogsHoldNoJars(t *testing.T) {
	t.Run("bare", func(t *testing.T) { logsHoldNoJars(t, "", "") })
	t.Run("with an error page", func(t *testing.T) {
		logsHoldNoJars(t, `handle_errors {
			respond "{http.error.message}"
		}`, "the app's response has a malformed MIME header line")
	})
}

func logsHoldNoJars(t *testing.T, errorRoutes, page string) {
	s, a := caddytest.NewSite(t), newJarApp(t)
	dir := t.TempDir()
	broken := brokenApp(t, "Set-Cookie: bad=jarsecret\x01; HttpOnly")
	global := "metrics\nlog {\n output file " + filepath.Join(dir, "default.log") + "\n level INFO\n}"
	s.Load(s.Config(s.Store(s.Dir, "async")+"\naudit", global, `
	log {
		output file `+filepath.Join(dir, "access.log")+`
	}
	handle_path /x/* {
		session shop {
			cookies {
				pass ok
			}
		}
		handle /broken {
			reverse_proxy `+broken+`
		}
		handle /away {
			reverse_proxy 127.0.0.1:1
		}
		reverse_proxy `+a.address+`
	}
	`+errorRoutes))
	b := &jarBrowser{s.Visitor(), a}
	for range 2 {
		b.asks("GET", "/x/", pageHeader, "sid=jarsecret1; HttpOnly", "lang=jarsecret2", "__Host-a=jarsecret3; Secure; Path=/", "big="+strings.Repeat("jarsecret", 1000)+"; HttpOnly")
		b.asks("GET", "/x/", append(scriptHeader, "Cookie", "stray=jarsecret4; sid=jarsecret5; other=jarsecret6"))
		_, body := b.Fetch("/x/broken")
		if body != page {
			t.Errorf("the error page says %q", body)
		}
		b.Fetch("/x/away")
	}
	for i := range 2 {
		b.asks("GET", "/x/", pageHeader, "long"+string(rune('a'+i))+"="+strings.Repeat("jarsecret", 800)+"; HttpOnly")
	}
	b.asks("GET", "/x/", pageHeader)
	s.Stop()
	var log strings.Builder
	for _, name := range []string{"access.log", "default.log"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		log.Write(text)
	}
	all := log.String()
	if page == "" && strings.Count(all, "the app's response has a malformed MIME header line") != 2 {
		t.Error("the log does not say what is wrong with the app")
	}
	for line := range strings.Lines(all) {
		if strings.Contains(line, "jarsecret") {
			t.Errorf("a log holds a cookie: %.300s", line)
		}
	}
	for text, times := range map[string]int{
		`"msg":"the browser sends a cookie that the app never set, and it does not reach the app; if the app reads what its scripts write there, add a line to cookies: pass <name>","manager":"shop","cookie":"stray"`: 1,
		`"manager":"shop","cookie":"other"`: 1,
		`"msg":"the app sets a cookie that has to be valid for the whole host, so another copy of the app would overwrite it; add a line to cookies: jar <name>","manager":"shop","cookie":"__Host-a"`:        1,
		`"msg":"the app sets more cookies than its jar holds, so the oldest are gone; raise max_size of cookies. Further ones are counted by caddy_sessions_cookies_total","manager":"shop","max_size":16384`: 1,
		`"msg":"the app's cookies make a very long header, which some servers refuse with the whole request; drop some, or raise the app's limit of header bytes","manager":"shop","size":`:                   1,
	} {
		if n := strings.Count(all, text); n != times {
			t.Errorf("the logs say %d times, not %d: %s", n, times, text)
		}
	}
}
