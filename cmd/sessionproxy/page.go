package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

//go:embed templates
var templateFiles embed.FS

// parsePage returns the page of that name in the common frame.
func parsePage(name string) *template.Template {
	return template.Must(template.New("frame.html").Funcs(template.FuncMap{"euro": euro}).
		ParseFS(templateFiles, "templates/frame.html", "templates/"+name))
}

// session is what an app learns of its session: four headers, no library.
type session struct {
	ID, State, Principal string
	JSON                 string // the data, indented for the page
	Headers              string // all that the proxy has added to the request
	data                 []byte
}

// Kept reports whether the proxy keeps the session already.
func (s session) Kept() bool { return s.State == "active" }

func readSession(r *http.Request) session {
	s := session{ID: r.Header.Get("Session-Id"), State: r.Header.Get("Session-State"), data: []byte(r.Header.Get("Session-Data"))}
	var meta struct{ Principal string }
	if json.Unmarshal([]byte(r.Header.Get("Session-Meta")), &meta) == nil {
		s.Principal = meta.Principal
	}
	var headers strings.Builder
	for _, name := range []string{"Session-Id", "Session-State", "Session-Data", "Session-Meta"} {
		fmt.Fprintf(&headers, "%s: %s\n", name, r.Header.Get(name))
	}
	s.Headers = headers.String()
	var indented bytes.Buffer
	if json.Indent(&indented, s.data, "", "  ") == nil {
		s.JSON = plainText(indented.String())
	}
	return s
}

// plainText shows the characters that travel as \uXXXX; they are escaped for
// HTML by the template.
func plainText(text string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil || encoder.Encode(value) != nil {
		return text
	}
	return strings.TrimSpace(b.String())
}

// setJSON sets a header whose value is JSON; encoding/json escapes what a
// header cannot hold, but for characters beyond ASCII, which may pass as UTF-8.
func setJSON(w http.ResponseWriter, header string, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err) // only maps, strings and numbers are passed
	}
	w.Header().Set(header, string(b))
}

func render(w http.ResponseWriter, page *template.Template, data any) {
	renderStatus(w, http.StatusOK, page, data)
}

func renderStatus(w http.ResponseWriter, status int, page *template.Template, data any) {
	var body bytes.Buffer
	if err := page.Execute(&body, data); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
}

// notFound answers for every other path of an app.
func notFound(mux *http.ServeMux) {
	page := parsePage("notfound.html")
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		renderStatus(w, http.StatusNotFound, page, map[string]any{"Title": "Nothing here", "Path": r.URL.Path})
	})
}

// sign handles the two buttons that both apps have. Changes come by POST, and
// the ticket is SameSite=Lax: another site's form brings no session with it.
func sign(mux *http.ServeMux) {
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if name := clip(r.FormValue("name"), 40); name != "" {
			setJSON(w, "Session-Principal", name)
		}
		back(w)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Session-Action", "destroy")
		back(w)
	})
}

// back leads to the app's own page. The app does not know under which path it
// is mounted, so the browser is told relatively; http.Redirect would make the
// location absolute.
func back(w http.ResponseWriter) {
	w.Header().Set("Location", "./")
	w.WriteHeader(http.StatusSeeOther)
}

// clip takes white space and control characters out of what a visitor typed,
// and shortens it to n characters.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)), " ")
	if runes := []rune(s); len(runes) > n {
		s = string(runes[:n])
	}
	return s
}

// indexPage explains the demo, and shows its configuration.
func indexPage(config string, admin func() string) http.Handler {
	page := parsePage("index.html")
	mux := http.NewServeMux()
	notFound(mux)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		render(w, page, map[string]any{"Title": "sessionproxy", "Config": config, "Admin": admin()})
	})
	return mux
}
