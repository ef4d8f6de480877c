package redisstore

import (
	"context"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/sessionproxy/sessionproxy/store"
)

const (
	// holdTouches is how long access times are held, to be written together.
	holdTouches = time.Second
	// maxPairs is how many access times of one session are held.
	maxPairs = 32
	// maxHeld is of how many sessions they are held; maxTouched of how many
	// one script writes them.
	maxHeld, maxTouched = 50_000, 500
)

// use is one call of Touch: when it came, and what it said.
type use struct{ said, accessed int64 }

// held are the uses of one session that are not written yet, in their order.
// Writing them twice does no harm, and a script that needs them is given them.
type held struct {
	incarnation uint64
	uses        []use
}

// touches are the access times that are held.
type touches struct {
	slack generations[store.Key, bool] // whether a session has enough of it

	mu    sync.Mutex
	of    map[store.Key]held // protected by mu
	under map[store.Key]held // those that are being written; protected by mu
	turn  sync.Mutex         // held while they are written
}

// know notes how much slack a record has.
func (t *touches) know(key store.Key, r *store.Record) {
	t.slack.put(key, store.TouchSlack(r.Idle) >= holdTouches)
}

// hold reports whether it keeps a use until later.
func (t *touches) hold(touch store.Touch, said time.Time) bool {
	if long, ok := t.slack.get(touch.Key); !ok || !long {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h, ok := t.of[touch.Key]
	if h.incarnation != touch.Incarnation && ok || len(h.uses) >= maxPairs || !ok && len(t.of) >= maxHeld {
		return false
	}
	if under, ok := t.under[touch.Key]; ok && under.incarnation != touch.Incarnation {
		return false
	}
	if t.of == nil {
		t.of = make(map[store.Key]held)
	}
	u := use{said.UnixMilli(), touch.Accessed.UnixMilli()}
	if n := len(h.uses); n > 0 && h.uses[n-1].said == u.said {
		h.uses = append(h.uses[:n-1:n-1], use{u.said, max(u.accessed, h.uses[n-1].accessed)})
	} else {
		h.uses = append(h.uses[:n:n], u)
	}
	t.of[touch.Key] = held{touch.Incarnation, h.uses}
	return true
}

// args is what a script is told of the uses of a session.
func (t *touches) args(key store.Key) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	first, then := t.under[key], t.of[key]
	h := held{max(first.incarnation, then.incarnation), append(first.uses[:len(first.uses):len(first.uses)], then.uses...)}
	return h.args()
}

func (h held) args() []string {
	args := append(make([]string, 0, 2+2*len(h.uses)), decimal(h.incarnation), decimal(len(h.uses)))
	for _, u := range h.uses {
		args = append(args, decimal(u.said), decimal(u.accessed))
	}
	return args
}

// Touch implements store.Store. It holds the access times of a session whose
// slack is known, for as long as holdTouches says, and writes others at once.
func (s *Store) Touch(ctx context.Context, all ...store.Touch) error {
	within, leave, err := s.call(ctx, "touching")
	if err != nil {
		return err
	}
	defer leave()
	now := s.now()
	for len(all) > 0 {
		direct := make(map[store.Key]held) // once a session, so that they keep their order
		n := 0
		for _, t := range all {
			if _, twice := direct[t.Key]; twice {
				break
			}
			if n++; !s.touches.hold(t, now) {
				direct[t.Key] = held{t.Incarnation, []use{{now.UnixMilli(), t.Accessed.UnixMilli()}}}
			}
		}
		if err := s.write(within, direct); err != nil {
			return failure(ctx, "touching", writing, err)
		}
		all = all[n:]
	}
	return nil
}

// flush writes the access times that are held. Those that could not be
// written it holds on to.
func (s *Store) flush(ctx context.Context) error {
	t := &s.touches
	t.turn.Lock()
	defer t.turn.Unlock()
	for range 2 { // those of a flush that failed, and those that came since
		t.mu.Lock()
		if len(t.under) == 0 {
			t.under, t.of = t.of, nil
		}
		under := t.under
		t.mu.Unlock()
		if err := s.write(ctx, under); err != nil {
			return err
		}
		t.mu.Lock()
		t.under = nil
		t.mu.Unlock()
	}
	return nil
}

// write writes access times, in one round trip.
func (s *Store) write(ctx context.Context, all map[store.Key]held) error {
	batches := make(map[string][][]string) // by manager: the arguments of sessions
	for key, h := range all {
		batches[key.Manager] = append(batches[key.Manager], append([]string{string(key.ID[:])}, h.args()...))
	}
	for len(batches) > 0 {
		var keys []string
		args := make(map[string][]string)
		for manager, b := range batches {
			n := min(len(b), maxTouched)
			base := s.base(manager)
			keys, args[base] = append(keys, base), []string{decimal(n)}
			for _, some := range b[:n] {
				args[base] = append(args[base], some...)
			}
			if batches[manager] = b[n:]; n == len(b) {
				delete(batches, manager)
			}
		}
		if err := firstError(s.evalEach(ctx, touchScript, keys, func(key string) []string { return args[key] })); err != nil {
			return err
		}
	}
	return nil
}

func firstError(results []rueidis.RedisResult) error {
	for _, r := range results {
		if err := r.Error(); err != nil {
			return err
		}
	}
	return nil
}

// keepFlushing writes what is held, from time to time. A server that does
// not answer is asked again the next time.
func (s *Store) keepFlushing(ctx context.Context) {
	tick := time.NewTicker(holdTouches / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, s.Timeout)
		_ = s.flush(within)
		cancel()
	}
}
