package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKeysAndDirectory changes the ticket key in three steps and moves the
// directory, as docs/operating.md says.
func TestKeysAndDirectory(t *testing.T) {
	t.Parallel()
	app := shop(t)
	old, renewed := strings.Repeat("01", 32), strings.Repeat("02", 32)
	p := newProxy(t, shopSite("ticket_key "+old, "", app))
	reload := func(keys string) {
		t.Helper()
		p.configure(shopSite("ticket_key "+keys, "", app))
		if status, body := p.reload(p.caddyfile); status != http.StatusOK {
			t.Fatalf("reload: %d %s", status, body)
		}
	}
	before, between := p.patientClient(t), p.patientClient(t)
	before.do(`patch={"n":1}`)
	reload(renewed + " " + old)
	before.wantState("active")
	between.do(`patch={"n":2}`)
	reload(renewed)
	before.wantState("new")
	between.wantState("active")
	if !strings.Contains(p.metrics(), `caddy_sessions_refused_tickets_total{kind="forged",manager="shop"} 1`) {
		t.Error("the ticket of a key that was removed is not counted")
	}
	if n := len(p.listed()); n != 2 {
		t.Errorf("%d sessions are there", n)
	}

	p.stop()
	if err := os.Rename(filepath.Join(p.dir, "store"), filepath.Join(p.dir, "moved")); err != nil {
		t.Fatal(err)
	}
	p.configure(strings.Replace(shopSite("ticket_key "+renewed, "", app), "{DIR}/store", "{DIR}/moved", 1))
	p.start()
	between.wantState("active")
	if info, err := os.Stat(filepath.Join(p.dir, "moved")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v", info, err)
	}
	// Without the ticket keys of the configuration, the directory lets no visitor in.
	p.stop()
	p.configure(strings.Replace(shopSite("", "", app), "{DIR}/store", "{DIR}/moved", 1))
	p.start()
	between.wantState("new")
	if !exists(p.dir, "data/caddy/sessionproxy/ticket_keys") {
		t.Error("no key was made in Caddy's storage")
	}
	// The file that says what the directory is is made anew; but a directory
	// that has nothing else has lost its database, and is refused.
	p.stop()
	marker := filepath.Join(p.dir, "moved", "sessionproxy.json")
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.stop()
	text, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(marker)); err != nil {
		t.Fatal(err)
	}
	write(t, p.dir, "moved/sessionproxy.json")
	if err := os.WriteFile(marker, text, 0o600); err != nil {
		t.Fatal(err)
	}
	refused := start(t, p.env(), p.dir, binary, "run", "--config", "Caddyfile")
	until(t, "it refuses", nil, func() bool {
		return strings.Contains(refused.output(), "its MANIFEST is missing: `sessionproxy sessions salvage <dir> <file>` writes what can be read")
	})
}
