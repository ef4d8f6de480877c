package app

import "slices"

// passed is what requests have met on their way.
type passed struct {
	sessions []passedSession
	known    bool   // some of them have met a session handler
	sure     bool   // each of them has
	answered string // the handler that has answered each of them, or nothing
}

// passedSession is a session handler on the way.
type passedSession struct {
	handler SessionHandler
	manager string
	always  bool // each request that comes this far has met it
	apart   bool // it is not, and what follows is not for each request either
}

// way returns what requests have met that take a route. Where not all of them
// do, the route and what only some have met may be meant for different ones.
func (p *passed) way(all bool) *passed {
	w := p.clone()
	for i := range w.sessions {
		w.sessions[i].apart = w.sessions[i].apart || !all && !w.sessions[i].always
	}
	return w
}

func (p *passed) clone() *passed {
	c := *p
	c.sessions = slices.Clone(p.sessions)
	return &c
}

// add takes over what one of several ways has met.
func (p *passed) add(way *passed) {
	p.known = p.known || way.known
	for _, s := range way.sessions {
		if !slices.ContainsFunc(p.sessions, func(o passedSession) bool { return o.handler == s.handler }) {
			p.sessions = append(p.sessions, passedSession{handler: s.handler, manager: s.manager})
		}
	}
}
