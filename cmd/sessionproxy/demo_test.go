package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

func ask(app http.Handler, method, path, data string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Session-Id", "AAAAAAAAAAAAAAAAAAAAAA")
	r.Header.Set("Session-State", "active")
	r.Header.Set("Session-Data", data)
	r.Header.Set("Session-Meta", `{"principal":"\u003cAlice\u003e"}`)
	w := httptest.NewRecorder()
	app.ServeHTTP(w, r)
	return w
}

func TestWhatTheAppsWrite(t *testing.T) {
	guestbook, cart := newGuestbook(), newCart()
	for _, tc := range []struct {
		name         string
		app          http.Handler
		path, data   string
		form         url.Values
		header, want string
	}{
		{"an entry", guestbook, "/entries", `{}`, url.Values{"text": {" hello\nthere "}}, "Session-Patch", `{"entries":[{"text":"hello there","at":`},
		{"an entry is counted", guestbook, "/entries", `{}`, url.Values{"text": {"x"}}, "Session-Add", `{"written":1}`},
		{"nothing", guestbook, "/entries", `{}`, url.Values{"text": {" \t"}}, "Session-Patch", ""},
		{"a login", guestbook, "/login", `{}`, url.Values{"name": {`Zoë "Z"`}}, "Session-Principal", `"Zoë \"Z\""`},
		{"a logout", cart, "/logout", `{}`, nil, "Session-Action", "destroy"},
		{"a product", cart, "/add", `{}`, url.Values{"id": {"tea"}}, "Session-Add", `{"cart":{"tea":1}}`},
		{"a product too many", cart, "/add", `{"cart":{"tea":99}}`, url.Values{"id": {"tea"}}, "Session-Add", ""},
		{"no product", cart, "/add", `{}`, url.Values{"id": {"$x"}}, "Session-Add", ""},
		{"removing", cart, "/remove", `{}`, url.Values{"id": {"tea"}}, "Session-Patch", `{"cart":{"tea":null}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := ask(tc.app, "POST", tc.path, tc.data, tc.form)
			got := w.Header().Get(tc.header)
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "./" || !strings.HasPrefix(got, tc.want) || (tc.want == "") != (got == "") {
				t.Fatalf("got %d %s", w.Code, got)
			}
		})
	}
}

func TestPagesEscapeAndStayUpright(t *testing.T) {
	evil := `<script>alert(1)</script>`
	for name, app := range map[string]http.Handler{"guest book": newGuestbook(), "cart": newCart()} {
		for _, data := range []string{`{}`, `{"entries":[{"text":"<script>alert(1)</script>","at":0}],"cart":{"tea":2}}`, `{"entries":5,"cart":"x"}`, `no JSON`} {
			w := ask(app, "GET", "/", data, nil)
			body := w.Body.String()
			if w.Code != http.StatusOK || strings.Contains(body, evil) || strings.Contains(body, "<Alice>") || !strings.Contains(body, "&lt;Alice&gt;") {
				t.Fatalf("%s with %s: %d\n%s", name, data, w.Code, body)
			}
			for header := range w.Header() {
				if strings.HasPrefix(header, "Session-") {
					t.Fatalf("%s: looking wrote %s", name, header)
				}
			}
		}
	}
}

func TestChangesComeByPost(t *testing.T) {
	for _, path := range []string{"/login", "/logout", "/add", "/remove"} {
		if w := ask(newCart(), "GET", path, `{}`, nil); w.Code < 400 {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
}

func TestCaddyfileAdapts(t *testing.T) {
	site := demoSite{Listen: "127.0.0.1:8080", Dir: `/tmp/with "quotes" and blanks`, Index: "127.0.0.1:1", Guestbook: "127.0.0.1:2", Cart: "127.0.0.1:3", Admin: "127.0.0.1:4"}
	for _, text := range []string{site.caddyfile(), site.pasteable()} {
		config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v %v", warnings, err)
		}
		if !strings.Contains(string(config), `"guestbook"`) {
			t.Fatalf("%s", config)
		}
	}
	for _, own := range []string{"quotes", ":1\n", ":4\n"} {
		if strings.Contains(site.pasteable(), own) {
			t.Errorf("%q is of this demo alone: %s", own, site.pasteable())
		}
	}
}

// TestPagesForPeople: the first page tells the operator's address, a page that
// is not there leads back, and what browsers ask for by themselves is no error.
func TestPagesForPeople(t *testing.T) {
	index := indexPage("the config", func() string { return "127.0.0.1:4" })
	if w := ask(index, "GET", "/", "{}", nil); !strings.Contains(w.Body.String(), "--address 127.0.0.1:4") || !strings.Contains(w.Body.String(), "the config") {
		t.Errorf("%s", w.Body)
	}
	if w := ask(index, "GET", "/favicon.ico", "{}", nil); w.Code != http.StatusNoContent {
		t.Errorf("the icon: %d", w.Code)
	}
	for _, app := range []http.Handler{index, newCart(), newGuestbook()} {
		if w := ask(app, "GET", "/<nope>", "{}", nil); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "/&lt;nope&gt;") || !strings.Contains(w.Body.String(), `href="/"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	w := ask(newCart(), "GET", "/", `{"cart":{}}`, nil)
	if body := w.Body.String(); !strings.Contains(body, "Session-State: active") || strings.Contains(body, "not yet kept") {
		t.Errorf("%s", body)
	}
}
