// Package instrument measures the calls of a session store, whatever the store
// can do beside them.
package instrument
