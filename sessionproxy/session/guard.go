package session

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// guarded makes an error of a panic: every goroutine that calls a store or a
// listener begins with it, since a panic in a goroutine of its own ends the
// whole server.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panicked%s\n%s", panicText(p), debug.Stack())
		}
	}()
	return f()
}

// panicText says how it panicked. Text that is not the runtime's may hold anything.
func panicText(p any) string {
	if err, ok := p.(runtime.Error); ok {
		return ": " + err.Error()
	}
	return fmt.Sprintf(" with a %T", p)
}

// guard runs f to its end or to its panic, which is reported.
func (r *Reports) guard(doing string, f func()) {
	if err := guarded(func() error { f(); return nil }); err != nil {
		r.failed(doing, err)
	}
}
