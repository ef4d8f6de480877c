// Package session is the domain: a Manager opens the session of one browser
// for one request, and the Session is committed or rolled back once. It knows
// no HTTP and no storage engine.
//
// # Cookie jar
//
// With Policy.CookieJar a session keeps the cookies of its app. A request takes
// this way:
//
//	s, _ := manager.Open(ctx, session.Request{…, Form: "POST /login"})
//	given, ok := s.Jar()                       // for jar.Rules.Line; not ok: no jar, cookies are dropped
//	sorted := rules.Sort(given, &request, lines)
//	out, err := s.Commit(ctx, change.Changes{…, Cookies: &change.Cookies{
//		Wishes: sorted.Wishes,
//		Begin:  rules.Begins(&request, sorted.Wishes, page),
//		Login:  …, // the `login` matcher
//		End:    …, // Clear-Site-Data
//	}})
//
// Cookies are committed whatever becomes of the other changes: with Rollback, and
// when those are refused, which leaves an error and an Outcome. They are never the
// reason of an error but ErrUnavailable. When a conflict leads to another attempt, its
// changes bear the cookies of the one before (Cookies.Handed, jar.Wishes.Then).
//
// When the ticket was replaced meanwhile, cookies are dropped; but a form that signs
// out does so, and one that was sent twice begins a session of its own.
//
// Out.Rotated says that a login was seen, Out.Destroyed that the last cookie went,
// Out.Persist that the ticket outlasts the browser, Out.Cookies what was dropped.
package session
