package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

const ticketKey = "ticket_key 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// TestBackupUnderLoad backs up a proxy while eight clients write, and restores
// into an empty one: what was acknowledged before is there, and the tickets
// are good.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	directive := newUpstream(t).directive
	site := strings.Replace(shopSite(ticketKey, "", directive), "store badger {DIR}/store", "store badger {DIR}/store {\n\t\t\tdurability async\n\t\t}", 1)
	p := newProxy(t, site)
	stop := make(chan struct{})
	clients, acked, wait := load(t, p, stop, nil)
	until(t, "there is a load", p.process, allAcked(acked, 20))
	before := make([]atomic.Int64, len(acked))
	for i := range acked {
		before[i].Store(acked[i].Load())
	}
	file := filepath.Join(p.dir, "sessions.bak")
	out, status := p.operate("backup", file)
	if status != 0 || !strings.Contains(out, file) {
		t.Fatalf("backup: [%d] %s", status, out)
	}
	until(t, "the load goes on", p.process, func() bool { // the backup holds no request up
		return allAcked(acked, before[0].Load()+20)()
	})
	if out, status := p.operate("restore", file); status != 1 || !strings.Contains(out, "not empty") {
		t.Errorf("restore into a store that has sessions: [%d] %s", status, out)
	}
	close(stop)
	wait()
	checkAcked(t, clients, acked)
	ids := p.listed()
	p.stop()

	other := newProxy(t, site)
	if out, status := other.operate("restore", file); status != 0 || !strings.Contains(out, "restored 8 sessions") {
		t.Fatalf("restore: [%d] %s", status, out)
	}
	for _, c := range clients {
		c.p = other // a browser whose proxy has moved: cookies know no ports
	}
	checkAcked(t, clients, before)
	if got := other.listed(); !sameSet(got, ids) {
		t.Errorf("restored are %v, want %v", got, ids)
	}
	for i, c := range clients { // they go on, too
		if err := c.write(acked[i].Load()+1, ""); err != nil {
			t.Error(err)
		}
	}
	if got := other.listed(); !sameSet(got, ids) {
		t.Errorf("after a write there are %v, want %v", got, ids)
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// TestRestoreRefuses tries what is no backup: nothing is changed by it.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	app := shop(t)
	p := newProxy(t, shopSite(ticketKey, "", app))
	for range 3 {
		p.client(t).do("login=alice")
	}
	file := filepath.Join(p.dir, "sessions.bak")
	if out, status := p.operate("backup", file); status != 0 {
		t.Fatalf("backup: [%d] %s", status, out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is for others, too: %v %v", info, err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const magic = "sessionproxy backup\n"
	if !bytes.HasPrefix(good, []byte(magic)) {
		t.Fatalf("a backup begins with %q", good[:len(magic)])
	}
	empty := newProxy(t, shopSite(ticketKey, "", app))
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for _, tc := range []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, "backup"},
		{"another kind", []byte("PK\x03\x04 this is a shopping list"), "backup"},
		{"half of it", good[:len(good)/2], "cut off"},
		{"all but the last byte", good[:len(good)-1], "cut off"},
		{"a damaged one", changed(len(good)/2, good[len(good)/2]+1), "damaged"},
		{"one of a newer version", changed(len(magic)+3, 99), "99"},
		{"one with something behind it", append(bytes.Clone(good), "more"...), "backup"},
	} {
		bad := filepath.Join(empty.dir, "bad")
		if err := os.WriteFile(bad, tc.file, 0o600); err != nil {
			t.Fatal(err)
		}
		out, status := empty.operate("restore", bad)
		if status != 1 || !strings.Contains(out, "Error: restoring "+bad) || !strings.Contains(out, tc.want) {
			t.Errorf("%s: [%d] %s", tc.name, status, out)
		}
		t.Logf("%s: %s", tc.name, out)
		if got := empty.listed(); len(got) != 0 {
			t.Fatalf("%s: there are %v", tc.name, got)
		}
	}
	// The refusals have left the store as it was: the good one goes in.
	if out, status := empty.operate("restore", file); status != 0 || !strings.Contains(out, "restored 3 sessions") {
		t.Fatalf("restore: [%d] %s", status, out)
	}
	before := empty.listed()
	if out, status := empty.operate("restore", file); status != 1 || !strings.Contains(out, "not empty") {
		t.Errorf("restore twice: [%d] %s", status, out)
	}
	if got := empty.listed(); !sameSet(got, before) {
		t.Errorf("a refused restore made %v of %v", got, before)
	}
	if out, status := p.operate("backup", filepath.Join(p.dir, "none", "sessions.bak")); status != 1 || !strings.Contains(out, "no such file") {
		t.Errorf("backup into a directory that is not there: [%d] %s", status, out)
	}
	if status := httpStatus(t, "http://"+empty.admin+"/sessions/restore?force=true", http.MethodPost); status != http.StatusBadRequest {
		t.Errorf("an unknown parameter: %d", status)
	}
}

func httpStatus(t *testing.T, url, method string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
