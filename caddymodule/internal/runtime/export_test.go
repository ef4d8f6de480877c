package runtime

import (
	"context"
	"sync"

	"go.uber.org/zap/zapcore"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

// What the tests of whole configurations need to see.
var (
	AuditName  = auditName
	EventNames = eventNames
	Backlogs   = backlogs
	StatsOf    = statsOf
	Shutdown   = shutdown
)

const EventQueue = eventQueue

// AuditLoggers returns how many configurations want audit records.
func AuditLoggers() int {
	process.audit.mu.Lock()
	defer process.audit.mu.Unlock()
	return len(process.audit.loggers)
}

// LastEmitter returns the emitter that gets the events of a store; nil if
// there is none.
func LastEmitter(key string) *Emitter {
	for _, db := range OpenStores() {
		if db.Provider.PoolKey() == key {
			return db.emitters.last()
		}
	}
	return nil
}

// Emit hands an event to an emitter.
func Emit(e *Emitter, event event.Event) { e.onEvent(event) }

// Queued returns how many events wait in an emitter.
func Queued(e *Emitter) int { return len(e.queue) }

// ResetExit gives the process another exit, until the test ends.
func ResetExit() (restore func()) {
	exiting, exit := process.exiting, process.exit
	process.exiting, process.exit = context.WithCancel(context.Background())
	return func() { process.exiting, process.exit = exiting, exit }
}

// OpenEndpoints returns how many endpoints the process has.
func OpenEndpoints() int {
	process.endpoints.mu.Lock()
	defer process.endpoints.mu.Unlock()
	return len(process.endpoints.byKey)
}

// References returns how many configurations use the store of a pool key.
func References(key string) int {
	n, _ := process.stores.References(key)
	return n
}

// Lifetime returns the lock of a pool key's store.
func Lifetime(key string) *sync.Mutex {
	m, _ := process.lifetimes.Load(key)
	return m.(*sync.Mutex)
}

// Redactor returns a core that removes session headers.
func Redactor(core zapcore.Core) zapcore.Core { return redactor{core} }
