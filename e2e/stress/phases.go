package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// phase is something that is done to the proxy under load.
type phase struct {
	name   string
	weight int
	do     func(w *world, r *rand.Rand) error // an error says that it could not be done, not that something is wrong
}

var phases = []phase{
	{"kill", 6, killPhase},
	{"stop", 4, stopPhase},
	{"reload", 8, reloadPhase},
	{"purge", 2, func(w *world, _ *rand.Rand) error { w.purge(); return nil }},
	{"disk", 3, diskPhase},
	{"descriptors", 2, descriptorsPhase},
	{"directory", 2, directoryPhase},
}

// disturb does one thing after the other, each of those asked for once first,
// until the time is up.
func (w *world) disturb() {
	r := w.seeded(2)
	var enabled []phase
	total := 0
	for _, p := range phases {
		if w.wanted(p.name) {
			enabled = append(enabled, p)
			total += p.weight
		}
	}
	first := r.Perm(len(enabled))
	for len(enabled) > 0 && w.pauseFor(w.Pause/2+time.Duration(r.Int64N(int64(w.Pause)))) && time.Now().Before(w.lastPhase) {
		var p phase
		if len(first) > 0 {
			p, first = enabled[first[0]], first[1:]
		} else {
			n := r.IntN(total)
			for _, p = range enabled {
				if n -= p.weight; n < 0 {
					break
				}
			}
		}
		w.one(p, r)
	}
}

func (w *world) one(p phase, r *rand.Rand) {
	w.disturbed.Add(1)
	w.did("%s", p.name)
	if err := p.do(w, r); err != nil {
		w.did("%s: %v", p.name, err)
		w.counts.phase(p.name + " (not done)")
	} else {
		w.counts.phase(p.name)
	}
	began := time.Now()
	w.recovers(p.name)
	w.counts.recovered(p.name, time.Since(began))
	w.calmSince.Store(time.Now().UnixMilli())
	w.disturbed.Add(-1)
	w.did("%s: recovered after %s", p.name, time.Since(began).Round(time.Millisecond))
}

// recovers waits until every manager begins a session again.
func (w *world) recovers(after string) {
	deadline := time.Now().Add(w.Bound)
	for _, m := range managers {
		for w.ctx.Err() == nil {
			t := ticket{manager: m.name, l: newLedger(fmt.Sprintf("probe-%d", w.calls.Add(1)))}
			a := w.ask(t, do{Patch: fmt.Appendf(nil, `{"owner":%q}`, t.l.owner)}, 0)
			if a.outcome() == acknowledged {
				break
			}
			if time.Now().After(deadline) {
				w.violation(nil, "%s after %s, a write is still answered: %s\nThe last lines of the log:\n%s", w.Bound, after, a.text(), w.proxy.lastLines())
				return
			}
			w.pauseFor(200 * time.Millisecond)
		}
	}
}

func (w *world) pauseFor(d time.Duration) bool {
	select {
	case <-time.After(d):
		return w.ctx.Err() == nil
	case <-w.ctx.Done():
		return false
	}
}

func killPhase(w *world, r *rand.Rand) error { return restart(w, r, syscall.SIGKILL, 10*time.Second) }
func stopPhase(w *world, r *rand.Rand) error { return restart(w, r, syscall.SIGTERM, stopBound) }

// stopBound is how long an orderly stop may take: the grace period, and the store's end.
const stopBound = 30 * time.Second

// restart ends the proxy, and starts it with either durability.
func restart(w *world, r *rand.Rand, signal syscall.Signal, bound time.Duration) error {
	if err := w.proxy.end(signal, bound); err != nil {
		w.violation(nil, "%v\n%s", err, w.proxy.lastLines())
		return nil
	}
	w.proxy.config.durability = []string{"sync", "async"}[r.IntN(2)]
	w.did("it starts with durability %s", w.proxy.config.durability)
	if err := w.proxy.start(w.ctx); err != nil && w.ctx.Err() == nil {
		w.violation(nil, "%v", err)
	}
	return nil
}

// reloadPhase loads another configuration, three times.
func reloadPhase(w *world, r *rand.Rand) error {
	for range 3 {
		c := &w.proxy.config
		c.idle, c.sweep, c.extra = 12+r.IntN(12), 1+r.IntN(4), r.IntN(2) == 0
		ctx, cancel := context.WithTimeout(w.ctx, w.Bound)
		status, text, err := w.proxy.call(ctx, http.MethodPost, "/load", "text/caddyfile", w.proxy.text())
		cancel()
		select {
		case <-w.ctx.Done():
			return nil
		default:
		}
		if err != nil {
			text = err.Error()
		}
		if status != http.StatusOK {
			w.violation(nil, "the reload is answered %d %s", status, text)
			return nil
		}
		w.pauseFor(time.Duration(r.IntN(2000)) * time.Millisecond)
	}
	return nil
}

// diskPhase takes all of the disk at once, and gives it back.
func diskPhase(w *world, r *rand.Rand) error {
	if w.noDisk != nil {
		return w.noDisk
	}
	stop := w.fatten()
	defer stop()
	w.pauseFor(time.Second)
	remove, err := fillDisk(w.proxy.disk)
	if err != nil {
		return err
	}
	w.pauseFor(time.Duration(4+r.IntN(6)) * time.Second)
	remove()
	return nil
}

// descriptorsPhase lets the proxy open no more files, while so much is
// written that the store needs a new one.
func descriptorsPhase(w *world, r *rand.Rand) error {
	restore, err := limitFiles(w.proxy.pid(), r.IntN(4))
	if err != nil {
		return err
	}
	stop := w.fatten()
	// Connections that do nothing take what others give back.
	var idle []net.Conn
	for end := time.Now().Add(time.Duration(6+r.IntN(6)) * time.Second); time.Now().Before(end) && w.pauseFor(20*time.Millisecond); {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(w.ctx, "tcp", w.proxy.address("spare"))
		if err == nil && len(idle) < 400 {
			idle = append(idle, c)
		} else if err == nil {
			_ = c.Close()
		}
	}
	stop()
	restore()
	for _, c := range idle {
		_ = c.Close()
	}
	return nil
}

// directoryPhase takes the store's directory away, and puts it back.
func directoryPhase(w *world, r *rand.Rand) error {
	dir := w.proxy.storeDir()
	if err := os.Rename(dir, dir+".away"); err != nil {
		return err
	}
	stop := w.fatten()
	w.pauseFor(time.Duration(4+r.IntN(6)) * time.Second)
	stop()
	if err := os.Rename(dir+".away", dir); err != nil { // another one was made meanwhile
		w.violation(nil, "while the store's directory was away, something was put in its place: %v", err)
	}
	return nil
}

// fatten writes large sessions without a bound on the rate, so that the
// store's files are full soon.
func (w *world) fatten() (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			t := ticket{manager: managers[i].name}
			for ctx.Err() == nil {
				r, err := w.request(ctx, t, "/", do{Fill: 50_000})
				if err != nil {
					return
				}
				resp, err := w.http.Do(r)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					for _, c := range resp.Cookies() {
						t.value = c.Value
					}
				}
				if err != nil || resp.StatusCode != http.StatusOK {
					w.pauseFor(20 * time.Millisecond)
				} else {
					w.counts.large.Add(1)
				}
			}
		})
	}
	return func() { cancel(); all.Wait() }
}
