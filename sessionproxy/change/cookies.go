package change

import "github.com/sessionproxy/sessionproxy/sessionproxy/jar"

// Cookies is what a response means for the cookie jar of its session. The app
// has already done what its cookies tell: they are committed whatever becomes
// of its other writes, conflict with nothing, and are dropped where there is no
// session that could take them.
type Cookies struct {
	// Wishes are the cookies that the app sets.
	Wishes jar.Wishes
	// Begin lets the response begin a session, if there is none.
	Begin bool
	// Login says that the client was signed in: the ticket is replaced, the old
	// one shows no past, and the absolute timeout starts anew.
	Login bool
	// End ends the session, its data included.
	End bool
	// Handed says that the cookies go to the next attempt at the request if there is
	// a conflict: they are not committed then.
	Handed bool
}

// then returns what two responses to one request mean, in that order. Either
// may be nil.
func (c *Cookies) then(later *Cookies) *Cookies {
	if c == nil || later == nil {
		if later == nil {
			return c
		}
		return later
	}
	return &Cookies{
		Wishes: c.Wishes.Then(later.Wishes),
		Begin:  c.Begin || later.Begin, Login: c.Login || later.Login, End: c.End || later.End,
		Handed: later.Handed,
	}
}
