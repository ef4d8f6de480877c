package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// browser is one visitor of one manager: one session after the other, one
// request after the other.
type browser struct {
	w *world
	r *rand.Rand
	ticket
	id       string
	open     bool // a sign-in or an end of unknown outcome: the session may have gone
	since    moment
	signedIn bool
}

// act is something that a visitor does, and how often.
type act struct {
	name   string
	weight int
	do     func(*browser)
}

var acts = []act{
	{"write", 30, func(b *browser) { b.write(do{}, 0) }},
	{"read", 25, (*browser).read},
	{"endpoint", 8, func(b *browser) { b.write(do{Endpoint: true}, 0) }},
	{"late", 4, func(b *browser) { b.write(do{Endpoint: true, Late: true}, 0) }},
	{"rollback", 4, (*browser).rollback},
	{"lost", 6, (*browser).lose},
	{"signin", 5, func(b *browser) { b.rotate(do{Principal: fmt.Sprintf("%q", b.l.owner)}) }},
	{"signout", 2, func(b *browser) { b.rotate(do{Principal: "null"}) }},
	{"regenerate", 3, func(b *browser) { b.rotate(do{Action: "regenerate"}) }},
	{"lostlogin", 2, (*browser).loseSignIn},
	{"destroy", 4, (*browser).destroy},
	{"revoke", 1, (*browser).revoke},
	{"stream", 1, func(b *browser) { b.stream("/stream") }},
	{"socket", 1, func(b *browser) { b.stream("/socket") }},
	{"dead", 4, (*browser).presentDead},
	{"cross", 2, (*browser).cross},
	{"park", 3, (*browser).park},
	{"unpark", 3, (*browser).unpark},
	{"brief", 1, (*browser).brief},
}

func (b *browser) run() {
	total := 0
	for _, a := range acts {
		total += a.weight
	}
	for b.w.ctx.Err() == nil {
		if b.value == "" {
			b.begin()
			continue
		}
		n := b.r.IntN(total)
		for _, a := range acts {
			if n -= a.weight; n < 0 {
				if !b.w.skipped(a.name) {
					a.do(b)
				}
				break
			}
		}
	}
}

// patch is the write of an attempt.
func (b *browser) patch(a attempt) json.RawMessage {
	return fmt.Appendf(nil, `{"owner":%q,"values":{%q:%d}}`, b.l.owner, a.writer, a.value)
}

// forget leaves a session alone.
func (b *browser) forget(why string) {
	b.l.note("left alone: %s", why)
	b.ticket, b.id, b.open, b.signedIn = ticket{manager: b.manager}, "", false, false
}

func (b *browser) begin() {
	b.l = newLedger(fmt.Sprintf("%s-%d", b.manager, b.w.calls.Add(1)))
	at := b.l.begin("a", 1, b.w.now())
	a := b.w.ask(b.ticket, do{Patch: b.patch(at), Add: json.RawMessage(`{"sum":1}`)}, 0)
	b.l.note("begin: %s", a.text())
	b.l.end(at, a.outcome())
	switch {
	case a.outcome() != acknowledged:
		b.w.pause(a)
	case a.ticket == "":
		b.w.violation(b.l, "a session began, and its browser got no ticket")
	default:
		b.value, b.id = a.ticket, a.ID
		b.w.counts.sessions.Add(1)
	}
}

// send sends a request, and looks at what the app was shown.
func (b *browser) send(name string, d do, giveUp time.Duration) answer {
	m := b.l.mark()
	settled := b.l.settled(b.w.over)
	a := b.w.ask(b.ticket, d, giveUp)
	b.l.note("%s: %s", name, a.text())
	if a.State == "" {
		b.w.pause(a)
		return a // the app did not answer
	}
	if a.State != "active" {
		if !b.open {
			b.w.violation(b.l, "the session is %s", a.State)
		}
		return a
	}
	if a.ID != b.id {
		b.w.violation(b.l, "the session is %s, and was %s", a.ID, b.id)
	}
	if err := b.l.check(m, a.Data); err != nil {
		b.w.violation(b.l, "%v", err)
	}
	if settled && d.Patch == nil {
		b.l.settle(a.Data)
	}
	if b.open && b.w.over(b.since) {
		b.open = false // it is alive, and nothing can end it any more
	}
	return a
}

// gone reports whether the session has ended, and leaves it alone if it has.
func (b *browser) gone(a answer) bool {
	if a.State == "" || a.State == "active" {
		return false
	}
	b.w.bury(b.ticket, "it was "+a.State+" once")
	b.forget("it is " + a.State)
	return true
}

func (b *browser) read() { b.gone(b.send("read", do{}, 0)) }

func (b *browser) write(d do, giveUp time.Duration) {
	if b.open { // a late tab writes nothing; it reads until it knows
		b.read()
		return
	}
	add := int64(0)
	if !d.Endpoint {
		add = 1 + b.r.Int64N(9)
		d.Add = fmt.Appendf(nil, `{"sum":%d}`, add)
	}
	alone := b.l.settled(b.w.over)
	at := b.l.begin("a", add, b.w.now())
	d.Patch = b.patch(at)
	if d.Sleep == 0 && b.r.IntN(4) == 0 {
		d.Sleep = b.r.IntN(20)
	}
	a := b.send(fmt.Sprintf("write %d", at.value), d, giveUp)
	b.l.end(at, a.outcome())
	if alone && b.w.calm(late) && (a.status == http.StatusConflict || a.status == http.StatusOK && a.Error != "") {
		b.w.violation(b.l, "a write is refused, and no other request uses this session: %s %s", a.problem, a.Error)
	}
	if a.outcome() == acknowledged {
		b.w.counts.writes.Add(1)
	}
	b.gone(a)
}

// rollback writes what must never be stored.
func (b *browser) rollback() {
	d := do{Patch: json.RawMessage(`{"values":{"a":-1}}`), Status: http.StatusInternalServerError}
	if b.r.IntN(2) == 0 {
		d.Status, d.Action = 0, "rollback"
	}
	b.gone(b.send("rollback", d, 0))
}

// lose goes away before the answer comes.
func (b *browser) lose() {
	b.w.counts.lost.Add(1)
	b.write(do{Sleep: b.r.IntN(10)}, time.Duration(1+b.r.IntN(15))*time.Millisecond)
}

// rotate replaces the ticket.
func (b *browser) rotate(d do) {
	if b.open {
		b.read()
		return
	}
	old := b.ticket
	a := b.send("rotate "+d.Principal+d.Action, d, 0)
	switch {
	case b.gone(a):
	case a.outcome() == unknown:
		b.open, b.since = true, b.w.now()
	case a.outcome() == refused:
		b.w.violation(b.l, "a sign-in is answered %d %s", a.status, a.problem)
	case a.ticket == "" && (d.Principal != "null" || b.signedIn):
		b.w.violation(b.l, "the ticket is to be replaced, and was not")
	case a.ticket != "":
		b.value, b.signedIn = a.ticket, d.Principal != "null" && (b.signedIn || d.Principal != "")
		b.w.bury(old, "it was replaced")
		b.w.counts.rotations.Add(1)
	}
}

// loseSignIn signs in, loses the answer, and signs in again with the old
// ticket, at once: credentials are enough, whatever became of the first time.
func (b *browser) loseSignIn() {
	if b.open {
		b.read()
		return
	}
	d := do{Principal: fmt.Sprintf("%q", b.l.owner), Sleep: b.r.IntN(10)}
	b.open, b.since = true, b.w.now()
	b.gone(b.send("sign-in, lost", d, time.Duration(1+b.r.IntN(25))*time.Millisecond))
	if b.value == "" {
		return
	}
	// A fresh session has these data alone.
	l := newLedger(b.l.owner)
	at := l.begin("a", 1, b.w.now())
	a := b.w.ask(b.ticket, do{Principal: d.Principal, Patch: b.patch(at), Add: json.RawMessage(`{"sum":1}`)}, 0)
	b.l.note("sign-in again: %s", a.text())
	l.end(at, a.outcome())
	switch {
	case a.outcome() == unknown:
	case a.outcome() == refused || a.ticket == "":
		b.w.violation(b.l, "whoever signs in again after a lost answer is answered %d %s, ticket: %v", a.status, a.problem, a.ticket != "")
	default:
		b.w.bury(b.ticket, "it was replaced")
		b.w.counts.rotations.Add(1)
		b.adopt(a.ticket, l)
		return
	}
	b.w.pause(a)
	b.forget("its sign-in is open")
}

// adopt finds out which session a ticket is of: the same as before, whose
// data the sign-in does not change, or a fresh one.
func (b *browser) adopt(value string, fresh *ledger) {
	b.value = value
	a := b.w.ask(b.ticket, do{}, 0)
	b.l.note("signed in: %s", a.text())
	switch {
	case a.State == "":
		b.forget("nobody knows which it is")
	case a.State != "active":
		b.w.violation(b.l, "just signed in, the session is %s", a.State)
	case a.ID == b.id:
		b.forget("the sign-in was in the same session")
	default:
		fresh.history = b.l.history
		b.l, b.id, b.open, b.signedIn = fresh, a.ID, false, true
		if a.Data.Owner != fresh.owner || a.Data.Values["a"] != 1 || a.Data.Sum < 1 {
			b.w.violation(b.l, "the sign-in's own write is missing: %+v", a.Data)
		}
		b.l.settle(a.Data)
	}
}

// text is an answer in the history of a session.
func (a answer) text() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %s, %s %+v %s", a.status, a.problem, a.State, a.Data, a.Error)
}

// pause lets a proxy that does not answer come back.
func (w *world) pause(a answer) {
	if a.err != nil || a.problem == "unavailable" {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-w.ctx.Done():
		}
	}
}
