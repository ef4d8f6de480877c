package session

import "github.com/sessionproxy/sessionproxy/store"

// Provider lends the store, with its node, to requests, so that its owner can
// close it after the last request has released it, and not before. Safe for
// concurrent use.
type Provider interface {
	// Acquire returns the store and what this process keeps beside it. An
	// error means that there is no store now, and needs no Release.
	Acquire() (store.Store, *Node, error)
	// Release ends one successful Acquire.
	Release()
}

// Fixed returns a Provider of a store that stays open longer than every
// manager that uses it.
func Fixed(s store.Store) Provider { return &fixed{store: s, node: NewNode(s)} }

type fixed struct {
	store store.Store
	node  *Node
}

func (f *fixed) Acquire() (store.Store, *Node, error) { return f.store, f.node, nil }
func (f *fixed) Release()                             {}
