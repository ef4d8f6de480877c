// Package guard turns panics into errors. A panic in a goroutine of its own
// ends the whole server, so each goroutine that calls a store or a listener
// runs it under a guard.
package guard

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Run returns the error of f, or one that describes its panic.
func Run(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panicked%s\n%s", Text(p), debug.Stack())
		}
	}()
	return f()
}

// Text describes a panic. Only the text of the runtime's own errors is kept:
// any other may hold the data of a session.
func Text(p any) string {
	if err, ok := p.(runtime.Error); ok {
		return ": " + err.Error()
	}
	return fmt.Sprintf(" with a %T", p)
}
