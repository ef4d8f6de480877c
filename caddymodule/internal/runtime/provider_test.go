package runtime_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

// TestEventsOutsideOfTheLifeOfAConfiguration: a request that comes before the
// configuration has started, or ends after it is gone, has its events stored
// for the listeners of that configuration.
func TestEventsOutsideOfTheLifeOfAConfiguration(t *testing.T) {
	_, line := caddytest.NewMemory(t, time.Now)
	provider := &caddytest.PreparedStore{Name: strings.Trim(strings.TrimPrefix(line, "store prepared "), `"`)}
	db, err := runtime.AcquireStore(provider) // another configuration has it, too
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = runtime.ReleaseStore(provider) }()
	expect := func(when string, want ...string) {
		t.Helper()
		if got := db.Node.Subscriptions.SubscribersOf("shop", event.Delete); !slices.Equal(got, want) {
			t.Errorf("%s: the listeners are %v, want %v", when, got, want)
		}
	}
	b := runtime.NewProvider(provider, func() map[string][]event.Subscription {
		return map[string][]event.Subscription{"shop": {{Name: "ear", Kinds: []event.Kind{event.Delete}}}}
	}, zap.NewNop())
	if err := b.Adopt(); err != nil {
		t.Fatal(err)
	}
	expect("provisioned")
	if _, _, err := b.Acquire(); err != nil {
		t.Fatal(err)
	}
	expect("at the first request", "ear")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	expect("gone, with a request", "ear")
	b.Release()
	expect("after the last request")
	if _, _, err := b.Acquire(); err != nil { // of a connection that was kept alive
		t.Fatal(err)
	}
	expect("at a late request", "ear")
	b.Release()
	expect("in the end")
}
