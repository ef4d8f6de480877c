package e2e

import (
	"net/http"
	"testing"
	"time"
)

// bearing returns what the shop is told of a request with those cookies, and
// the cookies that come back.
func (p *proxy) bearing(t *testing.T, cookies []*http.Cookie) (state string, set []*http.Cookie) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.Header.Get("X-State"), resp.Cookies()
}

// rotated uses the session until its browser has another ticket, and returns
// the old one, and when it was still the current one.
func (c *client) rotated() (old []*http.Cookie, at time.Time) {
	c.t.Helper()
	old = c.jarred()
	if len(old) != 1 {
		c.t.Fatalf("the browser has %v", old)
	}
	until(c.t, "the ticket is replaced", c.p.process, func() bool {
		at = time.Now()
		c.wantState("active")
		return c.jarred()[0].Value != old[0].Value
	})
	return old, at
}

// TestTimedRotation: within the grace the old ticket is good, and the answer to it
// carries the new one; afterwards it is refused, and nothing comes of it.
func TestTimedRotation(t *testing.T) {
	t.Parallel()
	const grace = 3 * time.Second
	p := newProxy(t, shopSite("", "rotate_every 4s grace 3s", shop(t)))
	c := p.client(t)
	id, _, _ := c.do(`patch={"cart":1}`)
	var old []*http.Cookie
	for {
		var at time.Time
		old, at = c.rotated()
		state, set := p.bearing(t, old)
		if state == "expired" && time.Since(at) >= grace {
			continue // the machine was too slow to ask
		}
		if state != "active" || len(set) != 1 || set[0].Value == old[0].Value {
			t.Fatalf("within the grace the old ticket is %s, and gets %v", state, set)
		}
		if state, _ := p.bearing(t, set); state == "expired" && time.Since(at) < grace {
			t.Errorf("the new ticket is %s", state)
		}
		break
	}
	until(t, "the old ticket is refused", p.process, func() bool {
		state, _ := p.bearing(t, old)
		return state == "expired"
	})
	if state, set := p.bearing(t, old); state != "expired" || len(set) != 0 {
		t.Errorf("after the grace the old ticket is %s, and gets %v", state, set)
	}
	if now, state, data := c.do(""); now != id || state != "active" || data != `{"cart":1}` {
		t.Errorf("the session is %s, %s, with %s; it was %s", now, state, data, id)
	}
}
