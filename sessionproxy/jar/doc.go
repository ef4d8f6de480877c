// Package jar is the cookie jar of apps that know nothing of sessions: their
// cookies are kept in the session, and the browser carries the ticket alone.
// It has neither HTTP server nor store; everything in it is pure.
//
// One request takes this way:
//
//	given, err := jar.Decode(index, secret)         // of the session's record; nil is the empty jar
//	line := rules.Line(given, &request, cookies)    // the one Cookie line for the app
//	sorted := rules.Sort(given, &request, lines)    // the app's Set-Cookie lines, divided
//	merged := jar.Merge(now, sorted.Wishes, moment) // against the jar as it is stored by then
//	index, secret = merged.Jar.Encode()             // if merged.Changed
//
// Rules are the configuration. A Jar never changes: With and Merge return the
// next one. Wishes are what a response wants done to the jar; they keep what
// the request was given, so that they can be applied later, to a jar that
// others have changed meanwhile.
//
// An attempt at a request that is dropped hands its wishes to the next one:
// the next is shown given.With(wishes), and what it wishes itself is added by
// wishes.Then. Adopted cookies are such wishes, made before the first attempt.
package jar
