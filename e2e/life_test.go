package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestRevokeAsAnOperator signs one person in on three browsers, ends one
// session, and sees its streams close and nothing else.
func TestRevokeAsAnOperator(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shopSite("", "", shop(t)))
	desk, phone, tablet, bob := p.client(t), p.client(t), p.client(t), p.client(t)
	ids := make(map[*client]string)
	for _, c := range []*client{desk, phone, tablet} {
		ids[c], _, _ = c.do("login=alice")
	}
	ids[bob], _, _ = bob.do("login=bob")

	if got := p.listed("--principal", "alice"); len(got) != 3 || slices.Contains(got, ids[bob]) {
		t.Fatalf("alice has %v, want %v", got, ids)
	}
	if out, status := p.operate("ls"); status != 0 || !strings.Contains(out, "shop") || !strings.Contains(out, "4") {
		t.Errorf("ls: [%d] %s", status, out)
	}
	if out, status := p.operate("show", "shop", ids[desk]); status != 0 || !strings.Contains(out, ids[desk]) || !strings.Contains(out, "alice") {
		t.Errorf("show: [%d] %s", status, out)
	}

	socket, events, other := desk.webSocket(), desk.eventStream(), phone.webSocket()
	if _, open := p.stats(); open != 3 {
		t.Errorf("%d streams are open", open)
	}
	if out, status := p.operate("revoke", "shop", ids[desk]); status != 0 || !strings.Contains(out, "ended 1 session") {
		t.Fatalf("revoke: [%d] %s", status, out)
	}
	socket.ends()
	events.ends()
	desk.wantState("expired")
	phone.wantState("active")
	if _, open := p.stats(); open != 1 {
		t.Errorf("%d streams are open", open)
	}

	if out, status := p.operate("revoke", "shop", "--principal", "alice", "--except", ids[tablet]); status != 0 || !strings.Contains(out, "ended 1 session") {
		t.Fatalf("revoke but one: [%d] %s", status, out)
	}
	other.ends()
	phone.wantState("expired")
	tablet.wantState("active")
	if out, status := p.operate("revoke", "shop", "--principal", "alice"); status != 0 || !strings.Contains(out, "ended 1 session") {
		t.Fatalf("revoke everywhere: [%d] %s", status, out)
	}
	tablet.wantState("expired")
	bob.wantState("active")
	if got := p.listed(); !slices.Equal(got, []string{ids[bob]}) {
		t.Errorf("%v are left, want that of bob, %s", got, ids[bob])
	}

	// A user who was signed out begins anew.
	if id, _, _ := desk.do("login=alice"); id == ids[desk] {
		t.Error("an ended session came back")
	}
	desk.wantState("active")
	if out, status := p.operate("purge", "shop", "--yes"); status != 0 || !strings.Contains(out, "ended 2 sessions") {
		t.Errorf("purge: [%d] %s", status, out)
	}
	if out, status := p.operate("ls", "shop"); status != 3 {
		t.Errorf("ls: [%d] %s", status, out)
	}
}
