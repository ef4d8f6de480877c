package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/change"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/store"
)

// State says what a request's ticket led to.
type State string

// The states, in the words of the Session-State header.
const (
	New         State = "new"         // no usable ticket
	Active      State = "active"      // the ticket's session is open
	Expired     State = "expired"     // a genuine ticket whose session has ended, or that was replaced
	Unavailable State = "unavailable" // the store is down and the policy goes on
)

// emptyData is the data of a session that does not exist. Never changed.
var emptyData = []byte("{}")

// Session is one browser's data, opened for one request. It is used once:
// Commit or Rollback ends it. Safe for concurrent use.
type Session struct {
	m     *Manager
	store store.Store
	node  *Node
	key   store.Key // of the session, existing or to be created
	cred  Credential
	rec   store.Record // as loaded; zero but for the empty data if there is none
	state State

	opened      time.Time
	attempt     int
	holder      lock.Holder // shown while the request has the lock
	readOnly    bool
	passive     bool // the request is no activity
	lockLate    bool // the lock is taken by a commit that writes, not by the opening
	late        bool // of a late tab: see ticketState
	further     bool // opened by Reopen: its ticket is none that the request brought
	renewTicket bool
	shortened   bool // the timeouts of the stored record are longer than the policy's
	traced      bool // the request is traced: see Trace
	jar         *cookieJar

	// mu protects what follows, and rec from Refresh on.
	mu        sync.Mutex
	acquired  bool
	locked    bool
	lease     *lock.Lease // of the lock, if other processes share the store
	ended     bool
	created   bool           // by the commit
	successor *Session       // begun by the commit in place of this one
	destroyed bool           // by the commit
	pending   change.Changes // staged, in order
	view      []byte         // the data with them; nil is the data of rec
	stagings  uint64
}

// open finds the session of the credentials and loads it, under its lock if
// the policy wants that.
func (s *Session) open(ctx context.Context, r *Request) error {
	creds := r.Credentials
	if len(creds) > 1 {
		cred, ok, err := s.pick(ctx, creds)
		if err != nil {
			return err
		}
		creds = creds[:0:0]
		if ok {
			creds = []Credential{cred}
		}
	}
	if len(creds) == 0 {
		s.startNew(New)
		return nil
	}
	s.cred = creds[0]
	s.key = store.Key{Manager: s.m.id, ID: s.cred.ID}
	if !s.lockLate {
		if err := s.lock(ctx, r.Exclusive); err != nil {
			return err
		}
	}
	rec, err := s.load(ctx)
	now := s.m.now()
	switch {
	case errors.Is(err, store.ErrGone):
		s.unlock()
		s.startNew(Expired)
		return nil
	case err != nil:
		return s.loadError(ctx, err)
	case !s.cred.admits(&rec, now):
		if s.late = s.cred.stateIn(&rec, now) == ticketLate; s.late {
			s.openPast(&rec, now)
		}
		s.unlock()
		s.startNew(Expired)
		return nil
	}
	stored := rec
	alive, err := s.admitByPolicy(ctx, &rec, now)
	if err != nil {
		return err
	}
	if !alive {
		s.unlock()
		s.startNew(Expired)
		return nil
	}
	s.shortened = stored.Idle != rec.Idle || !stored.Absolute.Equal(rec.Absolute)
	s.rec, s.state, s.opened = rec, Active, now
	s.openJar(&rec)
	return s.touch(ctx, now)
}

// pick chooses among several genuine tickets the one that opens a session, if
// it is exactly one. The previous ticket of a session is none beside the
// current one. Among those that open none a late one counts.
func (s *Session) pick(ctx context.Context, creds []Credential) (picked Credential, ok bool, err error) {
	found := 0
	var late []Credential
	for _, c := range creds {
		rec, err := s.store.Load(ctx, store.Key{Manager: s.m.id, ID: c.ID})
		if errors.Is(err, store.ErrGone) {
			continue
		}
		if err != nil {
			return Credential{}, false, s.loadError(ctx, err)
		}
		switch {
		case c.stateIn(&rec, s.m.now()) == ticketLate:
			late = append(late, c)
		case !c.admits(&rec, s.m.now()):
		case found == 0 || c.ID != picked.ID:
			picked = c
			found++
		case c.Nonce == rec.Nonce:
			picked = c
		}
	}
	if found == 0 && len(late) > 0 {
		return late[0], true, nil
	}
	return picked, found == 1, nil
}

// startNew makes the handle one for a session that does not exist yet, under a
// fresh number.
func (s *Session) startNew(state State) {
	s.state, s.opened = state, s.m.now()
	s.cred = s.m.newCredential()
	s.key = store.Key{Manager: s.m.id, ID: s.cred.ID}
	s.rec = store.Record{Data: emptyData}
}

// touch counts the request as activity.
func (s *Session) touch(ctx context.Context, now time.Time) error {
	if s.readOnly || s.passive || now.Sub(s.rec.Accessed) < touchStep(&s.rec) {
		return nil
	}
	// The browser is told a new expiry once per twentieth of the timeout. A fixed
	// grid decides, since comparing with the previous access alone would
	// never renew the ticket of a client that is always active.
	step := store.TouchSlack(s.rec.Idle)
	s.renewTicket = !now.Truncate(step).Equal(s.rec.Accessed.Truncate(step))
	err := s.store.Touch(ctx, store.Touch{Key: s.key, Incarnation: s.rec.Incarnation, Accessed: now})
	if err != nil {
		return s.loadError(ctx, err)
	}
	return nil
}

// load reads the record of the session that is being opened.
func (s *Session) load(ctx context.Context) (store.Record, error) {
	if !s.traced {
		return s.store.Load(ctx, s.key)
	}
	ctx, t := s.m.trace(ctx, TraceLoad)
	rec, err := s.store.Load(ctx, s.key)
	t.end(s, traceOK, err)
	return rec, err
}

// end gives back what the handle holds. It is idempotent. Called with mu held,
// or before the session is shared.
func (s *Session) end() {
	s.ended = true
	s.unlock()
	if s.acquired {
		s.acquired = false
		s.m.provider.Release()
	}
}

// Rollback ends the handle and writes nothing. Safe to call after Commit.
func (s *Session) Rollback() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended && s.pending.Writes() {
		s.publishRollback()
	}
	s.end()
}

// RollbackAll is Rollback for a request that had more to write than was staged,
// or had it after the commit: it counts as a rollback in any case.
func (s *Session) RollbackAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publishRollback()
	s.end()
}

// loadError tells a caller that has gone from a store that has.
func (s *Session) loadError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return unavailable("loading session", err)
}
