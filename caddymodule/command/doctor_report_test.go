package command

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

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
