package session

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/lock"
	"github.com/sessionproxy/sessionproxy/store"
)

// Manager holds the policy for one app. Safe for concurrent use.
type Manager struct {
	id            string
	tracer        Trace
	policy        Policy
	provider      Provider
	newCredential func() Credential
	now           func() time.Time
	listens       bool // to events that the store keeps
}

// Options are a manager's surroundings.
type Options struct {
	// Provider lends the store. Required.
	Provider Provider
	// NewCredential makes the credential of a new session: a random number that
	// was never used, and a random nonce. Required.
	NewCredential func() Credential
	// Listeners are the subscriptions to the events of the manager's sessions: a
	// store that cannot keep these is refused. The owner of the store adds them
	// to Node.Subscriptions, so that the events are stored and delivered.
	Listeners []event.Subscription
	// Trace follows the steps of requests; nil costs nothing.
	Trace Trace
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

var validID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// CheckID reports whether id may name a manager.
func CheckID(id string) error {
	if !validID.MatchString(id) {
		return fmt.Errorf("manager id %q must be 1 to 64 characters of A-Za-z0-9_.-", id)
	}
	return nil
}

// NewManager returns the manager with that id and policy.
func NewManager(id string, policy Policy, o Options) (*Manager, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	if err := policy.check(); err != nil {
		return nil, fmt.Errorf("checking policy of manager %s: %w", id, err)
	}
	if o.Provider == nil || o.NewCredential == nil {
		return nil, fmt.Errorf("making manager %s: a store provider and a source of credentials are required", id)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Manager{id: id, policy: policy, provider: o.Provider, newCredential: o.NewCredential, now: o.Now, listens: slices.ContainsFunc(o.Listeners, keeps), tracer: o.Trace}, nil
}

// keeps reports whether a store has to keep what a subscription is for.
func keeps(sub event.Subscription) bool {
	return slices.ContainsFunc(sub.Kinds, func(kind event.Kind) bool { return kind != event.Rollback })
}

// CheckStore returns an error if the store lacks what the manager needs: an
// outbox for its listeners, or an index of the sessions of a principal. Open
// refuses such a store; a caller that has it earlier can check it earlier.
func (m *Manager) CheckStore(f *store.Features) error {
	if m.listens && f.Outbox == nil {
		return fmt.Errorf("session manager %s has the option listener, and the session store cannot keep what listeners are to be told", m.id)
	}
	if m.policy.MaxPerPrincipal > 0 && f.Pager == nil {
		return fmt.Errorf("session manager %s has the option max_per_principal, and the session store cannot count by principal", m.id)
	}
	return nil
}

// ID names the manager.
func (m *Manager) ID() string { return m.id }

// Policy returns the manager's policy.
func (m *Manager) Policy() Policy { return m.policy }

// Request is what a manager has to know of a request to open its session.
type Request struct {
	// Credentials are those of the genuine tickets that were presented,
	// each different from the others. More than one is a browser with
	// several cookies of one name.
	Credentials []Credential
	// ReadOnly opens the session without lock; it is not touched, and
	// writes are refused.
	ReadOnly bool
	// Passive does not count the opening as activity. A write does, and so
	// does Changes.Touch.
	Passive bool
	// Exclusive takes the session's lock whatever the policy.
	Exclusive bool
	// LockLate opens a session that is serialized without its lock: a commit
	// that writes takes the lock then, and what others have committed in
	// between is never overwritten.
	LockLate bool
	// Form names the form that was sent, by method and URL, if the request is
	// an unsafe navigation; else it is empty. For a cookie jar, which knows by it
	// a form that was sent twice.
	Form string
	// Attempt counts the openings for one request; zero means the first.
	Attempt int
	// Holder is shown to operators while the request has the lock.
	Holder lock.Holder
}

// Open opens the session for one request. The handle must be ended by Commit
// or Rollback, whatever happens.
//
// Errors wrap ErrLocked or ErrUnavailable, or are the context's.
func (m *Manager) Open(ctx context.Context, r Request) (opened *Session, err error) {
	ctx, t := m.trace(ctx, TraceOpen)
	defer func() { t.end(opened, traceOK, err) }()
	st, local, err := m.provider.Acquire()
	if err != nil {
		return m.openWithoutStore(r, err)
	}
	if err := m.CheckStore(local.Features); err != nil {
		m.provider.Release()
		return nil, unavailable("opening session", err)
	}
	s := &Session{
		m: m, store: st, node: local, acquired: true, readOnly: r.ReadOnly, passive: r.Passive,
		attempt: max(r.Attempt, 1), holder: r.Holder, traced: t.followed(),
		lockLate: r.LockLate && !r.Exclusive && m.policy.Locking == Serialized,
	}
	if m.policy.CookieJar {
		s.jar = &cookieJar{form: newFormID(r.Form)}
	}
	if err := s.open(ctx, &r); err != nil {
		s.end()
		if errors.Is(err, ErrUnavailable) {
			return m.openWithoutStore(r, err)
		}
		return nil, err
	}
	return s, nil
}

// openWithoutStore answers a store failure as the policy says: with the
// error, or with a session that is empty and takes no writes.
func (m *Manager) openWithoutStore(r Request, err error) (*Session, error) {
	if !m.policy.FailOpen {
		return nil, unavailable("opening session", err)
	}
	s := &Session{m: m, readOnly: r.ReadOnly, attempt: max(r.Attempt, 1)}
	if m.policy.CookieJar {
		s.jar = new(cookieJar) // which drops all
	}
	s.startNew(Unavailable)
	return s, nil
}

// touchStep is the least advance of an access time that is worth telling the
// store: a second, or less for very short timeouts.
func touchStep(rec *store.Record) time.Duration {
	return min(time.Second, store.TouchSlack(rec.Idle)/4)
}

// unavailable marks a store's error as ErrUnavailable, once.
func unavailable(doing string, err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
}
