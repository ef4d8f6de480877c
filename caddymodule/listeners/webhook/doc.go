// Package webhook is the listener that posts events to a URL, signed as
// Standard Webhooks asks.
package webhook
