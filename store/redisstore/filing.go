package redisstore

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/redis/rueidis"

	"github.com/sessionproxy/sessionproxy/store"
)

// waiting is what a process knows of how much waits for listeners.
type waiting struct {
	mu         sync.Mutex
	limits     map[string]int            // by listener; protected by mu
	overflowed map[string]int64          // by listener; protected by mu
	counts     map[string]map[string]int // by listener and manager, as last seen; protected by mu
}

// Subscribe implements store.Outbox.
func (s *Store) Subscribe(listeners func(manager string, kind store.EventKind) []string) {
	s.listeners = listeners
}

// subscribers returns the listeners of an event, each one once.
func (s *Store) subscribers(manager string, kind store.EventKind) []string {
	if s.listeners == nil {
		return nil
	}
	all := s.listeners(manager, kind)
	for i, name := range all {
		if slices.Contains(all[:i], name) {
			return slices.Compact(slices.Sorted(slices.Values(all)))
		}
	}
	return all
}

// LimitPending implements store.Outbox.
func (s *Store) LimitPending(listener string, n int) {
	s.waiting.mu.Lock()
	defer s.waiting.mu.Unlock()
	if s.waiting.limits == nil {
		s.waiting.limits = make(map[string]int)
	}
	s.waiting.limits[listener] = n
}

// newFiling returns what a script needs to store events of a manager, and the
// listeners of ends.
func (s *Store) newFiling(ctx context.Context, manager string) (args, ends []string, err error) {
	n, err := s.number(ctx, manager)
	if err != nil {
		return nil, nil, err
	}
	var tag [8]byte
	binary.BigEndian.PutUint64(tag[:], store.RandomUint64())
	return []string{n, hex.EncodeToString(tag[:6]), s.channel()}, s.subscribers(manager, store.EventEnded), nil
}

// args is what a script is told of the listeners of an event.
func (s *Store) args(listeners []string, manager string) []string {
	args := append(make([]string, 0, 1+3*len(listeners)), decimal(len(listeners)))
	s.waiting.mu.Lock()
	defer s.waiting.mu.Unlock()
	for _, name := range listeners {
		elsewhere := 0
		for of, n := range s.waiting.counts[name] {
			if of != manager {
				elsewhere += n
			}
		}
		args = append(args, name, decimal(s.waiting.limits[name]), decimal(elsewhere))
	}
	return args
}

// seen notes how many deliveries of a manager wait for a listener.
func (s *Store) seen(listener, manager string, n int) {
	w := &s.waiting
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts == nil {
		w.counts = make(map[string]map[string]int)
	}
	if w.counts[listener] == nil {
		w.counts[listener] = make(map[string]int)
	}
	w.counts[listener][manager] = n
}

// filed does what follows a script that has stored events: ended and overflow are
// its lists, told the listeners that it may have stored deliveries for. It
// returns how many sessions have ended.
func (s *Store) filed(manager string, ended, overflow rueidis.RedisMessage, told []string) []store.Ended {
	if over, err := overflow.AsStrSlice(); err == nil && len(over) > 0 {
		s.waiting.mu.Lock()
		if s.waiting.overflowed == nil {
			s.waiting.overflowed = make(map[string]int64)
		}
		for _, name := range over {
			s.waiting.overflowed[name]++
		}
		s.waiting.mu.Unlock()
	}
	s.Wake(told...)
	f, _ := ended.AsStrSlice()
	return s.tell(manager, f)
}

// keepListening wakes listeners of whom another process has stored something. After the
// connection was lost it wakes all of them.
func (s *Store) keepListening(ctx context.Context) {
	hooked := rueidis.WithOnSubscriptionHook(ctx, func(rueidis.PubSubSubscription) { s.WakeAll() })
	for ctx.Err() == nil {
		err := s.client.Receive(hooked, s.client.B().Subscribe().Channel(s.channel()).Build(), func(m rueidis.PubSubMessage) {
			s.Wake(m.Message)
		})
		if err != nil && !pause(ctx, retryListening) {
			return
		}
	}
}
