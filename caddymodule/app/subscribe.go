package app

import (
	"time"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
)

// subscribe has the listeners of the configuration told of what happens in the
// store from now on, and Caddy's events app too. What ends sessions by itself
// must not begin before: sessions that end before it reach no listener.
func (a *App) subscribe(db *runtime.PooledStore) error {
	if err := a.managers.checkStore(db.Node.Features); err != nil {
		return err
	}
	unsweep := db.Delivery.SweepEvery(time.Duration(a.SweepInterval))
	unlisten := db.Node.Subscriptions.Add(a.managers.subscriptions())
	a.unlisten = func() {
		unlisten()
		unsweep()
	}
	a.events.Attach(db)
	return nil
}

// unsubscribe ends what subscribe has begun. Idempotent.
func (a *App) unsubscribe() {
	if a.unlisten != nil {
		a.unlisten()
	}
	if a.events != nil {
		a.events.Stop()
	}
}
