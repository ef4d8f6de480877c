package sessionproxy

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

// finalize settles the session before a final status goes to the client: it
// commits, and sets or clears the ticket, or it replaces the response. Called
// once, with mu held.
func (w *writer) finalize(status int) {
	w.decided = true
	h := w.Header()
	defer func() { w.watch(status, h) }()
	ours := mentionsUs(h)
	writes := ours && hasWrites(h) || w.x.wrote()
	var cookies *change.Cookies
	if w.cookies != nil {
		cookies = w.takeCookies(h, status)
	}
	out, err := w.settle(h, status, writes, cookies)
	if err != nil {
		out = out.Then(w.x.rollBack(w.r.Context(), staged)) // a problem says what became of the writes
		restart := w.mayRestart(err)
		w.x.end(staged) // the app's further calls are of no request
		if restart {
			w.restart(h, cookies)
			return
		}
		w.h.metrics.countRefused(err)
		w.replaceWithProblem(h, newProblem(err, w.id.String()))
		_ = w.setTicket(h, out) // of an early commit, or of cookies: whatever the status
		w.snapshot(h)           // what its proxy still adds is the app's: trailers, for instance
		return
	}
	w.scrubResponse(h, ours)
	if err := w.setTicket(h, out); err != nil {
		w.replaceWithProblem(h, newProblem(err, w.id.String()))
	}
}

// settle commits what a response of that status may write, and drops the rest.
func (w *writer) settle(h http.Header, status int, writes bool, cookies *change.Cookies) (out session.Outcome, err error) {
	answered := status != StatusClientGone || w.r.Context().Err() == nil
	if answered && w.h.commits(status) {
		out, err = w.commit(h, writes, cookies)
		if err == nil && w.attempt > 1 && !out.Reapplied {
			w.h.metrics.conflictRestarted.Inc()
		}
		return out, err
	}
	if writes {
		w.h.metrics.rolledBack.Inc()
	}
	if answered && cookies != nil { // the app has done what they tell
		return w.commitCookiesAlone(h, cookies)
	}
	return w.x.rollBack(w.r.Context(), extentOf(h)), nil
}

// commits reports whether a response with that status may write.
func (h *Handler) commits(status int) bool {
	return status < 500 || h.CommitAny
}

func (w *writer) commit(h http.Header, writes bool, cookies *change.Cookies) (session.Outcome, error) {
	if !writes && !w.h.createAlways && cookies == nil {
		return w.x.commit(w.r.Context(), change.Changes{CanSetTicket: w.canSetTicket()}) // writes nothing
	}
	changes, err := readWrites(h, w.h.Manager.Policy().MaxSize)
	if err != nil {
		if cookies != nil {
			out, _ := w.commitCookiesAlone(h, cookies)
			return out, err
		}
		return session.Outcome{}, err
	}
	if _, err := w.h.ring(); err != nil { // before the commit: without it no ticket can follow
		return session.Outcome{}, err
	}
	if changes.Destroy && !changes.Rollback && writesBeside(h) {
		w.h.metrics.void.Inc()
		if w.h.EndsAndWrites != nil {
			w.h.EndsAndWrites()
		}
	}
	changes.CanSetTicket = w.r.Context().Err() == nil
	if changes.Cookies = cookies; cookies != nil {
		cookies.Handed = w.restartable()
	}
	ctx, cancel := w.h.commitContext(w.r)
	defer cancel()
	return w.x.commit(ctx, changes)
}

// commitCookiesAlone commits the cookies of a response, and drops its writes.
func (w *writer) commitCookiesAlone(h http.Header, cookies *change.Cookies) (session.Outcome, error) {
	if _, err := w.h.ring(); err != nil { // before the commit: without it no ticket can follow
		return session.Outcome{}, err
	}
	ctx, cancel := w.h.commitContext(w.r)
	defer cancel()
	changes, _ := readWrites(h, w.h.Manager.Policy().MaxSize) // to be told of as dropped
	changes.Rollback, changes.Cookies, changes.CanSetTicket = true, cookies, w.r.Context().Err() == nil
	return w.x.commit(ctx, changes)
}

// canSetTicket reports whether the response can bring the client a ticket that
// replaces one by timer, if the policy has a timer.
func (w *writer) canSetTicket() bool {
	if !w.h.rotates || w.r.Context().Err() != nil {
		return false
	}
	_, err := w.h.ring()
	return err == nil
}

// setTicket tells the client what the commit changed for it.
func (w *writer) setTicket(h http.Header, out session.Outcome) error {
	if w.cookies != nil {
		w.endCookies(h, &out)
	}
	if out.ClearTicket && w.presented != 0 {
		for i, c := range w.h.Carriers {
			if w.presented.has(i) {
				c.Clear(h, w.secure)
				w.ticketed = true
			}
		}
		return nil
	}
	if out.Ticket == nil {
		return nil
	}
	var text string
	for i, c := range w.h.Carriers {
		if !w.reply.has(i) || !out.Created && !out.Rotated && !out.Stale && !out.Resend && !out.Persist && !c.NeedsRenewal() {
			continue
		}
		if out.Persist {
			c = ticket.Persistent(c)
		}
		if text == "" {
			ring, err := w.h.ring()
			if err != nil {
				return err
			}
			t := ticket.Ticket{Number: out.Ticket.Number, Nonce: out.Ticket.Nonce}
			text = ring.Sign(w.scope, t)
		}
		c.Set(h, text, w.secure, out.Lifetime)
		w.ticketed = true
	}
	return nil
}

// scrubResponse removes from a final response what is not for the client, before a
// ticket of ours is added.
func (w *writer) scrubResponse(h http.Header, ours bool) {
	if w.h.Misspelt != nil {
		for name := range h {
			if misspelt(name) {
				w.h.Misspelt(name)
			}
		}
	}
	if ours {
		for _, name := range writeHeaders {
			delete(h, name)
		}
		w.h.count(w.h.metrics.echo, scrubHeader(h, w.h))
	}
	w.h.count(w.h.metrics.setCookie, w.h.stripSetCookie(h))
	w.h.count(w.h.metrics.ticketHeader, ticket.StripHeaders(h, w.h.names)+ticket.StripTickets(h, w.h.keys()))
	for _, name := range w.h.vary { // caches know of cookies and Authorization, not of this
		h.Add("Vary", name)
	}
}

// stripSetCookie removes the cookies by which the app would replace the ticket.
func (h *Handler) stripSetCookie(header http.Header) (removed int) {
	if _, ok := header["Set-Cookie"]; !ok {
		return 0
	}
	removed, own := ticket.StripSet(header, h.names, h.keys())
	if h.CookieRemoved != nil {
		for _, name := range own {
			h.CookieRemoved(name)
		}
	}
	return removed
}

// replaceWithProblem drops the app's response, in favour of a problem.
func (w *writer) replaceWithProblem(h http.Header, p *Problem) {
	w.problem = p
	app := maps.Clone(h)
	if !isEventStream(h) { // which never ends
		w.discardable, w.until = maxDiscard, time.Now().Add(discardTime)
	} else if w.cancel != nil {
		w.cancel()
	}
	w.reset(h)
	w.readable(h, app)
}

// readable gives the problem what lets a script of another origin read it,
// from the header of the app's response.
func (w *writer) readable(h, app http.Header) {
	for name, values := range app {
		if (name == "Vary" || strings.HasPrefix(name, "Access-Control-")) && !ticket.Holds(values, w.h.keys()) {
			h[name] = values
		}
	}
	w.snapshot(h)
}

// reset makes the header map what it would be without the app.
func (w *writer) reset(h http.Header) {
	clear(h)
	for _, f := range w.before {
		h[f.name] = f.values
	}
}

// mentionsUs reports whether there is anything for scrubHeader or readWrites:
// most responses have nothing, and one look at their names is enough.
func mentionsUs(h http.Header) bool {
	for name := range h {
		if isReserved(name) || name == "Trailer" || strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// scrubHeader removes all names of ours, as header, as trailer by Go's prefix,
// and from the list that announces trailers; from there names that carry
// tickets, too.
func scrubHeader(h http.Header, of *Handler) (removed int) {
	if !mentionsUs(h) {
		return 0
	}
	for name := range h {
		if isReserved(name) { // ours, or meant to be
			delete(h, name)
			removed++
		}
	}
	unwanted := func(name string) bool { return isNoTrailer(name) || of.names.HasHeader(name) }
	for name, values := range h {
		if after, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && (unwanted(after) || ticket.Holds(values, of.keys())) {
			delete(h, name)
			removed++
		}
	}
	if lines, ok := h["Trailer"]; ok {
		removed += stripTokens(h, "Trailer", lines, unwanted)
	}
	return removed
}

// isNoTrailer reports whether a header may not follow the body: our own, and
// cookies, which have no place there (RFC 9110 §6.5.1).
func isNoTrailer(name string) bool { return isReserved(name) || strings.EqualFold(name, "Set-Cookie") }

// contentLength returns the length that a response announces, or -1.
func contentLength(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
