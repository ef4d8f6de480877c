// Package ticket is what the browser carries: a signed value, made and
// checked by the proxy alone, and the cookie in which it travels. A ticket
// names a session; what the session is and whether it lives, it does not say.
package ticket
