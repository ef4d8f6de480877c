package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/store"
)

// TestCheckRecord refuses what no app could have stored, and takes what some could.
func TestCheckRecord(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for name, tc := range map[string]struct {
		change func(*store.Key, *store.Record)
		want   string // part of the error; empty if there is none
	}{
		"a record":                             {func(*store.Key, *store.Record) {}, ""},
		"signed in":                            {func(_ *store.Key, r *store.Record) { r.Principal, r.Since = "Zoë", at }, ""},
		"a late window":                        {func(_ *store.Key, r *store.Record) { r.PreviousUntil = at.Add(10 * time.Second) }, ""},
		"another manager id":                   {func(k *store.Key, _ *store.Record) { k.Manager = "a/b" }, "manager"},
		"no data":                              {func(_ *store.Key, r *store.Record) { r.Data = nil }, "its data"},
		"an array":                             {func(_ *store.Key, r *store.Record) { r.Data = []byte("[]") }, "its data"},
		"a reserved name":                      {func(_ *store.Key, r *store.Record) { r.Data = []byte(`{"$x":1}`) }, "its data"},
		"blanks":                               {func(_ *store.Key, r *store.Record) { r.Data = []byte(`{"a": 1}`) }, "compact"},
		"other characters":                     {func(_ *store.Key, r *store.Record) { r.Data = []byte(`{"a":"é"}`) }, "compact"},
		"a line break":                         {func(_ *store.Key, r *store.Record) { r.Data = []byte("{\"a\":\"\r\nSet-Cookie: x\"}") }, "its data"},
		"a control character in the principal": {func(_ *store.Key, r *store.Record) { r.Principal = "a\nb" }, "its principal"},
		"a long principal":                     {func(_ *store.Key, r *store.Record) { r.Principal = strings.Repeat("x", 257) }, "longer than 256"},
		"no version":                           {func(_ *store.Key, r *store.Record) { r.Version = store.Version{} }, "version"},
		"no idle timeout":                      {func(_ *store.Key, r *store.Record) { r.Idle = 0 }, "idle"},
		"for ever":                             {func(_ *store.Key, r *store.Record) { r.Idle = 1 << 62 }, "idle"},
		"never created":                        {func(_ *store.Key, r *store.Record) { r.Created = time.Time{} }, "created"},
		"in the far future":                    {func(_ *store.Key, r *store.Record) { r.Absolute = at.AddDate(5000, 0, 0) }, "absolute"},
		"over before it began":                 {func(_ *store.Key, r *store.Record) { r.Absolute = at.Add(-time.Hour) }, "before it was created"},
	} {
		key := store.Key{Manager: "shop", ID: store.ID{1}}
		rec := store.Record{
			Data: []byte(`{"a":"\u00e9","n":1.50}`), Created: at, Written: at, Accessed: at, Idle: time.Hour, Absolute: at.Add(12 * time.Hour),
			Rotated: at, Incarnation: 1, Version: store.Version{Counter: 1, Nonce: 2},
		}
		tc.change(&key, &rec)
		err := session.CheckRecord(key, &rec)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
