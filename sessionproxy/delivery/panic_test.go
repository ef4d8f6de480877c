package delivery_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/delivery"
	"github.com/sessionproxy/sessionproxy/sessionproxy/event"
	"github.com/sessionproxy/sessionproxy/sessionproxy/internal/sessiontest"
	"github.com/sessionproxy/sessionproxy/store"
)

// panicking is a store that panics when it is swept, or asked for deliveries.
type panicking struct{ store.Store }

func (panicking) Sweep(context.Context, time.Time, int) (int, bool, error) {
	panic("secret of a session")
}

// outboxPanics does so when it is asked for deliveries.
type outboxPanics struct {
	panicking
	store.Outbox
}

func (outboxPanics) Deliveries(context.Context, string, int) ([]store.Delivery, time.Time, error) {
	panic("secret of a session")
}

var (
	_ store.Sweeper = panicking{}
	_ store.Outbox  = outboxPanics{}
)

// TestAPanicOfTheStoreEndsNoProcess: it is reported like a failure, without
// what was panicked with, and what failed is tried again.
func TestAPanicOfTheStoreEndsNoProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, nil)
		st := outboxPanics{panicking: panicking{k.Store}, Outbox: k.Store}
		defer k.use(sessiontest.Subscription("ear", new(ear), event.Delete))()
		k.service = delivery.Start(store.FeaturesOf(st), k.node.Subscriptions, k.node.Events, delivery.Options{
			Now: k.now, Observer: delivery.Observer{Failed: func(doing string, err error) { k.note(doing + ": " + err.Error()) }},
		})
		time.Sleep(10 * time.Minute)
		k.close()
		notes := k.noted()
		for _, doing := range []string{"sweeping expired sessions", "reading due deliveries"} {
			if n := strings.Count(notes, doing+": it panicked with a string"); n < 2 {
				t.Errorf("%s failed %d times", doing, n)
			}
		}
		if strings.Contains(notes, "secret") {
			t.Error("the report says what was panicked with")
		}
	})
}
