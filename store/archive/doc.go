// Package archive is the form of a backup, which is the same for every store:
// what one has written, any other restores.
//
// A backup begins with a line of text and the number of its format ([Format]),
// and goes on with frames: kind, length, payload, and a CRC32C of these.
//
//	H store, time                                  the header, first
//	S manager, id, record                          sessions, those of a manager together, in order of ids
//	N seq, manager, id, event                      what listeners are to be told, in order
//	D listener, state                              a delivery of the event before
//	E sessions, events, deliveries, CRC32C of all  the trailer, last
//
// It has the names of managers and listeners, and nothing of an engine's
// indexes: those are made anew. [AppendRecord] and [DecodeRecord] are the
// binary form of a record, which a store may keep its own in, too.
package archive
