package handler

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

func TestClientsCannotSpeakForTheProxy(t *testing.T) {
	const chunked = "Transfer-Encoding: chunked\r\n"
	for name, c := range map[string]struct{ headers, body string }{
		"headers":                      {"Session-Data: {\"admin\":1}\r\nsession-id: me\r\nSESSION-STATE: active\r\nSession-Principal: root\r\nSession-Anything: x\r\n", ""},
		"headers with other signs":     {"Session_Data: {}\r\nSession.Data: {}\r\nsession_id: me\r\n", ""},
		"token of connection":          {"Connection: keep-alive, Session-Data, Session-Id,session-state\r\nConnection: session-meta\r\n", ""},
		"declared trailer":             {chunked + "Trailer: Session-Data\r\n", "0\r\nSession-Data: {\"admin\":1}\r\n\r\n"},
		"undeclared trailer":           {chunked, "0\r\nSession-Data: {\"admin\":1}\r\n\r\n"},
		"undeclared beside a declared": {chunked + "Trailer: X-Sum\r\n", "0\r\nX-Sum: 1\r\nSession-Data: {\"admin\":1}\r\nSession-Principal: x\r\n\r\n"},
	} {
		for _, mode := range []string{"session shop", "session off"} {
			t.Run(name+", "+mode, func(t *testing.T) {
				s := caddytest.NewSite(t)
				s.Load(s.Config("", "", mode+"\nreverse_proxy "+caddytest.App(t, caddytest.Dump)))
				resp, body := s.Raw("POST / HTTP/1.1\r\nHost: x\r\n" + lengthOf(c.body) + c.headers + "\r\n" + c.body)
				var got map[string]http.Header
				if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != http.StatusOK {
					t.Fatal(resp.StatusCode, body, err)
				}
				var names []string
				for name := range got["header"] {
					if strings.HasPrefix(strings.ToLower(name), "session") {
						names = append(names, name)
					}
				}
				slices.Sort(names)
				want := []string{"Session-Data", "Session-Id", "Session-Meta", "Session-State"}
				if mode == "session off" {
					want = nil
				}
				if !slices.Equal(names, want) {
					t.Errorf("the app got %q", names)
				}
				if mode != "session off" && (got["header"].Get("Session-Data") != "{}" || got["header"].Get("Session-State") != "new") {
					t.Errorf("the app got %v", got["header"])
				}
				if len(got["trailer"]) != 0 {
					t.Errorf("the app got trailers %v", got["trailer"])
				}
			})
		}
	}
}

func lengthOf(body string) string {
	if body == "" {
		return "Content-Length: 0\r\n"
	}
	return ""
}

func TestTicketsStayWithTheProxy(t *testing.T) {
	s := caddytest.NewSite(t)
	cookies := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		for _, manager := range []string{"shop", "cart"} { // each app names its own ticket only
			if strings.HasPrefix(r.URL.Path, "/"+manager) {
				w.Header().Add("Set-Cookie", manager+"_ticket=stolen")
				w.Header().Add("Set-Cookie", "__Host-"+manager+"_ticket=planted; Secure")
			}
		}
		w.Header().Add("Set-Cookie", "own=1")
		w.Header().Set("Session-Id", "echo")
		w.Header().Set("Session-Meta", "echo")
		caddytest.Counter(w, r)
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	})
	s.Load(s.Config("", "", `
	handle /shop {
		session shop
		reverse_proxy `+cookies+`
	}
	handle /cart {
		session cart
		reverse_proxy `+cookies+`
	}
	handle /off {
		session off
		reverse_proxy `+cookies+`
	}`))
	v := s.Visitor()
	v.Fetch("/shop")
	v.Fetch("/cart")
	for _, path := range []string{"/shop", "/cart", "/off"} {
		resp, body := v.Fetch(path, "Cookie", "mine=1")
		if strings.Contains(body, "_ticket") || !strings.Contains(body, "mine=1") || !strings.Contains(body, "own=1") {
			t.Errorf("%s: the app got the cookies %q", path, body)
		}
		if path == "/off" {
			continue // it removes from requests only
		}
		for name := range resp.Header {
			if strings.HasPrefix(name, "Session-") {
				t.Errorf("%s: the client got %s", path, name)
			}
		}
		if lines := resp.Header.Values("Set-Cookie"); len(lines) != 1 || lines[0] != "own=1" {
			t.Errorf("%s: the client got the cookies %q", path, lines)
		}
	}
}

func TestWritesInTrailersAreDropped(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", "session shop\nhandle /write {\nreverse_proxy "+caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Session-Patch, X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("Session-Patch", `{"a":1}`)
		w.Header().Set("X-Sum", "7")
		w.Header().Set(http.TrailerPrefix+"Session-Data", `{"b":1}`)
	})+"\n}\nreverse_proxy "+caddytest.App(t, caddytest.Echo)))
	v := s.Visitor()
	resp, _ := v.Fetch("/write")
	if got := slices.Collect(maps.Keys(resp.Trailer)); !slices.Equal(got, []string{"X-Sum"}) || resp.Trailer.Get("X-Sum") != "7" {
		t.Errorf("trailers of the client: %v", resp.Trailer)
	}
	v.Expect("/", http.StatusOK, "{}")
}

func TestInformationalResponsesCarryNoWrites(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", "session shop\nhandle /hints {\nreverse_proxy "+caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Link", "</style.css>; rel=preload")
		h.Set("Session-Patch", `{"early":1}`)
		h.Set("Set-Cookie", "shop_ticket=planted")
		w.WriteHeader(http.StatusEarlyHints)
		h.Del("Session-Patch")
		h.Del("Set-Cookie")
		h.Set("Session-Add", `{"late":1}`)
	})+"\n}\nreverse_proxy "+caddytest.App(t, caddytest.Echo)))
	v := s.Visitor()
	hints := 0
	trace := &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
		hints++
		if status != http.StatusEarlyHints || h.Get("Link") == "" || h.Get("Session-Patch") != "" || h.Get("Set-Cookie") != "" {
			t.Errorf("informational response %d %v", status, h)
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, v.Base+"/hints", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := v.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if hints != 1 {
		t.Errorf("%d informational responses", hints)
	}
	v.Expect("/", http.StatusOK, `{"late":1}`)
}

// TestEveryWayToRespond commits before the first byte, whatever writes it.
func TestEveryWayToRespond(t *testing.T) {
	s := caddytest.NewSite(t)
	streaming := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		caddytest.Counter(w, r)
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		_, _ = fmt.Fprint(w, "data: 1\n\n")
	})
	s.Load(s.Config("", "", `
	session shop {
		create always
	}
	handle /file {
		root ../testdata
		rewrite /app.caddyfiletest
		file_server
	}
	handle /stream {
		reverse_proxy `+streaming+`
	}
	handle /respond {
		respond ok
	}
	handle /encoded {
		encode gzip
		respond ok
	}`))
	for _, path := range []string{"/file", "/stream", "/respond", "/encoded", "/nobody"} {
		resp, _ := s.Visitor().Fetch(path)
		if cookies := resp.Cookies(); resp.StatusCode != http.StatusOK || len(cookies) != 1 || cookies[0].Name != "shop_ticket" {
			t.Errorf("%s: %d, cookies %v", path, resp.StatusCode, cookies)
		}
	}
}

// TestBrokenAppsReleaseTheLock has an app that breaks off, before and after
// its headers. The next request gets the lock at once.
func TestBrokenAppsReleaseTheLock(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `
	session shop {
		locking serialized {
			wait 0
		}
	}
	handle /early {
		reverse_proxy `+caddytest.App(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })+`
	}
	handle /late {
		reverse_proxy `+caddytest.App(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Add", `{"late":1}`)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})+`
	}
	handle /count {
		reverse_proxy `+caddytest.App(t, caddytest.Counter)+`
	}
	reverse_proxy `+caddytest.App(t, caddytest.Echo)))
	v := s.Visitor()
	v.Expect("/count", http.StatusOK, "")
	for range 2 {
		if resp, _ := v.Fetch("/early"); resp.StatusCode != http.StatusBadGateway {
			t.Errorf("an app that sends nothing: %d", resp.StatusCode)
		}
		resp, err := v.Get(v.Base + "/late")
		if err == nil {
			if _, err = io.ReadAll(resp.Body); err == nil {
				t.Error("half a body was taken for a whole one")
			}
			resp.Body.Close()
		}
	}
	v.Expect("/", http.StatusOK, `{"visits":1,"late":2}`)
}

// TestAppThatSetsTheTicketsCookie is told once per name, and its other cookies pass.
func TestAppThatSetsTheTicketsCookie(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	h := &Handler{Manager: "shop", logger: zap.New(core), warned: new(givenWarnings)}
	for range 3 {
		h.warnOfCookie("shop_ticket")
		h.warnOfCookie("__Host-shop_ticket")
	}
	if n := logs.FilterField(zap.String("cookie", "shop_ticket")).Len(); n != 1 || logs.Len() != 2 {
		t.Fatalf("%d warnings: %v", logs.Len(), logs.All())
	}
}
