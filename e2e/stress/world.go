package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// moment is when something happened: in which run of the proxy, and when.
type moment struct {
	run int64
	at  time.Time
}

// late is how long after its client has gone a request may still be carried out.
const late = 15 * time.Second

// world is what all parts of the program share.
type world struct {
	settings
	ctx    context.Context
	cancel context.CancelCauseFunc
	tokens chan struct{} // one for each request
	counts counts
	app    *app
	hooks  *hooks
	proxy  *proxy

	runs      atomic.Int64 // of the proxy, so far
	calls     atomic.Int64 // to name sessions
	disturbed atomic.Int64 // disturbances under way
	calmSince atomic.Int64 // Unix milliseconds of the last recovery

	mu     sync.Mutex
	phases []string // what was done to the proxy
	dead   []ticket // that must never be good again
	parked []parked
}

// ticket is what a browser presents to a manager.
type ticket struct {
	manager string
	value   string
	why     string // it is dead
	l       *ledger
}

// parked is a session that is not used for a while.
type parked struct {
	ticket
	id string
}

// seeded is a random generator of one worker's own.
func (w *world) seeded(worker uint64) *rand.Rand { return rand.New(rand.NewPCG(w.Seed, worker)) }

func (w *world) now() moment { return moment{w.runs.Load(), time.Now()} }

// over reports whether a request that was given up then can no longer write:
// its proxy is gone, or it had time enough.
func (w *world) over(m moment) bool {
	return m.run < w.runs.Load() || w.calm(late) && time.Since(m.at) > late
}

// calm reports whether nothing has disturbed the proxy for that long.
func (w *world) calm(d time.Duration) bool {
	return w.disturbed.Load() == 0 && time.Since(time.UnixMilli(w.calmSince.Load())) > d
}

// token waits until one more request may be sent.
func (w *world) token() bool {
	select {
	case <-w.tokens:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// handOut hands out tokens at the wanted rate, and saves none.
func (w *world) handOut() {
	t := time.NewTicker(time.Second / time.Duration(w.Rate))
	defer t.Stop()
	for {
		select {
		case <-t.C:
			select {
			case w.tokens <- struct{}{}:
			default:
			}
		case <-w.ctx.Done():
			return
		}
	}
}

// violation ends the run; the first one counts. The description ends with the
// last events of the session and with what was done to the proxy.
func (w *world) violation(l *ledger, format string, args ...any) {
	var text strings.Builder
	fmt.Fprintf(&text, format, args...)
	if l != nil {
		text.WriteString("\n  " + l.String())
	}
	w.mu.Lock()
	for _, phase := range w.phases[max(0, len(w.phases)-12):] {
		text.WriteString("\n  done: " + phase)
	}
	w.mu.Unlock()
	w.cancel(fmt.Errorf("%w: %s", errViolation, text.String()))
}

// did notes what was done to the proxy.
func (w *world) did(format string, args ...any) {
	line := time.Now().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)
	w.mu.Lock()
	w.phases = append(w.phases, line)
	w.mu.Unlock()
	if w.Verbose {
		fmt.Fprintln(os.Stderr, line)
	}
}

// bury notes a ticket that must not be good any more.
func (w *world) bury(t ticket, why string) {
	if t.value == "" {
		return
	}
	t.why = why
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.dead) >= 5000 {
		w.dead[rand.IntN(len(w.dead))] = t
		return
	}
	w.dead = append(w.dead, t)
}

func (w *world) anyDead(r *rand.Rand) (ticket, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.dead) == 0 {
		return ticket{}, false
	}
	return w.dead[r.IntN(len(w.dead))], true
}

// park puts a session aside; its user has gone.
func (w *world) park(p parked) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.parked) < 5000 {
		w.parked = append(w.parked, p)
	}
}

// unpark takes one of those sessions; no other act uses it meanwhile.
func (w *world) unpark(r *rand.Rand) (parked, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.parked) == 0 {
		return parked{}, false
	}
	i, last := r.IntN(len(w.parked)), len(w.parked)-1
	w.parked[i], w.parked[last] = w.parked[last], w.parked[i]
	p := w.parked[last]
	w.parked = w.parked[:last]
	return p, true
}
