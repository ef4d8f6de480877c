package event_test

import (
	"context"
	"slices"
	"testing"

	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
)

type deaf struct{}

func (deaf) Handle(context.Context, event.Event) error { return nil }

// TestSubscribersOfTwoConfigurations: during a reload events are stored for the
// listeners of both, and for those of one that only declares them.
func TestSubscribersOfTwoConfigurations(t *testing.T) {
	config := func(manager string, kind event.Kind, names ...string) map[string][]event.Subscription {
		subs := make([]event.Subscription, 0, len(names))
		for _, name := range names {
			subs = append(subs, event.Subscription{Name: name, Kinds: []event.Kind{event.Rotate, kind}, Listener: deaf{}})
		}
		return map[string][]event.Subscription{manager: subs}
	}
	l := event.NewSubscriptions()
	expect := func(when, manager string, kind event.Kind, want ...string) {
		t.Helper()
		if got := l.SubscribersOf(manager, kind); !slices.Equal(got, want) {
			t.Errorf("%s: %s of %s has %v, want %v", when, kind, manager, got, want)
		}
	}
	expect("before", "shop", event.Delete)
	undeclare := l.Declare(config("shop", event.Delete, "old", "both"))
	expect("declared", "shop", event.Delete, "old", "both")
	expect("declared", "shop", event.Rotate, "old", "both")
	expect("declared", "shop", event.Save)
	expect("declared", "cart", event.Delete)
	if found, _ := l.Find("old"); l.Configured() || found != nil || len(l.All()) > 0 {
		t.Error("a declaration alone delivers, or has sessions swept")
	}
	first := l.Add(config("shop", event.Delete, "old", "both"))
	second := l.Add(config("shop", event.Delete, "both", "new"))
	expect("reloading", "shop", event.Delete, "old", "both", "new")
	expect("reloading", "cart", event.Delete)
	first()
	expect("its last requests run", "shop", event.Delete, "both", "new", "old")
	undeclare()
	undeclare()
	expect("reloaded", "shop", event.Delete, "both", "new")
	second()
	second()
	expect("after", "shop", event.Delete)
	if n := testing.AllocsPerRun(100, func() { l.SubscribersOf("shop", event.Save) }); n > 0 {
		t.Errorf("asking allocates %v times", n)
	}
}
