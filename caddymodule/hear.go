package caddymodule

// hear has the listeners of the configuration told of what happens in the
// store from now on. What ends sessions by itself
// must not begin before: what ends while nobody listens ends unheard.
func (a *App) hear(db *database) error {
	if err := a.managers.fits(db.store); err != nil {
		return err
	}
	a.unhear = db.local.Listeners.Use(a.managers.subscriptions())
	return nil
}

// stopHearing ends what hear has begun. Idempotent.
func (a *App) stopHearing() {
	if a.unhear != nil {
		a.unhear()
	}
}
