// Package redisstore is a session store on a Redis server, 7.0 or newer, that
// several processes share. It has all the abilities of package store but
// Archiver and Reporter.
//
// Each call is one script on the keys of one manager, which have one hash tag
// (see scripts/lib.lua): a record, its indexes, the limit of its principal and
// what listeners are to be told change in one atomic step. Calls that are not
// about one manager ask all managers of the store at once, in one round trip.
//
// By which clock records expire: the server's. The caller of Sweep brings its own
// time, as the contract says.
//
// Of the processes one delivers to a listener: the first that asks for its
// deliveries, until it closes the store, has not asked for two minutes, or has
// not been heard of for 15 seconds. All may sweep: each session ends once.
//
// What is kept in a process: access times, for at most a second and only of sessions
// whose idle timeout has a slack of a second (store.TouchSlack), so that other
// processes may see an access time that much late; and, for LimitPending, how many
// deliveries waited in other managers than that of an event when the process
// last asked for deliveries.
//
// How durable a save is: as durable as the server makes it. A save that was
// confirmed is in the memory of one server; what a crash or a fail-over takes from
// there depends on its persistence and replicas, and is not judged here.
package redisstore
