package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// redis starts a server in that directory, which keeps on disk what it has acknowledged.
func redis(t *testing.T, dir string, port int) *process {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", port)
	p := start(t, nil, dir, need(t, "redis-server"), "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always")
	until(t, "redis listens", p, listens("tcp", address))
	return p
}

// on is the same browser at another proxy.
func (c *client) on(p *proxy) *client {
	other := *c
	other.p = p
	return &other
}

// TestTwoProxiesOnOneRedis: a session is one for two proxies, whichever of them
// is killed, and comes back with the server.
func TestTwoProxiesOnOneRedis(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePort(t)
	server := redis(t, dir, port)
	address, heard := hook(t, http.StatusNoContent)
	site := shopSite("sweep_interval 1s\nticket_key "+strings.Repeat("01", 32), webhook(address, "create delete"), shop(t))
	site = strings.Replace(site, "store badger {DIR}/store", fmt.Sprintf("store redis 127.0.0.1:%d {\n timeout 2s\n}", port), 1)
	a, b := newProxy(t, site), newProxy(t, site)

	atA := a.client(t)
	atB := atA.on(b)
	id, _, _ := atA.do(`login=alice&patch={"n":1}`)
	if other, state, data := atB.do(`patch={"m":2}`); other != id || state != "active" || data != `{"n":1}` {
		t.Fatalf("the other proxy has %s, %s, %s", other, state, data)
	}
	if _, _, data := atA.do(""); data != `{"m":2,"n":1}` && data != `{"n":1,"m":2}` {
		t.Fatalf("the data is %s", data)
	}
	if e := receive(t, heard).event; e.Type != "session.create" || e.Data.Session != id {
		t.Errorf("told of %+v", e)
	}
	if la, lb := a.listed(), b.listed(); len(la) != 1 || len(lb) != 1 {
		t.Errorf("one proxy lists %v, the other one %v", la, lb)
	}

	for n := range 20 { // all of it is acknowledged
		atA.do(fmt.Sprintf(`patch={"n":%d}`, n))
	}
	a.kill()
	if _, _, data := atB.do(`patch={"n":20}`); !strings.Contains(data, `"n":19`) {
		t.Fatalf("after the kill of a proxy the data is %s", data)
	}
	a.start()
	if _, _, data := atA.do(""); !strings.Contains(data, `"n":20`) {
		t.Fatalf("the proxy that came back has %s", data)
	}

	server.kill()
	if status, _, _ := atB.get("/"); status != http.StatusServiceUnavailable {
		t.Errorf("without the server: %d", status)
	}
	redis(t, dir, port)
	for _, c := range []*client{atA, atB} {
		until(t, "the proxy has found the server again", c.p.process, func() bool {
			status, header, _ := c.get("/")
			return status == http.StatusOK && header.Get("X-Id") == id && strings.Contains(header.Get("X-Data"), `"n":20`)
		})
	}

	// A sign-out at one is one at both, and told once, by one that lives.
	atB.do("action=destroy")
	atA.wantState("new")
	if e := receive(t, heard).event; e.Type != "session.delete" || e.Data.Session != id || e.Data.Reason != "destroyed" {
		t.Errorf("told of %+v", e)
	}
	until(t, "nothing waits any more", b.process, func() bool {
		listeners, _ := b.stats()
		return len(listeners) == 0 || listeners[0].Waiting == 0
	})
	select {
	case h := <-heard:
		t.Errorf("told again: %s", h.body)
	default:
	}
}
