package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// streamBound is how long a stream may outlive its session.
const streamBound = 10 * time.Second

// ended notes that the session has ended for good, which listeners hear.
func (b *browser) ended(why string) {
	b.w.hooks.owe(b.id)
	b.w.counts.ends.Add(1)
	b.w.bury(b.ticket, why)
	b.forget(why)
}

// destroy ends the session; it reports whether that was acknowledged.
func (b *browser) destroy() {
	a := b.send("destroy", do{Action: "destroy"}, 0)
	switch {
	case b.gone(a):
	case a.outcome() == acknowledged && !a.cleared:
		b.w.violation(b.l, "destroyed, and the cookie stays")
	case a.outcome() == acknowledged:
		b.ended("it was destroyed")
	case a.outcome() == unknown:
		b.open, b.since = true, b.w.now()
	default:
		b.w.violation(b.l, "destroy is answered %d %s", a.status, a.problem)
	}
}

// revoke ends the session as an operator does.
func (b *browser) revoke() {
	if b.open {
		b.read()
		return
	}
	ctx, cancel := context.WithTimeout(b.w.ctx, patience)
	defer cancel()
	status, text, err := b.w.proxy.call(ctx, http.MethodDelete, "/sessions/managers/"+b.manager+"/sessions/"+b.id, "", "")
	b.l.note("revoke: %d %s %v", status, text, err)
	switch {
	case err != nil || status >= http.StatusInternalServerError:
		b.open, b.since = true, b.w.now()
	case status == http.StatusOK:
		b.ended("it was revoked")
	case status == http.StatusNotFound && !b.w.calm(late): // while the configuration is changed, it may not be there yet
	default:
		b.w.violation(b.l, "the operator's revocation is answered %d %s", status, text)
	}
}

// stream opens a stream, ends its session, and waits until the stream has ended.
func (b *browser) stream(path string) {
	if b.open || !b.w.token() {
		return
	}
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(b.w.ctx, "tcp", b.w.proxy.address(b.manager))
	if err != nil {
		return
	}
	defer conn.Close()
	r, err := b.w.request(b.w.ctx, b.ticket, path, do{})
	if err != nil {
		return
	}
	r.Method, r.Header["Accept"] = http.MethodGet, []string{"text/event-stream"}
	if path == "/socket" {
		r.Header = http.Header{
			"Cookie": r.Header["Cookie"], "Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if r.Write(conn) != nil {
		return
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, r) //nolint:bodyclose // the connection is closed
	if err != nil || resp.StatusCode/100 > 2 {
		return
	}
	if _, err := in.Peek(1); err != nil {
		return
	}
	b.w.counts.streams.Add(1)
	b.l.note("%s is open", path)
	l, before := b.l, b.w.counts.ends.Load()
	b.destroy()
	if b.value != "" || b.w.counts.ends.Load() == before {
		return // it was not acknowledged
	}
	_ = conn.SetDeadline(time.Now().Add(streamBound))
	if n, err := io.Copy(io.Discard, in); err != nil && isTimeout(err) && b.w.ctx.Err() == nil {
		b.w.violation(l, "%s goes on for %s after its session was destroyed, %d bytes", path, streamBound, n)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // io.Copy returns it as it is
	return ok && e.Timeout()
}

// presentDead presents a ticket whose session has ended, or that was replaced.
func (b *browser) presentDead() {
	t, ok := b.w.anyDead(b.r)
	if !ok {
		return
	}
	b.w.counts.dead.Add(1)
	if a := b.w.ask(t, do{}, 0); a.State == "active" {
		b.w.violation(t.l, "a ticket is good again: %s. It is shown %+v", t.why, a.Data)
	}
}

// cross presents this ticket to another manager.
func (b *browser) cross() {
	t := b.ticket
	for t.manager == b.manager {
		t.manager = managers[b.r.IntN(len(managers))].name
	}
	a := b.w.ask(t, do{}, 0)
	if a.State != "" && a.State != "new" || a.Data.Owner != "" {
		b.w.violation(b.l, "manager %s shows this session: %s", t.manager, a.text())
	}
}

func (b *browser) park() {
	if !b.open {
		b.w.park(parked{b.ticket, b.id})
		b.forget("parked")
	}
}

// unpark goes on with a session that was left alone for a while.
func (b *browser) unpark() {
	if b.open {
		return
	}
	p, ok := b.w.unpark(b.r)
	if !ok {
		return
	}
	b.w.park(parked{b.ticket, b.id})
	b.ticket, b.id, b.signedIn = p.ticket, p.id, false
	b.read()
}

// brief lets the session expire.
func (b *browser) brief() {
	if b.open {
		return
	}
	a := b.send("expire soon", do{Timeout: `{"idle":1}`}, 0)
	if b.gone(a) {
		return
	}
	if a.outcome() != acknowledged {
		b.forget("it may expire soon")
		return
	}
	select {
	case <-time.After(3 * time.Second):
	case <-b.w.ctx.Done():
		return
	}
	if a := b.w.ask(b.ticket, do{}, 0); a.State == "active" {
		b.w.violation(b.l, "it expires after a second, and is active after three")
	}
	b.ended("it has expired")
}
