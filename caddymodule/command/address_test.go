package command

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

func TestCommandFindsNoServer(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
	defer page.Close()
	caddyError := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":"host not allowed"}`)
	}))
	defer caddyError.Close()
	bare := httptest.NewServer(http.NotFoundHandler())
	defer bare.Close()
	for name, c := range map[string]struct {
		address, want string
		status        int
	}{
		"nobody listens":        {caddytest.FreeAddress(t), "is the server running there?", 1},
		"another kind":          {strings.TrimPrefix(page.URL, "http://"), "is that an admin endpoint?", 1},
		"a server that refuses": {strings.TrimPrefix(caddyError.URL, "http://"), "403 Forbidden: host not allowed", 1},
		"a bare Caddy":          {strings.TrimPrefix(bare.URL, "http://"), "is it a sessionproxy of this version?", 1},
		"many ports":            {"localhost:1-2", "is no address", 2},
		"no socket":             {"unix//no/such/socket|0200", "dial unix /no/such/socket:", 1},
	} {
		out, errs, status := runSessions(t, c.address, "", "ls")
		if status != c.status || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%s: [%d] %s%s", name, status, out, errs)
		}
	}
}

// TestCommandOnASocket: an admin endpoint may be one.
func TestCommandOnASocket(t *testing.T) {
	dir := caddytest.ShortDir(t)
	l, err := net.Listen("unix", filepath.Join(dir, "admin"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || r.Host != "127.0.0.1" {
			t.Errorf("Host %s, Origin %s", r.Host, r.Header.Get("Origin"))
		}
		_, _ = io.WriteString(w, `{"managers":[]}`)
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	if _, errs, status := runSessions(t, "unix/"+filepath.Join(dir, "admin")+"|0222", "", "ls"); status != 0 || errs != "no managers\n" {
		t.Errorf("[%d] %s", status, errs)
	}
}

// TestTheAddressOfAConfiguration reads it without a word, but for warnings.
func TestTheAddressOfAConfiguration(t *testing.T) {
	for name, tc := range map[string]struct{ text, adapter, want, errs string }{
		"Caddyfile":      {text: "{\n\tadmin localhost:1234\n}\n", want: "localhost:1234"},
		"Caddyfile.prod": {text: "{\nadmin localhost:1234\n}\n", want: "localhost:1234", errs: "not formatted"},
		"config.json":    {text: `{"admin":{"listen":"localhost:1234"}}`, want: "localhost:1234"},
		"site.conf":      {text: "{\n\tadmin localhost:1234\n}\n", adapter: "caddyfile", want: "localhost:1234"},
		"empty.json":     {text: "{}", want: "localhost:2019"},
		"bad.json":       {text: "{", errs: "--adapter"},
		"bad.conf":       {text: "{}", adapter: "none", errs: "no adapter"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var errs bytes.Buffer
			c := newCLI(nil, nil, &errs)
			c.config, c.adapter = path, tc.adapter
			address, err := c.adminAddress()
			if err != nil {
				errs.WriteString(err.Error())
			}
			if address != tc.want || tc.errs == "" && errs.Len() > 0 || !strings.Contains(errs.String(), tc.errs) {
				t.Errorf("%q, %s", address, errs.String())
			}
		})
	}
}

// TestAddressesOfTheAdminEndpoint takes what people write, and refuses what
// would lead to port 0.
func TestAddressesOfTheAdminEndpoint(t *testing.T) {
	for address, base := range map[string]string{
		"localhost:2019": "http://localhost:2019", "http://127.0.0.1:2019": "http://127.0.0.1:2019", "http://localhost:2019/": "http://localhost:2019",
		"unix//run/caddy.sock": "http://127.0.0.1", "localhost": "", "http://localhost": "", "localhost:2019-2020": "", "": "",
	} {
		c, err := newAdminClient(address)
		if (err == nil) != (base != "") || err == nil && c.base != base {
			t.Errorf("%q: %+v, %v", address, c, err)
		}
	}
}
