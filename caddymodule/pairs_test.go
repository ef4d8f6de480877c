package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// operations is what the app of TestPairs can answer, for a request of a name.
var operations = map[string]func(w http.ResponseWriter, who string){
	"patch": func(w http.ResponseWriter, who string) {
		w.Header().Set("Session-Patch", `{"k":"`+who+`","`+who+`":1}`)
	},
	"replace":    func(w http.ResponseWriter, who string) { w.Header().Set("Session-Data", `{"k":"`+who+`"}`) },
	"destroy":    func(w http.ResponseWriter, _ string) { w.Header().Set("Session-Action", "destroy") },
	"regenerate": func(w http.ResponseWriter, _ string) { w.Header().Set("Session-Action", "regenerate") },
	"read":       func(http.ResponseWriter, string) {},
}

const pairsFile = "testdata/pairs.txt"

// TestPairs has two requests on one session at once, through the real proxy:
// the slow one is parked in the app, before its headers or in the middle of
// its body, while the fast one runs. Every pair of operations under every
// policy has its outcome in the table: both statuses, and what is stored.
func TestPairs(t *testing.T) {
	text, err := os.ReadFile(pairsFile)
	if err != nil && !*caddytest.Update {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if name, outcome, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " → "); ok {
			want[name] = outcome
		}
	}
	names := []string{"patch", "replace", "destroy", "regenerate", "read"}
	var table strings.Builder
	table.WriteString("# policy, place of the slow request's gate: slow operation, fast operation → statuses, what is stored\n" +
		"# before: {\"k\":\"0\",\"b\":1}; a patch sets k and a member of its own, a replacement k alone\n")
	for _, policy := range []string{"lossy", "optimistic fail", "optimistic merge", "optimistic restart", "serialized"} {
		p := newPairs(t, policy)
		for _, gate := range []string{"headers", "body"} {
			for _, slow := range names {
				for _, fast := range names {
					name := fmt.Sprintf("%s, %s: %s, %s", policy, gate, slow, fast)
					got := p.run(t, gate, slow, fast)
					fmt.Fprintf(&table, "%s → %s\n", name, got)
					if got != want[name] && !*caddytest.Update {
						t.Errorf("%s: %s, want %s", name, got, want[name])
					}
				}
			}
		}
		p.site.Stop()
	}
	if *caddytest.Update {
		if err := os.WriteFile(pairsFile, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// pairs is a proxy with one policy, in front of an app with a gate.
type pairs struct {
	site       *caddytest.Site
	serialized bool
	parked     chan chan struct{} // a request that has reached its gate
}

func newPairs(t *testing.T, policy string) *pairs {
	p := &pairs{site: caddytest.NewSite(t), serialized: policy == "serialized", parked: make(chan chan struct{})}
	locking := policy
	if name, way, ok := strings.Cut(policy, " "); ok {
		locking = name + " {\n on_conflict " + way + "\n}"
	}
	upstream := caddytest.App(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Has("begin"):
			w.Header().Set("Session-Data", `{"k":"0","b":1}`)
			return
		case q.Has("look"):
			_, _ = io.WriteString(w, r.Header.Get("Session-State")+" "+r.Header.Get("Session-Data"))
			return
		}
		var meta struct{ Attempt int }
		if err := json.Unmarshal([]byte(r.Header.Get("Session-Meta")), &meta); err != nil {
			t.Error(err)
		}
		if q.Get("gate") == "headers" && meta.Attempt == 1 {
			p.park()
		}
		operations[q.Get("op")](w, q.Get("who"))
		if q.Get("gate") == "body" {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			p.park()
		}
	})
	p.site.Load(p.site.Config("", "", "session shop {\n locking "+locking+"\n}\nreverse_proxy "+upstream))
	return p
}

func (p *pairs) park() {
	open := make(chan struct{})
	p.parked <- open
	<-open
}

// ended is a request that is over.
type ended struct {
	status int
	ticket string // that was set; "-" when it was cleared
}

// send makes a request. begun is closed when its headers have come: whatever
// they wrote is committed then.
func (p *pairs) send(t *testing.T, v *caddytest.Visitor, query, ticket string) (begun chan struct{}, done chan ended) {
	begun, done = make(chan struct{}), make(chan ended, 1)
	r, err := http.NewRequest(http.MethodGet, v.Base+"/?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", "shop_ticket="+ticket)
	client := &http.Client{Transport: v.Transport} // without the jar: a tab keeps what it had
	go func() {
		resp, err := client.Do(r)
		close(begun)
		if err != nil {
			t.Error(err)
			done <- ended{}
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		e := ended{status: resp.StatusCode}
		for _, c := range resp.Cookies() {
			if e.ticket = c.Value; c.MaxAge < 0 {
				e.ticket = "-"
			}
		}
		done <- e
	}()
	return begun, done
}

func (p *pairs) run(t *testing.T, gate, slow, fast string) string {
	t.Helper()
	v := p.site.Visitor()
	resp, _ := v.Fetch("/?begin")
	ticket := resp.Cookies()[0].Value
	slowBegun, slowDone := p.send(t, v, "op="+slow+"&who=s&gate="+gate, ticket)
	open := <-p.parked
	if gate == "body" {
		<-slowBegun
	}
	_, fastDone := p.send(t, v, "op="+fast+"&who=f", ticket)
	var s, f ended
	if p.serialized && gate == "headers" { // the fast one has to wait for its turn
		for !someoneWaits() {
			select {
			case f := <-fastDone:
				t.Fatalf("the fast one did not wait: %+v", f)
			default:
			}
		}
		close(open)
		s, f = <-slowDone, <-fastDone
	} else {
		f = <-fastDone
		close(open)
		s = <-slowDone
	}
	stored := "none"
	for _, candidate := range []string{f.ticket, s.ticket, ticket} {
		if candidate == "" || candidate == "-" {
			continue
		}
		r, err := http.NewRequest(http.MethodGet, v.Base+"/?look", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", "shop_ticket="+candidate)
		resp, err := (&http.Client{Transport: v.Transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if data, ok := strings.CutPrefix(string(text), string(session.Active)+" "); ok {
			stored = data
			break
		}
	}
	return fmt.Sprintf("%s, %s, %s", s, f, stored)
}

// String tells the status, and what became of the ticket.
func (e ended) String() string {
	switch e.ticket {
	case "":
		return fmt.Sprint(e.status)
	case "-":
		return fmt.Sprint(e.status, " cleared")
	}
	return fmt.Sprint(e.status, " new ticket")
}

func someoneWaits() (waits bool) {
	for _, db := range runtime.OpenStores() {
		for _, l := range db.Node.Locks.All() {
			waits = waits || l.Waiting > 0
		}
	}
	return waits
}
