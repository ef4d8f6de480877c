package caddytest

import (
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package that loads configurations. It fails if a
// goroutine is left behind that is not one of Caddy's libraries, which end
// late or never.
func Main(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/DeRuina/timberjack.(*Logger).millRun"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
	)
}
