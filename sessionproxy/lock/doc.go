// Package lock serializes the requests of one session: by first-in, first-out
// locks within a process ([Locks]), and by leases between the processes that
// share a store ([Lease]).
package lock
