package command

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/adminapi"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestRefusedWritesAreTold by the admin API, the stats, the doctor and the
// command that a probe runs.
func TestRefusedWritesAreTold(t *testing.T) {
	const reason = "has 239 MiB of free space, and the reserve is 256 MiB"
	st := caddytest.NewAbleStore()
	s := caddytest.NewSite(t)
	line := caddytest.Prepare(t, st)
	for _, tc := range []struct {
		health *store.Health
		status int
		body   string
	}{
		{nil, http.StatusOK, `{"writable":true}`},
		{&store.Health{Writable: true}, http.StatusOK, `{"writable":true}`},
		{&store.Health{Reason: reason, ReserveBytes: 256 << 20}, http.StatusServiceUnavailable, `{"writable":false,"reason":"` + reason + `"}`},
	} {
		st.Reported.Health = tc.health
		s.Load(s.Config(line, "", "session shop\nrespond ok"))
		if w := caddytest.Ask(http.MethodGet, "/sessions/health", ""); w.Code != tc.status || strings.TrimSpace(w.Body.String()) != tc.body {
			t.Errorf("%d %s, want %d %s", w.Code, w.Body, tc.status, tc.body)
		}
		server := httptest.NewServer(caddytest.AdminMux())
		address := strings.TrimPrefix(server.URL, "http://")
		refused := tc.status != http.StatusOK

		out, text, status := runSessions(t, address, "", "health")
		if (status != 0) != refused || strings.Contains(text, reason) != refused || strings.Contains(out, "written") == refused {
			t.Errorf("health: %d %s %s", status, out, text)
		}
		if out, _, _ := runSessions(t, address, "", "stats"); strings.Contains(out, "NO: "+reason) != refused || tc.health != nil && !strings.Contains(out, "takes writes") {
			t.Errorf("stats: %s", out)
		}
		client, err := newAdminClient(address)
		if err != nil {
			t.Fatal(err)
		}
		d := &doctor{client: client}
		d.checkServer(context.Background())
		if found := d.findings[0].State == stateFail && strings.Contains(d.findings[0].Detail, reason); found != refused {
			t.Errorf("doctor: %+v", d.findings)
		}
		server.Close()
	}
}

// TestTicketsOfAnotherKeyAreTold by the doctor.
func TestTicketsOfAnotherKeyAreTold(t *testing.T) {
	d := new(doctor)
	d.checkTickets([]adminapi.ManagerStats{{ManagerView: adminapi.ManagerView{ID: "shop"}, Forged: 3}, {ManagerView: adminapi.ManagerView{ID: "blog"}}})
	if len(d.findings) != 1 || d.findings[0].State != stateWarn || !strings.Contains(d.findings[0].Detail, "3 tickets of manager shop") {
		t.Errorf("%+v", d.findings)
	}
}
