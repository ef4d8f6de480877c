package session

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/store"
)

// CheckRecord tells why a record cannot be one that a manager has stored: it
// is for records that come from elsewhere, a backup for instance.
func CheckRecord(key store.Key, rec *store.Record) error {
	if err := CheckID(key.Manager); err != nil {
		return err
	}
	if rec.Principal != "" {
		if err := store.CheckPrincipal(rec.Principal); err != nil {
			return fmt.Errorf("its principal %w", err)
		}
	}
	compact, err := document.Parse(rec.Data, store.MaxData)
	switch {
	case err != nil:
		return fmt.Errorf("its data: %w", err)
	case !bytes.Equal(compact, rec.Data):
		return errors.New("its data is not in compact ASCII form")
	case len(rec.Cookies) > store.MaxCookies:
		return fmt.Errorf("its cookies take %d bytes, and at most %d are stored", len(rec.Cookies), store.MaxCookies)
	case rec.Version.IsZero():
		return errors.New("it has no version")
	case rec.Idle <= 0 || rec.Idle > MaxTimeout:
		return fmt.Errorf("its idle timeout is %v", rec.Idle)
	}
	for _, t := range [...]struct {
		name string
		at   time.Time
		must bool
	}{
		{"created", rec.Created, true}, {"written", rec.Written, true}, {"accessed", rec.Accessed, true}, {"absolute", rec.Absolute, true},
		{"since", rec.Since, false}, {"rotated", rec.Rotated, false}, {"previous until", rec.PreviousUntil, false},
	} {
		if t.at.IsZero() && !t.must {
			continue
		}
		if year := t.at.Year(); year < 2000 || year > 2300 {
			return fmt.Errorf("its time %q is in the year %d", t.name, year)
		}
	}
	if rec.Absolute.Before(rec.Created) {
		return errors.New("it ends before it was created")
	}
	return nil
}
