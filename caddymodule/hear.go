package caddymodule

import "time"

// hear has the listeners of the configuration told of what happens in the
// store from now on, and Caddy's events app too. What ends sessions by itself
// must not begin before: what ends while nobody listens ends unheard.
func (a *App) hear(db *database) error {
	if err := a.managers.fits(db.store); err != nil {
		return err
	}
	unsweep := db.keeper.SweepEvery(time.Duration(a.SweepInterval))
	unlisten := db.local.Listeners.Use(a.managers.subscriptions())
	a.unhear = func() {
		unlisten()
		unsweep()
	}
	a.events.attach(db)
	return nil
}

// stopHearing ends what hear has begun. Idempotent.
func (a *App) stopHearing() {
	if a.unhear != nil {
		a.unhear()
	}
	if a.events != nil {
		a.events.stop()
	}
}
