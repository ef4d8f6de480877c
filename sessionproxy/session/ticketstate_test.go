package session_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

const lateWindow = 10 * time.Second

// TestALostAnswer: the visitor has the ticket from before, and whatever was
// lost can be done again at once. Other writes are possible after the window.
func TestALostAnswer(t *testing.T) {
	signIn := change.Changes{Principal: new("alice")}
	regenerate := change.Changes{Regenerate: true, Ops: replace(`{"in":true}`).Ops}
	for name, lost := range map[string]change.Changes{"sign-in": signIn, "sign-out": {Principal: new("")}, "regenerate": regenerate} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			old := s.Begin(`{"cart":1}`)
			unseen := *s.Commit(s.Open(old), lost).Ticket
			h := s.Open(old)
			if h.State() != session.Expired || string(h.Data()) != `{}` || h.ID() == old.ID {
				t.Fatalf("the old ticket sees %s %s", h.State(), h.Data())
			}
			s.refused(s.Open(old), sessiontest.MergePatch(t, `{"a":1}`), session.ErrReplaced)
			for _, again := range []change.Changes{signIn, regenerate} {
				out := s.Commit(s.Open(old), again)
				if !out.Created || out.Ticket == nil || out.Ticket.ID == old.ID {
					t.Fatalf("again: %+v", out)
				}
				if h := s.Open(*out.Ticket); h.State() != session.Active {
					t.Fatalf("the ticket of the repetition is %s", h.State())
				}
			}
			if out := s.Commit(s.Open(old), change.Changes{Principal: new("")}); out.Ticket != nil || out.ClearTicket {
				t.Errorf("a sign-out again: %+v", out)
			}
			s.clock.advance(lateWindow - 1)
			s.refused(s.Open(old), sessiontest.MergePatch(t, `{"a":1}`), session.ErrReplaced)
			s.clock.advance(1)
			if out := s.Commit(s.Open(old), sessiontest.MergePatch(t, `{"a":1}`)); !out.Created || s.Data(*out.Ticket) != `{"a":1}` {
				t.Errorf("after the window: %+v", out)
			}
			if s.Open(unseen).State() != session.Active {
				t.Error("the session whose ticket was lost has ended")
			}
		})
	}
}

// TestADoubleClick: two sign-ins that were opened at once are both answered
// with a ticket that is signed in, under every policy and kind of store.
func TestADoubleClick(t *testing.T) {
	for _, policy := range []session.Locking{session.Lossy, session.Optimistic, session.Serialized} {
		for _, updater := range []bool{false, true} {
			s := newHeard(t, updater, locking(policy))
			c := s.Begin(`{"cart":1}`)
			signIn := change.Changes{Principal: new("alice"), Ops: sessiontest.MergePatch(t, `{"in":true}`).Ops}
			first := s.Open(c)
			var second *session.Session
			if policy != session.Serialized {
				second = s.Open(c)
			}
			a := s.Commit(first, signIn)
			if policy == session.Serialized { // it has queued for the lock
				second = s.Open(c)
			}
			b := s.Commit(second, signIn)
			if second.ID() == c.ID && policy == session.Serialized {
				t.Fatal("the second was opened with a replaced ticket")
			}
			for _, got := range []session.Outcome{a, b} {
				if got.Ticket == nil {
					t.Fatalf("%v, updater %v: got %+v", policy, updater, got)
				}
				h := s.Open(*got.Ticket)
				if h.Meta().Principal != "alice" {
					t.Errorf("%v, updater %v: got %+v", policy, updater, h.Meta())
				}
				h.Rollback()
			}
			if got := s.Data(*b.Ticket); got != `{"in":true}` {
				t.Errorf("the second session has %s", got)
			}
			again, err := second.Successor().Reopen(t.Context())
			if err != nil || again.ID() != b.Ticket.ID {
				t.Fatalf("after the headers: %v", err)
			}
			s.Commit(again, sessiontest.MergePatch(t, `{"after":1}`))
		}
	}
}

// TestALostRotation: the previous ticket stays good until the current one has
// arrived, then for the grace; never for more than two periods.
func TestALostRotation(t *testing.T) {
	for _, updater := range []bool{false, true} {
		s := newHeard(t, updater, rotating)
		old := s.due(`{"a":1}`)
		lost := *s.Commit(s.Open(old), read).Ticket
		s.clock.advance(rotateEvery + 1)
		out := s.Commit(s.Open(old), read)
		if out.Ticket == nil || *out.Ticket != lost || out.Rotated {
			t.Fatalf("after a period: %+v", out)
		}
		s.Commit(s.Open(lost), read) // it has arrived: no rotation yet, other requests are on their way
		s.clock.advance(grace - 1)
		s.Data(old)
		s.clock.advance(1)
		if got := s.Open(old).State(); got != session.Expired {
			t.Errorf("after the grace it is %s", got)
		}
		if out := s.Commit(s.Open(lost), read); !out.Rotated {
			t.Errorf("the next rotation is due: %+v", out)
		}
		s.clock.advance(2 * rotateEvery)
		if got := s.Open(lost).State(); got != session.Expired {
			t.Errorf("after two periods it is %s", got)
		}
	}
}

// TestTicketsOverTime plays a browser on a bad network: answers are lost,
// buttons are clicked twice, tabs are late.
func TestTicketsOverTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := unmanaged(t)
		s.Manager = s.manager(session.Fixed(s.Store), func(p *session.Policy) {
			p.IdleTimeout, p.MaxIdle, p.AbsoluteTimeout = 12*time.Hour, 12*time.Hour, 12*time.Hour
			if rapid.Bool().Draw(rt, "timer") {
				rotating(p)
			}
		})
		v := &visitor{rt: rt, site: s, former: map[session.Credential]bool{}}
		v.take(s.Commit(s.Open(), sessiontest.MergePatch(t, `{"by":"nobody"}`)))
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			rapid.SampledFrom([]func(){v.signIn, v.signOut, v.doubleClick, v.read, v.lateTab, v.wait}).Draw(rt, "step")()
			v.check()
		}
	})
}

// visitor is a browser with one cookie.
type visitor struct {
	rt     *rapid.T
	site   *site
	cookie session.Credential
	former map[session.Credential]bool // tickets that a sign-in or sign-out has replaced
	live   *session.Credential         // the last sign-in's, whether or not it arrived
}

// take lets the browser receive an answer, or lose it.
func (v *visitor) take(out session.Outcome) {
	if out.Ticket != nil && !rapid.Bool().Draw(v.rt, "lost") {
		v.cookie = *out.Ticket
	}
}

func (v *visitor) commit(h *session.Session, c change.Changes) session.Outcome {
	out, err := h.Commit(v.site.T.Context(), carrying(c))
	if err != nil {
		v.rt.Fatalf("refused: %v", err)
	}
	return out
}

func (v *visitor) signingIn() change.Changes {
	return change.Changes{Principal: new("alice"), Ops: sessiontest.MergePatch(v.site.T, `{"by":"alice"}`).Ops}
}

// signIn is a sign-in with whatever ticket the browser has. It is never refused.
func (v *visitor) signIn() {
	before := v.cookie
	out := v.commit(v.site.Open(before), v.signingIn())
	if out.Ticket == nil {
		v.rt.Fatal("a sign-in without a ticket")
	}
	v.former[before], v.live = true, out.Ticket
	v.take(out)
}

func (v *visitor) signOut() {
	before := v.cookie
	out := v.commit(v.site.Open(before), change.Changes{Principal: new("")})
	v.former[before] = true
	if out.Rotated {
		v.live = nil
	}
	v.take(out)
}

func (v *visitor) doubleClick() {
	before := v.cookie
	first, second := v.site.Open(before), v.site.Open(before)
	outs := []session.Outcome{v.commit(first, v.signingIn()), v.commit(second, v.signingIn())}
	v.former[before] = true
	for _, out := range outs {
		if out.Ticket == nil || v.site.Open(*out.Ticket).Meta().Principal != "alice" {
			v.rt.Fatalf("one of two sign-ins got %+v", out)
		}
		v.live = out.Ticket
		v.take(out)
	}
}

func (v *visitor) read() { v.take(v.commit(v.site.Open(v.cookie), change.Changes{})) }

func (v *visitor) wait() {
	d := rapid.SampledFrom([]time.Duration{time.Second, lateWindow - time.Second, grace, rotateEvery, time.Hour / 4}).Draw(v.rt, "wait")
	v.site.clock.advance(d)
}

// lateTab writes and signs out with a ticket from before a sign-in.
func (v *visitor) lateTab() {
	for c := range v.former {
		out, err := v.site.Open(c).Commit(v.site.T.Context(), carrying(sessiontest.MergePatch(v.site.T, `{"by":"late"}`)))
		switch {
		case errors.Is(err, session.ErrReplaced):
		case err != nil:
			v.rt.Fatalf("a late tab: %v", err)
		case !out.Created:
			v.rt.Fatalf("a late tab wrote into a session: %+v", out)
		}
		if out := v.commit(v.site.Open(c), change.Changes{Destroy: true}); out.Destroyed {
			v.rt.Fatal("a late tab ended a session")
		}
	}
}

// check holds in every state.
func (v *visitor) check() {
	for c := range v.former {
		if h := v.site.Open(c); h.State() == session.Active || string(h.Data()) != `{}` {
			v.rt.Fatalf("a replaced ticket sees %s %s", h.State(), h.Data())
		}
	}
	if v.live != nil && !v.former[*v.live] {
		rec, err := v.site.Store.Load(v.site.T.Context(), keyOf(v.site.Open(*v.live)))
		if err == nil && string(rec.Data) != `{"by":"alice"}` {
			v.rt.Fatalf("the session of the last sign-in has %s", rec.Data)
		}
	}
}
