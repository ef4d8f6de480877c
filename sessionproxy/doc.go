// Package sessionproxy is the HTTP side: it reads the ticket of a request,
// hands the session to the app in request headers, reads what the app writes
// from the response headers, and commits before they go to the client. It
// knows net/http and no particular server.
package sessionproxy
