// Package event says what happens to sessions, and who subscribes to it: the
// [Listener]s of configurations, whose events are kept until they are
// delivered ([Subscriptions]), and functions of this process ([Feed]).
package event
