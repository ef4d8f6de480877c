// Package session is the domain: a Manager opens the session of one browser
// for one request, and the Session is committed or rolled back once. It knows
// no HTTP and no storage engine.
package session
