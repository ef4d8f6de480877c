package badgerstore

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

// marker is a file beside the database that says what the directory is. The
// same id stands inside the database, as a sentinel: one without the other
// means that files were lost, which the engine itself does not notice.
type marker struct {
	Format  int       `json:"format"`
	Store   string    `json:"store"`
	Created time.Time `json:"created"`
}

const (
	markerFile = "sessionproxy.json"
	// markerFormat is that of all that is stored. It goes up with each change
	// of layout, and testdata/formats gets a directory that the former version
	// has written; all former ones are read.
	//
	//	2  records tell when their absolute timeout began, and which timeouts the app asked for
	//	3  dead deliveries stand apart from those that wait, which have an index of what is due
	//	4  records may have a cookie jar
	markerFormat = 4
)

var errMarker = errors.New("its file " + markerFile + " is damaged")

// readMarker returns nil if there is no marker.
func readMarker(dir string) (*marker, error) {
	b, err := rawfiles.ReadFile(filepath.Join(dir, markerFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, rawfiles.ErrNotRegular):
		return nil, fmt.Errorf("%w, %w: %s", errMarker, err, restore)
	case err != nil:
		return nil, err
	}
	var m marker
	if err := json.Unmarshal(b, &m); err != nil || m.Store == "" {
		return nil, fmt.Errorf("%w: %s", errMarker, restore)
	}
	if m.Format < 1 || m.Format > markerFormat {
		return nil, fmt.Errorf("it has format %d, and this version reads 1 to %d: use the version that wrote it, or a newer one", m.Format, markerFormat)
	}
	return &m, nil
}

// identify checks that marker and sentinel belong together, and sets both in
// a store that is new, or whose beginning was interrupted.
func identify(db *badger.DB, o *Options, mark *marker) (string, error) {
	sentinel, empty, err := readSentinel(db)
	switch {
	case err != nil:
		return "", err
	case mark != nil && sentinel == mark.Store:
		return sentinel, carryOver(o, *mark)
	case mark != nil:
		return "", fmt.Errorf("its database is empty or another one: %s", restore)
	case sentinel == "" && !empty:
		return "", errors.New("it holds a Badger database that is no session store: choose another directory")
	}
	if sentinel == "" {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
		sentinel = hex.EncodeToString(id[:])
		err := db.Update(func(txn *badger.Txn) error { return txn.Set([]byte{keySentinel}, []byte(sentinel)) })
		if err == nil {
			err = db.Sync()
		}
		if err != nil {
			return "", err
		}
	}
	return sentinel, writeMarker(o.Dir, marker{Format: markerFormat, Store: sentinel, Created: o.Now().UTC()})
}

// carryOver marks a store of a former format as one of this format, before
// anything is written to it: the former version must not read it again.
func carryOver(o *Options, mark marker) error {
	if mark.Format == markerFormat {
		return nil
	}
	o.Logger.Info("the session store has a former format, and is carried over; the version that wrote it cannot open it any more",
		zap.String("dir", o.Dir), zap.Int("from", mark.Format), zap.Int("to", markerFormat))
	mark.Format = markerFormat
	return writeMarker(o.Dir, mark)
}

func readSentinel(db *badger.DB) (id string, empty bool, err error) {
	err = db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		it.Rewind()
		empty = !it.Valid()
		item, err := txn.Get([]byte{keySentinel})
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := item.ValueCopy(nil)
		id = string(b)
		return err
	})
	return id, empty, err
}

// writeMarker writes the file so that it is there whole or not at all.
func writeMarker(dir string, m marker) error {
	b, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, markerFile+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, markerFile))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// outboxFormat is that of the deliveries. Before, dead ones stood among those
// that wait, and there were no queues on disk.
const outboxFormat = 3

// convertStep is how many deliveries one transaction converts.
const convertStep = 512

// convertOutbox brings the deliveries of a former format into the present one.
// When it is cut off the next opening does it again, from the beginning.
func (s *Store) convertOutbox() error {
	var format uint64
	err := s.view(func(txn *badger.Txn) (err error) {
		format, err = readUint64(txn, []byte{keyOutbox})
		return err
	})
	if err != nil || format >= outboxFormat {
		return err
	}
	headed := make(map[queueRef]bool)
	for from := []byte{keyDelivery}; from != nil && err == nil; {
		var part [][]byte
		next := []byte(nil)
		err = s.view(func(txn *badger.Txn) error {
			eachKey(txn, []byte{keyDelivery}, func(key []byte) bool {
				if key = append([]byte(nil), key...); len(part) == convertStep {
					next = key
					return false
				}
				part = append(part, key)
				return true
			}, from)
			return nil
		})
		if err == nil {
			err = s.update(func(txn *badger.Txn) error {
				for _, raw := range part {
					if err := s.convertDelivery(txn, raw, headed); err != nil {
						return err
					}
				}
				return nil
			})
		}
		from = next
	}
	if err == nil {
		err = s.update(func(txn *badger.Txn) error { return txn.Set([]byte{keyOutbox}, uint64Value(outboxFormat)) })
	}
	if err != nil {
		return fmt.Errorf("converting deliveries of a former format: %w", err)
	}
	return nil
}

// convertDelivery files one delivery anew. headed are the queues whose first
// delivery was seen: keys come in the order of filing.
func (s *Store) convertDelivery(txn *badger.Txn, raw []byte, headed map[queueRef]bool) error {
	listener, seq := number(raw[1:5]), seqOf(raw)
	state, err := readDelivery(txn, raw)
	if errors.Is(err, errDamaged) { // it is tried anew, or given up with its event
		e, eventErr := readEvent(txn, seq)
		if eventErr != nil {
			s.reportCorrupt(raw)
			return errors.Join(txn.Delete(raw), txn.Delete(eventKey(seq)))
		}
		state = deliveryState{e.session, e.At, archive.State{Tag: store.RandomUint64()}}
		err = txn.Set(raw, state.encode(raw))
	}
	if err != nil {
		return err
	}
	recipients, err := readRecipients(txn, seq)
	if err == nil {
		err = txn.Set(recipientsKey(seq), withRecipient(recipients, listener))
	}
	if err != nil {
		return err
	}
	if state.Dead {
		dead := deadKey(seq, listener)
		return errors.Join(txn.Set(dead, state.encode(dead)), txn.Delete(raw))
	}
	q := queueRef{listener, state.session}
	if !headed[q] {
		headed[q] = true
		if err := txn.Set(dueKey(listener, archive.Millis(state.Next), seq), nil); err != nil {
			return err
		}
	}
	return txn.Set(queueKey(q, seq), nil)
}
