package store

// Features are what a store can do beyond [Store]; a field is nil where it
// cannot. They are resolved once, when the store is opened: what uses a feature
// later asks the field, and what needs one refuses a store without it.
type Features struct {
	Updater    Updater
	Sweeper    Sweeper
	Outbox     Outbox
	Pager      Pager
	Counter    Counter
	Observable Observable
	Archiver   Archiver
	Reporter   Reporter
	Leaser     Leaser
}

// FeaturesOf returns what a store can do, or what those within it can: see [As].
func FeaturesOf(s Store) *Features {
	f := new(Features)
	f.Updater, _ = As[Updater](s)
	f.Sweeper, _ = As[Sweeper](s)
	f.Outbox, _ = As[Outbox](s)
	f.Pager, _ = As[Pager](s)
	f.Counter, _ = As[Counter](s)
	f.Observable, _ = As[Observable](s)
	f.Archiver, _ = As[Archiver](s)
	f.Reporter, _ = As[Reporter](s)
	f.Leaser, _ = As[Leaser](s)
	return f
}
