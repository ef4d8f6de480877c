package instrument

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sessionproxy/sessionproxy/store"
)

// Wrap returns a view of s that measures what requests ask of it; of loads, a
// sample. calls has the labels op and outcome. What s can do beside is found
// through the view by store.As.
func Wrap(s store.Store, calls prometheus.ObserverVec) store.Store {
	call := func(op string) storeCall {
		vec := calls.MustCurryWith(prometheus.Labels{"op": op})
		return storeCall{ok: vec.WithLabelValues("ok"), others: vec}
	}
	view := &measured{Store: s, load: call("load"), save: call("save"), update: call("update"), remove: call("delete"), touch: call("touch")}
	if u, ok := store.As[store.Updater](s); ok {
		return &measuredUpdater{measured: view, updater: u}
	}
	return view
}

// storeCall is one method of a store.
type storeCall struct {
	ok     prometheus.Observer // looked up beforehand
	others prometheus.ObserverVec
}

// took notes that a call has ended.
func (c *storeCall) took(since time.Time, err error) {
	seconds := time.Since(since).Seconds()
	if err == nil {
		c.ok.Observe(seconds)
		return
	}
	c.others.WithLabelValues(storeOutcome(err)).Observe(seconds)
}

// storeOutcome names in one word why a store's call did not do as asked. An
// error of the store's own kind is one of a store that does not work.
func storeOutcome(err error) string {
	if refused := (*changeError)(nil); errors.As(err, &refused) {
		return "refused"
	}
	return cmp.Or(store.FailureWord(err), "unavailable")
}

// measured measures the calls of a store. Listing is nothing that a request does.
type measured struct {
	store.Store
	load, save, update, remove, touch storeCall
}

// Unwrap returns the store that is measured.
func (s *measured) Unwrap() store.Store { return s.Store }

// loadSample says how many loads there are for one that is measured. A load of
// a hot record takes a tenth of a microsecond, and measuring it as long again.
const loadSample = 16

// Load implements store.Store.
func (s *measured) Load(ctx context.Context, key store.Key) (store.Record, error) {
	if rand.Uint32()%loadSample != 0 { //nolint:gosec // which loads are measured is no secret
		return s.Store.Load(ctx, key)
	}
	began := time.Now()
	rec, err := s.Store.Load(ctx, key)
	s.load.took(began, err)
	return rec, err
}

// Save implements store.Store.
func (s *measured) Save(ctx context.Context, key store.Key, w store.Write, cond store.Condition) error {
	began := time.Now()
	err := s.Store.Save(ctx, key, w, cond)
	s.save.took(began, err)
	return err
}

// Delete implements store.Store.
func (s *measured) Delete(ctx context.Context, key store.Key, reason store.Reason) error {
	began := time.Now()
	err := s.Store.Delete(ctx, key, reason)
	s.remove.took(began, err)
	return err
}

// Touch implements store.Store.
func (s *measured) Touch(ctx context.Context, touches ...store.Touch) error {
	began := time.Now()
	err := s.Store.Touch(ctx, touches...)
	s.touch.took(began, err)
	return err
}

// changeError is an error of the function that an update runs: no failure of the store.
type changeError struct{ error }

func (c *changeError) Unwrap() error { return c.error }

// measuredUpdater is a measured store that can update.
type measuredUpdater struct {
	*measured
	updater store.Updater
}

// Update implements store.Updater.
func (s *measuredUpdater) Update(ctx context.Context, key store.Key, change func(store.Record) (store.Write, error)) (store.Record, error) {
	began := time.Now()
	rec, err := s.updater.Update(ctx, key, func(current store.Record) (store.Write, error) {
		w, err := change(current)
		if err != nil {
			err = &changeError{err}
		}
		return w, err
	})
	s.update.took(began, err)
	if refused, ok := err.(*changeError); ok { //nolint:errorlint // an Updater returns it as it is
		err = refused.error
	}
	return rec, err
}
