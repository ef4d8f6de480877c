package handler

import "sync"

// givenWarnings are the warnings that were given, of those that are given once. Safe for concurrent use.
type givenWarnings struct {
	mu    sync.Mutex
	given map[string]bool
}

// mostWarnings bounds it: an app, or a client, can make up names.
const mostWarnings = 100

// first reports whether a warning is to be given: not twice, and none any more
// after too many different ones.
func (o *givenWarnings) first(warning string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.given[warning] || len(o.given) >= mostWarnings {
		return false
	}
	if o.given == nil {
		o.given = make(map[string]bool)
	}
	o.given[warning] = true
	return true
}
