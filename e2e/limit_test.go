package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// signIns signs one person in from 50 browsers at once, and returns how many
// were let in. All the while no more than most sessions are to be there.
func signIns(t *testing.T, p *proxy, most int) (in int64) {
	t.Helper()
	var count atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		c := p.client(t)
		wg.Go(func() {
			status, header, body := c.get("/?login=alice")
			var problem struct {
				Type   string
				Status int
			}
			switch {
			case status == http.StatusOK:
				count.Add(1)
			case json.Unmarshal([]byte(body), &problem) != nil || status != http.StatusConflict || problem.Status != status ||
				problem.Type != "urn:sessionproxy:principal-limit" || header.Get("Set-Cookie") != "":
				t.Errorf("a sign-in: %d %v %s", status, header, body)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for {
		if n := p.alices(t); n > most {
			t.Errorf("there are %d sessions", n)
		}
		select {
		case <-done:
			return count.Load()
		default:
		}
	}
}

// alices returns how many sessions alice has.
func (p *proxy) alices(t *testing.T) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.admin+"/sessions/managers/shop/sessions?principal=alice", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct{ Sessions []json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
		t.Fatal(err)
	}
	return len(page.Sessions)
}

func TestLimitEvictsTheOldest(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shopSite("", "max_per_principal 3 evict_oldest", shop(t)))
	first := p.client(t)
	first.do("login=alice")
	socket := first.webSocket()
	for i := range 3 {
		c := p.client(t)
		c.do(fmt.Sprintf(`login=alice&patch={"n":%d}`, i))
		c.wantState("active")
	}
	socket.ends()
	first.wantState("expired")
	if in := signIns(t, p, 3); in != 50 {
		t.Errorf("%d of 50 were let in", in)
	}
	if n := p.alices(t); n != 3 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestLimitRefuses(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shopSite("", "max_per_principal 3 refuse", shop(t)))
	if in := signIns(t, p, 3); in != 3 {
		t.Errorf("%d were let in", in)
	}
	if n := p.alices(t); n != 3 {
		t.Errorf("there are %d sessions", n)
	}
	// Another user is let in, and alice, when one of hers has ended.
	p.client(t).do("login=bob")
	p.operate("revoke", "shop", p.listed("--principal", "alice")[0])
	p.client(t).do("login=alice")
}
