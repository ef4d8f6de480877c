package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// program is a client without cookies: it carries what the last response said.
type program struct {
	t      *testing.T
	p      *proxy
	send   string // header of the request
	prefix string // before the ticket in it
	back   string // header of the response
	ticket string
}

// do makes a request, and returns the id, the state and the data that the shop was told.
func (c *program) do(query string) (id, state, data string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.p.url("/?"+query), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set(c.send, c.prefix+c.ticket)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Set-Cookie") != "" || c.ticket != "" && strings.Contains(resp.Header.Get("X-Tickets"), c.ticket) {
		c.t.Fatalf("?%s: %s %v", query, resp.Status, resp.Header)
	}
	if tickets, ok := resp.Header[c.back]; ok {
		if !strings.Contains(resp.Header.Get("Cache-Control"), "no-store") {
			c.t.Errorf("?%s: a response with a ticket may be kept", query)
		}
		c.ticket = tickets[0]
	}
	return resp.Header.Get("X-Id"), resp.Header.Get("X-State"), resp.Header.Get("X-Data")
}

// TestEveryCarrier has browsers and programs in front of one app: each gets its
// ticket back the way it came, and operators see no difference.
func TestEveryCarrier(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shopSite("audit", "ticket cookie\n\t\tticket header X-Session\n\t\tticket bearer", shop(t)))
	browser := p.client(t)
	bearer := &program{t: t, p: p, send: "Authorization", prefix: "Bearer ", back: "Session-Ticket"}
	header := &program{t: t, p: p, send: "X-Session", back: "X-Session"}
	var ids []string
	for _, c := range []interface {
		do(string) (string, string, string)
	}{browser, bearer, header} {
		if _, state, _ := c.do(""); state != "new" {
			t.Errorf("%T begins as %s", c, state)
		}
		id, _, _ := c.do(`login=alice&patch={"n":1}`)
		if again, state, data := c.do(""); again != id || state != "active" || data != `{"n":1}` {
			t.Errorf("%T goes on as %s, %s, %s, began as %s", c, again, state, data, id)
		}
		c.do("action=regenerate")
		if again, state, _ := c.do(""); again != id || state != "active" {
			t.Errorf("%T goes on as %s, %s, began as %s", c, again, state, id)
		}
		ids = append(ids, id)
	}
	if got := p.listed("--principal", "alice"); !sameSet(got, ids) {
		t.Errorf("alice has %v, want %v", got, ids)
	}
	if out, status := p.operate("revoke", "shop", "--principal", "alice", "--except", ids[0]); status != 0 {
		t.Fatalf("revoke: [%d] %s", status, out)
	}
	browser.wantState("active")
	if _, state, _ := bearer.do(""); state != "expired" {
		t.Errorf("the revoked bearer is %s", state)
	}
	if _, state, _ := header.do(""); state != "expired" {
		t.Errorf("the revoked header is %s", state)
	}
	browser.do("action=destroy")
	if got := browser.jarred(); len(got) != 0 {
		t.Errorf("the browser keeps %v", got)
	}
	bearer.do(`patch={"n":2}`)
	bearer.do("action=destroy")
	if bearer.ticket != "" {
		t.Error("a program is not told that its ticket is void")
	}
}

// TestEndingsAreCounted ends sessions for every reason that an operator can
// see from outside, and reads the metrics and the audit log.
func TestEndingsAreCounted(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shopSite("sweep_interval 1s\n\t\taudit", brief+"max_per_principal 1 evict_oldest", shop(t)))
	ended := make(map[string]string) // reason of each id
	begin := func(query string) (*client, string) {
		c := p.client(t)
		id, _, _ := c.do(query + stay)
		return c, id
	}
	_, id := begin("login=bob")
	ended[id] = "evicted"
	_, id = begin("login=bob")
	p.operate("revoke", "shop", id)
	ended[id] = "revoked"
	c, id := begin("login=carol")
	c.do("action=destroy")
	ended[id] = "destroyed"
	_, id = begin("login=dave")
	p.operate("purge", "shop", "--yes")
	ended[id] = "purged"
	id, _, _ = p.client(t).do(`patch={"n":1}`)
	ended[id] = "idle"
	id, _, _ = p.client(t).do(`patch={"n":1}&timeout={"idle":1,"absolute":1}`)
	ended[id] = "absolute"
	c, _ = begin("login=alice")
	c.do("action=regenerate")
	c.get("/", "Session-Data", "{}", "Cookie", "shop_ticket=forged")

	want := []string{
		`caddy_sessions_rotated_total{manager="shop"} 1`,
		`caddy_sessions_refused_tickets_total{kind="malformed",manager="shop"} 1`,
		`caddy_sessions_removed_headers_total{manager="shop",place="request"} 1`,
	}
	for _, reason := range ended {
		want = append(want, fmt.Sprintf(`caddy_sessions_ended_total{manager="shop",reason=%q} 1`, reason))
	}
	var metrics string
	until(t, "all is counted", p.process, func() bool {
		metrics = p.metrics()
		return !slices.ContainsFunc(want, func(line string) bool { return !strings.Contains(metrics, line+"\n") })
	})
	if strings.Contains(metrics, "alice") || strings.Contains(metrics, id) {
		t.Error("the metrics tell who it was")
	}

	until(t, "all is in the audit log", p.process, func() bool { return strings.Count(p.output(), `"event":"session_ended"`) >= len(ended) })
	for _, r := range p.audited() {
		switch r["event"] {
		case "session_ended":
			if reason, ok := ended[r["session_id"]]; !ok || reason != r["reason"] || r["manager"] != "shop" {
				t.Errorf("the audit log has %v, want the reason %q", r, reason)
			}
			delete(ended, r["session_id"])
		case "session_refused":
			if r["kind"] != "malformed" && r["kind"] != "spoofed" {
				t.Errorf("the audit log has %v", r)
			}
		}
	}
	if len(ended) != 0 {
		t.Errorf("the audit log does not tell of %v", ended)
	}
	events := make(map[string]int)
	for _, r := range p.audited() {
		events[r["event"]]++
	}
	if events["session_created"] != 7 || events["session_rotated"] != 1 || events["session_refused"] != 2 {
		t.Errorf("the audit log has %v", events)
	}
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		if strings.Contains(p.output(), name) {
			t.Errorf("the log tells of %s", name)
		}
	}
}

// metrics returns what Prometheus would read.
func (p *proxy) metrics() string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.admin+"/metrics", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body)
}

// audited returns the records of the audit log.
func (p *proxy) audited() (records []map[string]string) {
	p.t.Helper()
	for line := range strings.Lines(p.output()) {
		var all map[string]any
		if json.Unmarshal([]byte(line), &all) != nil || all["logger"] != "sessions.audit" {
			continue
		}
		r := make(map[string]string)
		for name, value := range all {
			r[name] = fmt.Sprint(value)
		}
		records = append(records, r)
	}
	return records
}
