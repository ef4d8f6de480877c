// Package delivery does for an open store what no request does: it delivers
// events from the outbox to their listeners, with retries, and ends the
// sessions that have expired. See [Service].
package delivery
