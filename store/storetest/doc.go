// Package storetest is the conformance suite of package store: what every
// session store has to pass, whatever its engine. Run it from a test of the store:
//
//	storetest.Run(t, storetest.Engine{Open: func(t *testing.T, dir string, now func() time.Time) storetest.Closer { … }})
package storetest
