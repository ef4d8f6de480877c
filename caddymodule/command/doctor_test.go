package command

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestDoctorFollowsRoutes is about Caddyfiles, and what each lets through. The
// apps are at :1 to :3, and :9 is one that never has a session.
func TestDoctorFollowsRoutes(t *testing.T) {
	for _, c := range []struct {
		name, site string
		want       []string // states, and what the detail holds
	}{
		{"a whole site", "session\nreverse_proxy 127.0.0.1:1", []string{"ok every route to an app (1)"}},
		{"no session anywhere", "reverse_proxy 127.0.0.1:1", []string{"fail no route of the running configuration has a session"}},
		{"off alone", "session off\nreverse_proxy 127.0.0.1:1", []string{"fail no route of the running configuration has a session"}},
		{"one path", "session /app/*\nreverse_proxy 127.0.0.1:1", []string{"fail some requests reach 127.0.0.1:1"}},
		{"one path, and the same for the app", "session /app/*\nreverse_proxy /app/* 127.0.0.1:1\nrespond no", []string{"ok every route to an app (1)"}},
		{"one path, and another for the app", "session /app/*\nreverse_proxy /api/* 127.0.0.1:1", []string{"fail some requests reach 127.0.0.1:1"}},
		{"each with its own", "handle /a/* {\nsession a\nreverse_proxy 127.0.0.1:1\n}\nhandle {\nsession b\nreverse_proxy 127.0.0.1:2\n}", []string{"ok every route to an app (2)"}},
		{"the same app on a route without", "handle /a/* {\nsession a\nreverse_proxy 127.0.0.1:1\n}\nhandle {\nreverse_proxy 127.0.0.1:1\n}", []string{"fail Session-* headers of clients arrive at 127.0.0.1:1, which believes them"}},
		{"another app on a route without", "handle /a/* {\nsession a\nreverse_proxy 127.0.0.1:1\n}\nhandle {\nreverse_proxy 127.0.0.1:9\n}", []string{"warn Session-* headers of clients arrive at 127.0.0.1:9; it matters"}},
		{"another app on a route that is off", "handle /a/* {\nsession a\nreverse_proxy 127.0.0.1:1\n}\nhandle {\nsession off\nreverse_proxy 127.0.0.1:9\n}", []string{"ok every route to an app (2)"}},
		{"before the groups", "session\nhandle /a/* {\nreverse_proxy 127.0.0.1:1\n}\nhandle {\nreverse_proxy 127.0.0.1:2\n}", []string{"ok every route to an app (2)"}},
		{"behind the app", "route {\nreverse_proxy 127.0.0.1:1\nsession\n}", []string{"warn Session-* headers of clients arrive at 127.0.0.1:1"}},
		{"forward_auth before", "forward_auth 127.0.0.1:9 {\nuri /auth\n}\nroute {\nsession\nreverse_proxy 127.0.0.1:1\n}", []string{"warn Session-* headers of clients arrive at 127.0.0.1:9"}},
		{"an answer that is made elsewhere", "session\nreverse_proxy 127.0.0.1:1 {\n@e status 404\nhandle_response @e {\nreverse_proxy 127.0.0.1:2\n}\n}", []string{"ok every route to an app (2)"}},
		{"a session of another member of the group", "handle /a/* {\nsession a\n}\nhandle {\nreverse_proxy 127.0.0.1:9\n}", []string{"warn Session-* headers of clients arrive at 127.0.0.1:9; it matters"}},
		{"a session that ends there", "handle /x {\nsession\nrespond x\n}\nreverse_proxy 127.0.0.1:9", []string{"warn Session-* headers of clients arrive at 127.0.0.1:9; it matters"}},
		{"a session that goes on", "route /x {\nsession\n}\nreverse_proxy 127.0.0.1:1", []string{"fail some requests reach 127.0.0.1:1"}},
		{"dynamic upstreams", "reverse_proxy {\ndynamic a localhost 9\n}\nhandle /x {\nsession\nrespond x\n}", []string{"warn (dynamic upstreams)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := readSiteMap(caddytest.Adapt(t, "http://localhost {\n"+c.site+"\n}\n"))
			if err != nil {
				t.Fatal(err)
			}
			d := new(doctor)
			d.checkConfig(m)
			if len(d.findings) != len(c.want) {
				t.Fatalf("%+v, want %q", d.findings, c.want)
			}
			for i, f := range d.findings {
				state, detail, _ := strings.Cut(c.want[i], " ")
				if f.State != state || !strings.Contains(f.Detail, detail) || (f.Remedy == "") != (state == stateOK) {
					t.Errorf("%+v, want %s", f, c.want[i])
				}
			}
		})
	}
}

func TestDoctorFollowsNamedRoutes(t *testing.T) {
	const config = "&(app) {\nreverse_proxy 127.0.0.1:1\n}\nhttp://localhost {\nsession\ninvoke app\n}\n"
	m, err := readSiteMap(caddytest.Adapt(t, config))
	if err != nil || len(m.proxied) != 1 || m.proxied[0].cover.state != covered {
		t.Errorf("%+v, %v", m, err)
	}
	const endless = `{"apps":{"http":{"servers":{"a":{"named_routes":{"x":{"handle":[{"handler":"invoke","name":"x"}]}},"routes":[{"handle":[{"handler":"invoke","name":"x"}]}]}}}}}`
	if _, err := readSiteMap([]byte(endless)); err == nil {
		t.Error("routes that invoke themselves have an end")
	}
}

func TestDoctorKnowsWhatIsInlined(t *testing.T) {
	m, err := readSiteMap(caddytest.Adapt(t, "http://localhost {\nhandle /a/* {\nsession a {\ninline_limit 9KiB\n}\nreverse_proxy 127.0.0.1:1\n}\nhandle /b/* {\nsession b\nreverse_proxy 127.0.0.1:1\n}\nhandle /c/* {\nsession c {\nforward id\n}\nreverse_proxy 127.0.0.1:3\n}\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if a, c, other := m.inline("127.0.0.1:1"), m.inline("127.0.0.1:3"), m.inline("127.0.0.1:9"); a != 9<<10 || c != 0 || other != 0 {
		t.Errorf("%d, %d, %d", a, c, other)
	}
}

// limited is an app that refuses a Session-Data header of more than limit bytes.
func limited(limit int, refuse func(w http.ResponseWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		data := r.Header.Get("Session-Data")
		if !json.Valid([]byte(data)) {
			w.WriteHeader(http.StatusTeapot)
		}
		if len(data) > limit {
			refuse(w)
		}
	}
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(code) }
}

func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// newDoctor returns one without admin endpoint, for a machine that others
// reach at 127.0.0.2.
func newDoctor() *doctor {
	return &doctor{
		outside: func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil },
		timeout: 10 * time.Second,
	}
}

func TestDoctorFindsTheHeaderLimit(t *testing.T) {
	for _, c := range []struct {
		name   string
		app    http.HandlerFunc
		inline int64
		limit  int
		want   string
	}{
		{"no limit", limited(1<<30, nil), 4 << 10, 128 << 10, "ok takes at least 128 KiB"},
		{"a common one", limited(8<<10, status(431)), 4 << 10, 8 << 10, "ok takes 8.0 KiB of Session-Data; inline_limit is 4.0 KiB"},
		{"little is left", limited(7<<10, status(431)), 4 << 10, 7 << 10, "warn leaves little for cookies"},
		{"too little", limited(3000, status(431)), 4 << 10, 2 << 10, "fail takes 2.0 KiB of Session-Data and then answers 431; inline_limit is 4.0 KiB"},
		{"one that hangs up", limited(5000, hangUp), 8 << 10, 4 << 10, "fail and then closes the connection"},
		{"one that fails", limited(5000, status(500)), 8 << 10, 4 << 10, "fail and then answers 500"},
		{"nearly nothing", limited(500, status(400)), 4 << 10, 0, "fail takes 0 B of Session-Data"},
		{"to the byte", limited(64<<10, status(431)), 64 << 10, 64 << 10, "warn takes 64 KiB"},
		{"an app that refuses all", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, 4 << 10, 128 << 10, "ok takes at least 128 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var requests atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				c.app(w, r)
			}))
			defer server.Close()
			d := newDoctor()
			d.upstreams = []string{server.URL}
			targets, err := d.targets(nil)
			if err != nil || len(targets) != 1 {
				t.Fatal(targets, err)
			}
			limit, _, err := d.headerLimit(t.Context(), targets[0])
			if err != nil || limit != c.limit || requests.Load() > 12 {
				t.Errorf("limit %d after %d requests, %v; want %d", limit, requests.Load(), err, c.limit)
			}
			targets[0].inline = c.inline
			d.checkHeaderLimit(t.Context(), targets[0])
			state, detail, _ := strings.Cut(c.want, " ")
			if f := d.findings[0]; f.State != state || !strings.Contains(f.Detail, detail) || (f.Remedy == "") != (state == stateOK) {
				t.Errorf("%+v, want %s", f, c.want)
			}
		})
	}
}

// TestDoctorMeasuresARealServer: Go's own limit, of all headers together.
func TestDoctorMeasuresARealServer(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.MaxHeaderBytes = 12 << 10 // and 4 KiB that it does not tell of
	server.Start()
	defer server.Close()
	d := newDoctor()
	d.upstreams = []string{server.URL}
	targets, err := d.targets(nil)
	if err != nil {
		t.Fatal(err)
	}
	if limit, answer, err := d.headerLimit(t.Context(), targets[0]); err != nil || limit < 11<<10 || limit > 16<<10 || answer != "answers 431" {
		t.Errorf("%d, %s, %v", limit, answer, err)
	}
}

func TestDoctorFindsNoApp(t *testing.T) {
	d := newDoctor()
	d.upstreams = []string{"http://" + caddytest.FreeAddress(t)}
	targets, err := d.targets(nil)
	if err != nil {
		t.Fatal(err)
	}
	d.checkHeaderLimit(t.Context(), targets[0])
	if f := d.findings[0]; f.State != stateFail || !strings.Contains(f.Detail, "does not answer") {
		t.Errorf("%+v", f)
	}
}

func TestDoctorAsksOnlyThisMachine(t *testing.T) {
	m, err := readSiteMap(caddytest.Adapt(t, `http://localhost {
	session
	reverse_proxy /a 10.1.2.3:3000
	reverse_proxy /b app.internal:3000
	reverse_proxy /c https://127.0.0.1:3000
	reverse_proxy /d localhost:3001
	reverse_proxy /e 127.0.0.2:3002
	reverse_proxy /f unix//run/app.sock
	reverse_proxy /g [::1]:3003
	php_fastcgi /h 127.0.0.1:9000
}`))
	if err != nil {
		t.Fatal(err)
	}
	d := newDoctor()
	targets, err := d.targets(m)
	if err != nil {
		t.Fatal(err)
	}
	var asked, skipped []string
	for _, p := range targets {
		asked = append(asked, p.name)
	}
	for _, f := range d.findings {
		name, _, _ := strings.Cut(f.Detail, " ")
		skipped = append(skipped, name)
	}
	if got := fmt.Sprint(asked); got != "[localhost:3001 127.0.0.2:3002 unix//run/app.sock [::1]:3003]" {
		t.Errorf("asks %s", got)
	}
	if got := fmt.Sprint(skipped); got != "[10.1.2.3:3000 app.internal:3000 127.0.0.1:3000 127.0.0.1:9000]" {
		t.Errorf("skips %s", got)
	}
	remote := probed{name: "far", url: mustURL(t, "http://10.1.2.3:3000/")}
	d.findings = nil
	d.checkReach(t.Context(), remote)
	if f := d.findings[0]; f.State != stateSkip {
		t.Errorf("%+v", f)
	}
}

func TestDoctorTriesOtherAddresses(t *testing.T) {
	serve := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.NotFoundHandler()}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Close() })
		return l
	}
	loopback := serve("tcp", "127.0.0.1:0")
	everywhere := serve("tcp4", ":0")
	dir := caddytest.ShortDir(t)
	socket := filepath.Join(dir, "app")
	serve("unix", socket)
	_, port, _ := net.SplitHostPort(everywhere.Addr().String())
	for _, c := range []struct{ url, socket, state, detail string }{
		{"http://" + loopback.Addr().String(), "", stateOK, "on the loopback interface alone"},
		{"http://127.0.0.1:" + port, "", stateWarn, "answers at 127.0.0.2:" + port},
		{"http://localhost", socket, stateOK, "a Unix socket"},
	} {
		d := newDoctor()
		p := probed{name: "the app", url: mustURL(t, c.url), socket: c.socket}
		d.checkReach(t.Context(), p)
		if f := d.findings[0]; f.State != c.state || !strings.Contains(f.Detail, c.detail) {
			t.Errorf("%+v, want %s %s", f, c.state, c.detail)
		}
		if limit, _, err := d.headerLimit(t.Context(), p); err != nil || limit != mostHeader {
			t.Errorf("%s: %d, %v", c.url, limit, err)
		}
	}
}

func mustClient(t *testing.T, address string) *adminClient {
	t.Helper()
	c, err := newAdminClient(address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
