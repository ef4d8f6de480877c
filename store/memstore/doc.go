// Package memstore is the store in memory: a map and a clock. It is for
// development, for demos and for tests: what it keeps is lost with the process.
// It has what other stores may have, in the simplest form, and is the model
// that package storetest compares them with.
package memstore
