// Package rawfiles reads the files of a Badger directory from their bytes
// alone: the tables, the logs and what names them, also where they are damaged
// or encrypted. It knows nothing of sessions, and writes nothing.
package rawfiles
