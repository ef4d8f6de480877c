package store_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// full can do all that a store can do.
type full struct {
	store.Store
	store.Updater
	store.Sweeper
	store.Outbox
	store.Pager
	store.Counter
	store.Observable
	store.Archiver
	store.Reporter
	store.Leaser
}

// view hides all of it but for Unwrap.
type view struct {
	store.Store
	within store.Store
}

func (v view) Unwrap() store.Store { return v.within }

func TestFeaturesOf(t *testing.T) {
	for name, tc := range map[string]struct {
		s   store.Store
		has bool
	}{
		"a store with all":         {full{Store: memstore.New(time.Now)}, true},
		"a view of a view of that": {view{within: view{within: full{}}}, true},
		"a store with none":        {view{}, false},
	} {
		f := reflect.ValueOf(*store.FeaturesOf(tc.s))
		for i := range f.NumField() {
			if got := !f.Field(i).IsNil(); got != tc.has {
				t.Errorf("%s: %s is found: %v", name, f.Type().Field(i).Name, got)
			}
		}
	}
}
