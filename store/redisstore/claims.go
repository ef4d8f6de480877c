package redisstore

import (
	"context"
	"maps"
	"sync"
	"time"
)

const (
	// claimTime is how long a process that has died keeps others from delivering
	// to its listeners.
	claimTime = 15 * time.Second
	// claimIdle is for how long a process that does not ask for deliveries any
	// more keeps them.
	claimIdle = 2 * time.Minute
)

// claims are the listeners that this process delivers to: of all processes
// that share the store one does, so that in ordinary running none is told twice.
type claims struct {
	holder string

	mu    sync.Mutex
	asked map[string]time.Time // when deliveries were asked for last, by listener; protected by mu
}

// claim runs the script on one listener.
func (s *Store) claim(ctx context.Context, what, listener string) (other time.Duration, err error) {
	n, err := s.eval(ctx, claimScript, s.claimKey(listener), what, s.claims.holder, decimal(claimTime.Milliseconds()), s.channel(), listener).AsInt64()
	return time.Duration(max(n, 0)) * time.Millisecond, err
}

// delivers reports whether this process is the one that delivers to a listener:
// it becomes so if there is none. Otherwise other is for how long another one is.
func (s *Store) delivers(ctx context.Context, listener string) (mine bool, other time.Duration, err error) {
	if other, err = s.claim(ctx, "take", listener); err != nil || other > 0 {
		return false, other, err
	}
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	if s.claims.asked == nil {
		s.claims.asked = make(map[string]time.Time)
	}
	s.claims.asked[listener] = time.Now()
	return true, 0, nil
}

// keepClaims prolongs the claims until ctx ends, and gives them back then.
func (s *Store) keepClaims(ctx context.Context) {
	tick := time.NewTicker(claimTime / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.eachClaim(context.WithoutCancel(ctx), "release")
			return
		case <-tick.C:
			s.eachClaim(ctx, "renew")
		}
	}
}

// eachClaim renews or releases all claims but those that were idle for long,
// which it forgets. One that is lost is taken again by the next question.
func (s *Store) eachClaim(ctx context.Context, what string) {
	s.claims.mu.Lock()
	maps.DeleteFunc(s.claims.asked, func(_ string, at time.Time) bool { return time.Since(at) > claimIdle })
	all := maps.Clone(s.claims.asked)
	s.claims.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	for listener := range all {
		_, _ = s.claim(ctx, what, listener)
	}
}
