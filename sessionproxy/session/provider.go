package session

import "github.com/sessionproxy/sessionproxy/store"

// Provider lends the store and what belongs to it to one request at a time, so
// that whoever owns them can close them after the last request has left, and
// not under it. Safe for concurrent use.
type Provider interface {
	// Acquire returns the store and what this process keeps beside it. An
	// error means that there is no store now; nothing was borrowed then.
	Acquire() (store.Store, *Node, error)
	// Release ends one successful Borrow.
	Release()
}

// Fixed returns a Backend for a store that stays open longer than every
// manager that uses it.
func Fixed(s store.Store) Provider { return &fixed{store: s, local: NewNode(s)} }

type fixed struct {
	store store.Store
	local *Node
}

func (f *fixed) Acquire() (store.Store, *Node, error) { return f.store, f.local, nil }
func (f *fixed) Release()                             {}
