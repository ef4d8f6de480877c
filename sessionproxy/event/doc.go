// Package event defines the events of sessions, and the subscriptions to them:
// those of [Listener]s, whose events are kept until they are delivered
// ([Subscriptions]), and those of functions of this process ([Feed]).
package event
