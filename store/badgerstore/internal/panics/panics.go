// Package panics makes errors of panics, which the engine has where others
// return an error.
package panics

import (
	"fmt"
	"runtime"
)

// Catch runs f, and returns an error if it panics.
func Catch(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Of("the engine", p)
		}
	}()
	return f()
}

// Of returns an error that tells of a panic without its value: text that is
// not the runtime's may hold data of sessions.
func Of(what string, p any) error {
	if err, ok := p.(runtime.Error); ok {
		return fmt.Errorf("%s panicked: %w", what, err)
	}
	return fmt.Errorf("%s panicked with a %T", what, p)
}
