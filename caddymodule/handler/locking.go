package handler

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// Locking is the policy for requests that use one session at once.
type Locking struct {
	// Policy is `lossy` (the default): the last writer wins key by key, and
	// different keys are never lost; `serialized`: one request at a time
	// has the session, in order of arrival; or `optimistic`: a commit on
	// data that was changed meanwhile is refused.
	Policy string `json:"policy,omitempty"`

	// Wait is the longest time in the queue of a serialized session; 0
	// tries once. Default: 10s.
	Wait *caddy.Duration `json:"wait,omitempty"`

	// Queue is how many requests may wait for one serialized session. Default: 32.
	Queue *int `json:"queue,omitempty"`

	// OnConflict says how an optimistic conflict is settled, by one way after
	// the other: `merge` unites both changes if they concern different
	// places of the data; `restart` makes the request again, if it has a safe
	// method or is replayable and nothing of it has reached the client;
	// `fail`, always the last, answers 409. Default: merge, fail.
	OnConflict []string `json:"on_conflict,omitempty"`

	// Restarts is how often a request is made again at most; the last time it
	// has the session to itself. Default: 1.
	Restarts int `json:"restarts,omitempty"`

	// Replayable says which requests may be made again besides those with a
	// safe method: their effects in the app happen twice. Default: none.
	ReplayableRaw caddyhttp.RawMatcherSets `json:"replayable,omitempty" caddy:"namespace=http.matchers"`

	// ReplayLimit is the largest request body that is kept for another
	// attempt, in bytes. Default: 1 MiB.
	ReplayLimit int64 `json:"replay_limit,omitempty"`
}

// checkConflicts refuses ways to settle a conflict that make no sense.
func (l *Locking) checkConflicts(policy session.Locking) error {
	if policy != session.Optimistic {
		if l.OnConflict != nil || l.Restarts != 0 || l.ReplayableRaw != nil || l.ReplayLimit != 0 {
			return fmt.Errorf("on_conflict, replayable and replay_limit belong to locking optimistic, not to %s", policy)
		}
		return nil
	}
	// In this order, and each once: a restart finds what there was to merge.
	order := []string{conflictMerge, conflictRestart, conflictFail}
	last := -1
	for _, way := range l.OnConflict {
		i := slices.Index(order, way)
		if i < 0 {
			return fmt.Errorf("on_conflict is merge, restart or fail, not %q", way)
		}
		if i <= last {
			return errors.New("on_conflict takes each of merge, restart, fail once, in this order")
		}
		last = i
	}
	restarts := slices.Contains(l.OnConflict, conflictRestart)
	switch {
	case !restarts && (l.Restarts != 0 || l.ReplayableRaw != nil || l.ReplayLimit != 0):
		return errors.New("replayable and replay_limit need `on_conflict restart`")
	case restarts && (l.Restarts < 1 || l.Restarts > 10):
		return fmt.Errorf("a request can be restarted 1 to 10 times, not %d", l.Restarts)
	case l.ReplayLimit < 0:
		return errors.New("replay_limit must not be negative")
	}
	return nil
}
