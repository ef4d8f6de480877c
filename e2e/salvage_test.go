package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSalvage: a store that is damaged is refused, the refusal names the
// command, and what it saves is restored into a new proxy: tickets are good.
func TestSalvage(t *testing.T) {
	t.Parallel()
	directive := newUpstream(t).directive
	site := strings.Replace(shopSite(ticketKey, "", directive), "store badger {DIR}/store",
		"store badger {DIR}/store {\n\t\t\tencryption_key 000102030405060708090a0b0c0d0e0f\n\t\t}", 1)
	p := newProxy(t, site)
	var clients []*client
	for range 20 {
		c := p.client(t)
		if err := c.write(7, ""); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	dir, file := filepath.Join(p.dir, "store"), filepath.Join(p.dir, "salvaged.bak")
	line := strings.TrimSpace(blocksWith(t, "sh", "sessions salvage")[0].text)
	salvage := strings.Fields(strings.NewReplacer("sessionproxy sessions ", "", "/var/lib/caddy/sessions", dir, "/backup/salvaged.bak", file).Replace(line))
	if out, status := p.operate(salvage...); status != 1 || !strings.Contains(out, "another process has it open") {
		t.Fatalf("while it is open: [%d] %s", status, out)
	}
	p.stop()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/3] ^= 1
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := p.command("run", "--config", "Caddyfile"); err == nil || !strings.Contains(out, "sessionproxy sessions salvage") {
		t.Fatalf("a damaged store: %v, %s", err, out)
	}
	if out, status := p.operate(salvage...); status != 0 || !strings.Contains(out, "20 sessions") {
		t.Fatalf("salvage: [%d] %s", status, out)
	}
	other := newProxy(t, site)
	if out, status := other.operate("restore", file); status != 0 || !strings.Contains(out, "restored 20 sessions") {
		t.Fatalf("restore: [%d] %s", status, out)
	}
	for i, c := range clients {
		c.p = other
		if _, _, body := c.get("/"); !strings.Contains(body, `"N":7`) && !strings.Contains(body, `"n":7`) {
			t.Errorf("client %d has %.80s", i, body)
		}
	}
}
