package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
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

// TestDoctorPretends sends spoofed headers through the real proxy.
func TestDoctorPretends(t *testing.T) {
	shows := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Session-Id")) })
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", "handle /with {\nsession shop\nreverse_proxy "+shows+"\n}\nhandle /off {\nsession off\nreverse_proxy "+shows+"\n}\nreverse_proxy "+shows))
	admin := httptest.NewServer(caddytest.AdminMux())
	defer admin.Close()
	client, deaf := mustClient(t, strings.TrimPrefix(admin.URL, "http://")), mustClient(t, caddytest.FreeAddress(t))
	for _, c := range []struct {
		url    string
		client *adminClient
		want   string
	}{
		{"", client, "skip not tried"},
		{"http://" + s.Address + "/with", client, "ok 32 were sent and counted"},
		{"http://" + s.Address + "/off", client, "warn has not counted"},
		{"http://" + s.Address + "/without", client, "fail it has arrived"},
		{"http://" + s.Address + "/with", deaf, "warn only the admin endpoint tells"},
		{"http://" + caddytest.FreeAddress(t) + "/", client, "fail does not answer"},
		{"shop", client, "fail an address such as"},
	} {
		d := newDoctor()
		d.client, d.url = c.client, c.url
		d.checkStripping(t.Context())
		state, detail, _ := strings.Cut(c.want, " ")
		if f := d.findings[0]; f.State != state || !strings.Contains(f.Detail, detail) {
			t.Errorf("%s: %+v, want %s", c.url, f, c.want)
		}
	}
}

func TestDoctorChecksListeners(t *testing.T) {
	now := time.Unix(10_000, 0)
	at := func(ago int64) *int64 { n := now.Unix() - ago; return &n }
	for name, c := range map[string]struct {
		listeners []adminapi.BacklogView
		want      []string
	}{
		"none":           {nil, []string{"ok 0 events waiting, none given up"}},
		"at work":        {[]adminapi.BacklogView{{Name: "mail", Waiting: 3, Dead: 0, Oldest: at(60), Configured: true}}, []string{"ok 3 events waiting, none given up"}},
		"one is behind":  {[]adminapi.BacklogView{{Name: "mail", Waiting: 3, Dead: 0, Oldest: at(61), Configured: true}, {Name: "files", Waiting: 2, Dead: 0, Oldest: at(3600), Configured: true}}, []string{"warn 5 events waiting; files has not heard what happened 1h ago"}},
		"dead letters":   {[]adminapi.BacklogView{{Name: "mail", Waiting: 0, Dead: 2, Oldest: nil, Configured: true}}, []string{"warn 2 events could not be told"}},
		"all that is no": {[]adminapi.BacklogView{{Name: "mail", Waiting: 1, Dead: 1, Oldest: at(120), Configured: true}}, []string{"warn 1 event waiting; mail has not heard what happened 2m ago", "warn 1 event could not be told"}},
		"one is gone":    {[]adminapi.BacklogView{{Name: "mail", Waiting: 1, Dead: 2, Oldest: at(120), Configured: false}, {Name: "files", Waiting: 1, Dead: 0, Oldest: at(1), Configured: true}}, []string{"warn 3 events waiting for mail, which no configuration has", "ok 1 event waiting, none given up"}},
	} {
		d := newDoctor()
		d.now = func() time.Time { return now }
		d.checkListeners(c.listeners)
		var got []string
		for _, f := range d.findings {
			got = append(got, f.State+" "+f.Detail)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestDoctorPrints runs the command against a server that has it all.
func TestDoctorPrints(t *testing.T) {
	upstream := httptest.NewServer(limited(2<<10, status(431)))
	defer upstream.Close()
	dial := strings.TrimPrefix(upstream.URL, "http://")
	fake := &fakeAdmin{answers: map[string]string{
		"GET /config/":        string(caddytest.Adapt(t, "http://localhost {\nsession\nreverse_proxy "+dial+"\n}\n")),
		"GET /sessions/stats": `{"store":{"damaged":2},"managers":[],"listeners":[{"name":"mail","waiting":3,"dead":1,"configured":true}]}`,
	}}
	admin := httptest.NewServer(fake)
	defer admin.Close()
	address := strings.TrimPrefix(admin.URL, "http://")
	out, errs, code := runSessions(t, address, "", "doctor")
	want := `OK    spoofed headers: every route to an app (1) has a session handler before it
WARN  store: 2 records failed the checksum and are gone
      → check the disk; restore a backup if sessions are missed
WARN  listeners: 1 event could not be told
      → ` + "`sessions dead-letters` says why, `sessions retry` tries again, `sessions discard` gives up" + `
FAIL  header limit: APP takes 2.0 KiB of Session-Data and then answers 431; inline_limit is 4.0 KiB, so that larger sessions break it
      → set ` + "`inline_limit 1KiB`" + `, or let the app's server take more header
OK    reachable without the proxy: APP answers on the loopback interface alone
-     spoofed headers, sent: not tried
      → say --url to send some through the proxy
`
	if got := strings.ReplaceAll(out, dial, "APP"); got != want || code != exitFailed || errs != "Error: a check failed\n" {
		t.Errorf("[%d] %s%s\nwant %s", code, got, errs, want)
	}
	out, _, code = runSessions(t, address, "", "doctor", "--json")
	var report struct{ Checks []finding }
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Checks) != 6 || report.Checks[3].State != stateFail || code != exitFailed {
		t.Errorf("[%d] %s, %v", code, out, err)
	}
	delete(fake.answers, "GET /config/")
	out, _, code = runSessions(t, address, "", "doctor", "--upstream", upstream.URL)
	if code != exitFailed || !strings.HasPrefix(out, "WARN  configuration: ") || !strings.Contains(out, "FAIL  header limit: ") {
		t.Errorf("[%d] %s", code, out)
	}
	if out, errs, code := runSessions(t, caddytest.FreeAddress(t), "", "doctor"); code != exitFailed || out != "" || !strings.Contains(errs, "is the server running there?") {
		t.Errorf("[%d] %s%s", code, out, errs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := newDoctor()
	d.client, d.upstreams = mustClient(t, address), []string{upstream.URL}
	if err := d.run(ctx); err == nil {
		t.Error("it goes on after Ctrl-C")
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
