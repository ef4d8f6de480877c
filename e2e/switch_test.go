package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestReloadHandsOver reloads while a webhook fails, a stream is open and the
// sweep is at work: the new address is told what the old one did not hear, the
// stream still ends with its session, and sessions are still swept.
func TestReloadHandsOver(t *testing.T) {
	t.Parallel()
	broken, refused := hook(t, http.StatusInternalServerError)
	working, heard := hook(t, http.StatusNoContent)
	app := shop(t)
	site := func(address string) string {
		return shopSite("sweep_interval 1s", brief+webhook(address, "create delete"), app)
	}
	p := newProxy(t, site(broken))
	c := p.patientClient(t)
	stays, _, _ := c.do(`patch={"n":-1}` + stay)
	events := c.eventStream()
	want := map[string]bool{stays + " session.create": true}
	for n := range 3 {
		id, _, _ := p.patientClient(t).do(fmt.Sprintf(`patch={"n":%d}`, n))
		want[id+" session.create"], want[id+" session.delete"] = true, true
	}
	receive(t, refused)
	until(t, "the sessions have ended, and all that is to be told waits", p.process, func() bool {
		listeners, _ := p.stats()
		return len(listeners) == 1 && listeners[0].Waiting == len(want)
	})

	p.configure(site(working))
	if status, body := p.reload(p.caddyfile); status != http.StatusOK {
		t.Fatalf("reload: %d %s", status, body)
	}
	deleted := make(map[string]bool)
	for len(want) > 0 {
		h := receive(t, heard)
		id := h.event.Data.Session
		if h.event.Type == "session.create" && deleted[id] {
			t.Errorf("of %s the end is told before the beginning", id)
		}
		deleted[id] = deleted[id] || h.event.Type == "session.delete"
		delete(want, id+" "+h.event.Type)
	}

	// The sweep goes on, and so does the stream that began before.
	id, _, _ := p.patientClient(t).do(`patch={"n":4}`)
	for {
		if h := receive(t, heard); h.event.Type == "session.delete" && h.event.Data.Session == id {
			break
		}
	}
	if _, open := p.stats(); open != 1 {
		t.Errorf("%d streams are open", open)
	}
	if out, status := p.operate("revoke", "shop", stays); status != 0 {
		t.Fatalf("revoke: [%d] %s", status, out)
	}
	events.ends()
	if h := receive(t, heard); h.event.Data.Session != stays || h.event.Data.Reason != "revoked" {
		t.Errorf("told %s", h.body)
	}
	if log := p.output(); strings.Contains(log, hookSecret) {
		t.Error("the log has the secret")
	}
}
