package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// answer is what a client got.
type answer struct {
	said
	status  int
	problem string // the type of a problem document of the proxy's
	ticket  string // a new one
	cleared bool   // the ticket
	err     error
}

func (a answer) outcome() outcome {
	switch {
	case a.err != nil || a.status >= http.StatusBadGateway:
		return unknown
	case a.status == http.StatusOK && a.Error == "":
		return acknowledged
	case a.status == http.StatusOK:
		return unknown // of a write at the endpoint
	default:
		return refused
	}
}

// patience is how long a client waits. An answer that takes longer while
// nothing is disturbed is a violation.
const patience = 30 * time.Second

func (w *world) request(ctx context.Context, t ticket, path string, d do) (*http.Request, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.proxy.address(t.manager)+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Do", string(text))
	if t.value != "" {
		r.Header.Set("Cookie", t.manager+"_ticket="+t.value)
	}
	return r, nil
}

// ask sends one request, within the wanted rate, and gives it up after a
// while if told to.
func (w *world) ask(t ticket, d do, giveUp time.Duration) (a answer) {
	if !w.token() {
		return answer{err: w.ctx.Err()}
	}
	wait := patience
	if giveUp > 0 {
		wait = giveUp
	}
	ctx, cancel := context.WithTimeout(w.ctx, wait)
	defer cancel()
	r, err := w.request(ctx, t, "/", d)
	if err != nil {
		return answer{err: err}
	}
	w.counts.requests.Add(1)
	resp, err := w.http.Do(r)
	if err != nil {
		w.unanswered(err, giveUp)
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.unanswered(err, giveUp)
		return answer{err: err}
	}
	a = answer{status: resp.StatusCode}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		var p struct{ Type string }
		_ = json.Unmarshal(body, &p)
		a.problem = strings.TrimPrefix(p.Type, "urn:sessionproxy:")
	} else if err := json.Unmarshal(body, &a.said); err != nil && a.status < http.StatusInternalServerError {
		a.err = err
	}
	for _, c := range resp.Cookies() {
		if c.Name == t.manager+"_ticket" {
			a.ticket, a.cleared = c.Value, c.MaxAge < 0
		}
	}
	w.count(a)
	return a
}

func (w *world) unanswered(err error, giveUp time.Duration) {
	w.counts.unanswered.Add(1)
	if giveUp == 0 && errors.Is(err, context.DeadlineExceeded) && w.calm(2*patience) {
		w.violation(nil, "no answer within %s while nothing is disturbed: %v", patience, err)
	}
}

func (w *world) count(a answer) {
	if a.outcome() == acknowledged {
		w.counts.answered.Add(1)
	}
	if a.problem == "" {
		return
	}
	w.counts.problem(a.problem)
	if a.problem == "unavailable" && w.calm(w.Bound) {
		w.violation(nil, "the store is unavailable, and nothing was disturbed for %s", w.Bound)
	}
}
