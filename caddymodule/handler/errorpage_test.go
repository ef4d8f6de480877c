package handler

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestErrorPagesAppsAreCleaned has an app behind handle_errors, with a session
// of its own and without, answer with what is not for clients.
func TestErrorPagesAppsAreCleaned(t *testing.T) {
	page := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Session-Id", "x")
		w.Header().Set("Session-Pach", "{}")
		w.Header().Add("Set-Cookie", "shop_ticket=planted; Path=/")
		w.Header().Add("Set-Cookie", "theme=dark")
		w.Header().Set("X-Page", "yes")
		if r.URL.Path == "/long" {
			_, _ = w.Write(make([]byte, 1<<20))
		}
	})
	broken := caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Session-Patch", "{") })
	for name, own := range map[string]string{"without a session": "", "in a named route": "", "with one": "session shop", "with a new one": "session shop {\ncreate always\n}"} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			first := own
			if first == "" {
				first = "session shop"
			}
			routes := first + "\nhandle /missing {\nerror 404\n}\nreverse_proxy " + broken
			if name == "in a named route" {
				s.Named, routes = "&(named) {\nroute {\n"+routes+"\n}\n}", "invoke named"
			}
			s.Load(s.Config("", "", routes+"\nhandle_errors {\n"+own+"\nreverse_proxy "+page+"\n}"))
			for _, path := range []string{"/", "/missing", "/long"} {
				resp, _ := s.Visitor().Fetch(path)
				if resp.Header.Get("X-Page") != "yes" {
					t.Fatalf("%s: the error page was not shown: %d %v", path, resp.StatusCode, resp.Header)
				}
				if resp.Header.Get("Session-Id") != "" || resp.Header.Get("Session-Pach") != "" {
					t.Errorf("%s: %v came through", path, resp.Header)
				}
				tickets, themes := 0, 0
				for _, c := range resp.Cookies() {
					if c.Value == "planted" {
						t.Errorf("%s: a planted ticket came through", path)
					}
					if c.Name == "shop_ticket" {
						tickets++
					}
					if c.Name == "theme" {
						themes++
					}
				}
				if themes != 1 || (tickets > 0) != (name == "with a new one") {
					t.Errorf("%s: cookies %v", path, resp.Header["Set-Cookie"])
				}
			}
		})
	}
}

// TestErrorPagesKeepTheTicketOfAnEarlyCommit: the session's own ticket is in
// the headers before the error page is asked for.
func TestErrorPagesKeepTheTicketOfAnEarlyCommit(t *testing.T) {
	s := caddytest.NewSite(t)
	broken := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		post := func(path, body string) {
			req, _ := http.NewRequest(http.MethodPatch, r.Header.Get("Session-Endpoint")+path, strings.NewReader(body))
			if path == "/commit" {
				req.Method = http.MethodPost
			}
			req.Header.Set("Content-Type", "application/json")
			req.Close = true
			resp, err := http.DefaultClient.Do(req)
			if err != nil || resp.StatusCode >= 300 {
				t.Errorf("%s: %v %v", path, resp, err)
				return
			}
			_ = resp.Body.Close()
		}
		post("/data", `{"kept":1}`)
		post("/commit", "")
		w.Header().Set("Session-Patch", "{")
	})
	page := caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Set-Cookie", "shop_ticket=planted") })
	s.Load(s.Config(s.Store(s.Dir, "async")+"\nendpoint "+caddytest.FreeAddress(t), "", "session shop\nhandle /see {\nreverse_proxy "+caddytest.App(t, caddytest.Echo)+"\n}\nreverse_proxy "+broken+"\nhandle_errors {\nreverse_proxy "+page+"\n}"))
	v := s.Visitor()
	v.Fetch("/")
	v.Expect("/see", http.StatusOK, `{"kept":1}`)
}

// TestErrorRoutesThatInvokeAPage have the problem document stand in where the
// named route has no page for the error.
func TestErrorRoutesThatInvokeAPage(t *testing.T) {
	for status, want := range map[int]string{http.StatusBadGateway: "a page", http.StatusNotFound: ""} {
		s := caddytest.NewSite(t)
		s.Named = "&(pages) {\n@this expression {http.error.status_code} == " + strconv.Itoa(status) + "\nrespond @this \"a page\"\n}"
		s.Load(s.Config("", "", "session shop\nreverse_proxy "+caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Session-Patch", "{")
		})+"\nhandle_errors {\ninvoke pages\n}"))
		resp, body := s.Visitor().Fetch("/")
		if document := resp.Header.Get("Content-Type") == "application/problem+json"; resp.StatusCode != http.StatusBadGateway || document != (want == "") || !document && body != want {
			t.Errorf("a page for %d: %d %v %q", status, resp.StatusCode, resp.Header, body)
		}
	}
}
