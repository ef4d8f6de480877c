package handler

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// headersOf returns what the app of TestCookieSiteAndBearerAPI got.
func headersOf(t *testing.T, body string) http.Header {
	t.Helper()
	var got map[string]http.Header
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(body, err)
	}
	return got["header"]
}

// signIn is an app that signs in at /…/login, out at /…/logout, and otherwise
// answers with what it got.
func signIn(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/login"):
		w.Header().Set("Session-Principal", `"alice"`)
		w.Header().Set("Session-Data", `{"from":"`+r.URL.Path+`"}`)
	case strings.HasSuffix(r.URL.Path, "/logout"):
		w.Header().Set("Session-Action", "destroy")
	default:
		caddytest.Dump(w, r)
	}
}

// TestCookieSiteAndBearerAPI has two managers in one site, one for browsers
// and one for programs: neither's ticket is good for the other, no app sees
// any, and both live through a reload and a restart.
func TestCookieSiteAndBearerAPI(t *testing.T) {
	s := caddytest.NewSite(t)
	upstream := caddytest.App(t, signIn)
	config := s.Config("", "", `
	handle /shop/* {
		session shop
		reverse_proxy `+upstream+`
	}
	handle /api/* {
		session api {
			ticket bearer
		}
		reverse_proxy `+upstream+`
	}
	handle /keys/* {
		session keys {
			ticket header X-Key-Session
		}
		reverse_proxy `+upstream+`
	}
	handle {
		session off
		reverse_proxy `+upstream+`
	}`)
	s.Load(config)
	v := s.Visitor()
	v.Jar = nil // every header is given by hand

	login, _ := v.Fetch("/shop/login")
	cookie := "shop_ticket=" + login.Cookies()[0].Value
	login, _ = v.Fetch("/api/login")
	bearer := "Bearer " + login.Header.Get("Session-Ticket")
	if login.Header.Get("Cache-Control") != "no-store" || login.Header.Get("Set-Cookie") != "" || len(bearer) < 60 {
		t.Fatalf("signing in by bearer: %v", login.Header)
	}
	login, _ = v.Fetch("/keys/login")
	key := login.Header.Get("X-Key-Session")
	if login.Header.Get("Cache-Control") != "no-store" || login.Header.Get("Session-Ticket") != "" || len(key) < 60 {
		t.Fatalf("signing in by header: %v", login.Header)
	}

	all := []string{"Cookie", cookie + "; own=1", "Authorization", bearer, "X-Key-Session", key, "Connection", "X-Key-Session"}
	look := func(path, want string) {
		t.Helper()
		resp, body := v.Fetch(path, all...)
		h := headersOf(t, body)
		if h.Get("Session-Data") != want || path != "/free" && h.Get("Session-State") != "active" {
			t.Errorf("%s: the app got %v", path, h)
		}
		if h.Get("Cookie") != "own=1" || h.Get("Authorization") != "" || h.Get("X-Key-Session") != "" || strings.Contains(h.Get("Connection"), "Key") {
			t.Errorf("%s: the app got a ticket: %v", path, h)
		}
		if resp.Header.Get("Session-Ticket")+resp.Header.Get("X-Key-Session")+resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: a ticket for nothing: %v", path, resp.Header)
		}
	}
	each := func() {
		t.Helper()
		look("/shop/", `{"from":"/shop/login"}`)
		look("/api/", `{"from":"/api/login"}`)
		look("/keys/", `{"from":"/keys/login"}`)
		look("/free", "")
	}
	each()
	s.Load(config)
	each()
	s.Stop()
	s.Load(config)
	each()

	text := strings.TrimPrefix(bearer, "Bearer ")
	for _, c := range [][]string{
		{"/shop/", "Cookie", "shop_ticket=" + text},
		{"/shop/", "Cookie", "shop_ticket=" + key},
		{"/shop/", "Authorization", bearer},
		{"/api/", "Authorization", "Bearer " + key},
		{"/api/", "Authorization", "Bearer " + strings.TrimPrefix(cookie, "shop_ticket=")},
		{"/api/", "Cookie", "api_ticket=" + text},
		{"/keys/", "X-Key-Session", text},
	} {
		_, body := v.Fetch(c[0], c[1:]...)
		if h := headersOf(t, body); h.Get("Session-State") != "new" || h.Get("Session-Data") != "{}" {
			t.Errorf("%q opens a session: %v", c, h)
		}
	}
	if _, body := v.Fetch("/api/", "Authorization", "Basic YTpi"); headersOf(t, body).Get("Authorization") != "Basic YTpi" {
		t.Errorf("foreign credentials are lost: %s", body)
	}

	if out, _ := v.Fetch("/api/logout", all...); !slices.Equal(out.Header["Session-Ticket"], []string{""}) || out.Header.Get("Set-Cookie") != "" {
		t.Errorf("signing out: %v", out.Header)
	}
	look("/shop/", `{"from":"/shop/login"}`)
	if _, body := v.Fetch("/api/", all...); headersOf(t, body).Get("Session-State") != "expired" {
		t.Errorf("signed out: %s", body)
	}
}

func TestTwoHandlersOnOneRequestAreRefused(t *testing.T) {
	s := caddytest.NewSite(t)
	logs := filepath.Join(t.TempDir(), "log")
	s.Load(s.Config("", "metrics\nlog {\n output file "+logs+"\n}", `
	@get method GET
	@all path /*
	handle /metrics {
		metrics
	}
	route {
		session @get shop
		session @all api {
			ticket bearer
		}
		reverse_proxy `+caddytest.App(t, caddytest.Echo)+`
	}
	handle_errors {
		respond "{http.error.message}" {http.error.status_code}
	}`))
	const want = "two session handlers on one request, of the managers 'shop' and 'api'; a request has one session: remove one of them, or match them to different requests"
	s.Visitor().Expect("/", http.StatusInternalServerError, want)
	if _, text := s.Visitor().Fetch("/metrics"); !strings.Contains(text, `caddy_sessions_problems_total{manager="api",type="second-session"} 1`) {
		t.Error("it is not counted")
	}
	s.Stop()
	text, err := os.ReadFile(logs)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{want, `"method":"GET","path":"/"`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the log does not say %s", part)
		}
	}
	if at := regexp.MustCompile(`"first":"(apps/http/servers/[^"]*)","second":"(apps/http/servers/[^"]*)"`).FindStringSubmatch(string(text)); at == nil || at[1] == at[2] {
		t.Errorf("the log does not say where both stand: %s", at)
	}
}

// TestTheTicketReachesTheErrorRoute: the session of an error route is that of
// the request, whatever carries its ticket.
func TestTheTicketReachesTheErrorRoute(t *testing.T) {
	for name, c := range map[string]struct{ ticket, request, prefix, response string }{
		"header": {"ticket header X-Session", "X-Session", "", "X-Session"},
		"bearer": {"ticket bearer", "Authorization", "Bearer ", "Session-Ticket"},
	} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			session := "session shop {\n" + c.ticket + "\n}\n"
			s.Load(s.Config("", "", `
			handle /broken {
				`+session+`
				reverse_proxy `+caddytest.FreeAddress(t)+`
			}
			handle {
				`+session+`
				reverse_proxy `+caddytest.App(t, caddytest.Counter)+`
			}
			handle_errors {
				`+session+`
				reverse_proxy `+caddytest.App(t, caddytest.Echo)+`
			}`))
			v := s.Visitor()
			resp, _ := v.Fetch("/")
			if _, body := v.Fetch("/broken", c.request, c.prefix+resp.Header.Get(c.response)); body != `{"visits":1}` {
				t.Errorf("the error route got %q", body)
			}
		})
	}
}

// TestLogsOfHeaderCarriers: Caddy's access log and error log write headers
// down; the module says which fields hold tickets, and with those deleted none
// is left.
func TestLogsOfHeaderCarriers(t *testing.T) {
	fields := []string{"request>headers>X-Session", "resp_headers>X-Session", "resp_headers>Session-Ticket"}
	for name, filtered := range map[string]bool{"with the filter": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			s := caddytest.NewSite(t)
			dir := t.TempDir()
			filter := ""
			if filtered {
				filter = "format filter {\n" + strings.Join(fields, " delete\n") + " delete\n}"
			}
			s.Load(s.Config("", "log {\n output file "+filepath.Join(dir, "default.log")+"\n level DEBUG\n"+filter+"\n}", `
			log {
				output file `+filepath.Join(dir, "access.log")+`
				`+filter+`
			}
			session shop {
				ticket header X-Session
				ticket bearer
			}
			handle /broken {
				reverse_proxy `+caddytest.FreeAddress(t)+`
			}
			reverse_proxy `+caddytest.App(t, signIn)))
			v := s.Visitor()
			resp, _ := v.Fetch("/login", "X-Session", "")
			tickets := []string{resp.Header.Get("X-Session")}
			resp, _ = v.Fetch("/login", "X-Session", tickets[0])
			tickets = append(tickets, resp.Header.Get("X-Session"))
			resp, _ = v.Fetch("/login", "Authorization", "Bearer")
			tickets = append(tickets, resp.Header.Get("Session-Ticket"))
			v.Fetch("/", "Authorization", "Bearer "+tickets[2])
			v.Fetch("/broken", "X-Session", tickets[1])
			s.Stop()
			access, err := os.ReadFile(filepath.Join(dir, "access.log"))
			if err != nil {
				t.Fatal(err)
			}
			rest, err := os.ReadFile(filepath.Join(dir, "default.log"))
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range tickets {
				if len(text) < 60 || strings.Contains(string(access), text) == filtered {
					t.Errorf("the access log holds the ticket %q: %v", text, !filtered)
				}
				if shown := strings.Contains(string(rest), text); shown != (!filtered && i == 1) {
					t.Errorf("another log holds the ticket %q: %v", text, shown)
				}
			}
			for _, field := range fields {
				if !strings.Contains(string(rest), field) {
					t.Errorf("the warning does not name %s", field)
				}
			}
		})
	}
}
