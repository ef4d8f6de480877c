// Package badger is the store module that keeps sessions in an embedded
// database on the local disk.
package badger
