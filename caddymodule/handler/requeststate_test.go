package handler

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestAttemptsTakeOneWay has each request meet a conflict, below directives
// that keep state for the length of a request. The second attempt reaches the
// same app by the same way as the first.
func TestAttemptsTakeOneWay(t *testing.T) {
	for name, routes := range map[string]string{
		"handle blocks":         "handle /a/* {\n%s\n}\nhandle /b/* {\nrespond b\n}\nhandle {\nrespond fallback 404\n}",
		"handle_path":           "handle_path /a/* {\n%s\n}\nhandle {\nrespond fallback 404\n}",
		"rewrites of one group": "rewrite /a/* /first{uri}\nrewrite /b/* /second{uri}\n%s",
		"uri and try":           "handle {\nuri strip_prefix /a\nuri replace x y\n%s\n}\nhandle {\nrespond fallback 404\n}",
		"variables and maps":    "route {\nmap {http.vars.seen} {mapped} {\nyes again\ndefault first\n}\nvars seen yes\nrequest_header X-Way \"{mapped} {http.vars.seen}\"\n%s\n}",
		"nested handles":        "route {\nhandle /a/* {\nhandle /a/x* {\n%s\n}\nhandle {\nrespond inner 404\n}\n}\n}",
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			first, second := s.Visitor(), s.Visitor()
			second.Jar = first.Jar
			var ways []string
			address := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				ways = append(ways, fmt.Sprintf("%s %s %s %q", r.Method, r.URL, r.Header.Get("X-Way"), body))
				if len(ways) == 1 {
					second.Fetch("/meddle")
				}
				w.Header().Set("Session-Patch", `{"n":2}`)
				_, _ = io.WriteString(w, "app")
			})
			s.Load(s.Config("", "", `session shop {
				locking optimistic {
					on_conflict restart
					replayable path /*
				}
			}
			handle /meddle {
				reverse_proxy `+caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Session-Add", `{"n":1}`)
			})+`
			}
			`+fmt.Sprintf(routes, "reverse_proxy "+address)))
			first.Fetch("/meddle")
			resp, err := first.Post(first.Base+"/a/x?q=1", "text/plain", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			body := string(answer)
			if resp.StatusCode != http.StatusOK || body != "app" {
				t.Fatalf("%d %q after %q", resp.StatusCode, body, ways)
			}
			if len(ways) != 2 || ways[0] != ways[1] {
				t.Fatalf("the attempts went %q", ways)
			}
		})
	}
}

// TestBodyThatCannotBeRead is the client's fault: it is answered, and the app
// is not asked.
func TestBodyThatCannotBeRead(t *testing.T) {
	s := caddytest.NewSite(t)
	upstream := caddytest.App(t, func(http.ResponseWriter, *http.Request) { t.Error("the app was asked") })
	s.Load(s.Config("", "", `request_body {
		max_size 8
	}
	session shop {
		locking optimistic {
			on_conflict restart
			replayable path /*
		}
	}
	reverse_proxy `+upstream))
	for name, tc := range map[string]struct {
		request string
		status  int
	}{
		"a chunk without a length": {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", http.StatusBadRequest},
		"more than is allowed":     {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123456789", http.StatusRequestEntityTooLarge},
	} {
		if resp, _ := s.Raw(tc.request); resp.StatusCode != tc.status {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, tc.status)
		}
	}
}

// TestPlaceholdersOfAnAttempt shows that what an attempt sets is its own, and
// that what the last one set is seen afterwards.
func TestPlaceholdersOfAnAttempt(t *testing.T) {
	below := caddy.NewReplacer()
	below.Set("came", "1")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	*r = *r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, below))
	repl := func() *caddy.Replacer { return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer) }
	attempt, end := newRequestState(r)
	attempt(r)
	repl().Set("made", "by the first")
	if got := repl().ReplaceAll("{came} {made}", "-"); got != "1 by the first" {
		t.Fatal(got)
	}
	attempt(r)
	if got := repl().ReplaceAll("{came} {made}", "-"); got != "1 -" {
		t.Fatalf("the second attempt sees %q", got)
	}
	repl().Set("made", "by the second")
	end(r)
	if got := repl().ReplaceAll("{came} {made} {unknown}", "-"); got != "1 by the second -" || repl() != below {
		t.Fatalf("afterwards: %q", got)
	}
	if got := below.WithoutFile().ReplaceAll("{file./etc/hostname}", "-"); got != "-" {
		t.Fatalf("a file is read where none may be: %q", got)
	}
}
