package badgerstore

import (
	"encoding/binary"
	"errors"

	"github.com/dgraph-io/badger/v4"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// judge decides what of a rebuilt database goes into the backup, and removes
// the rest from it.
type judge struct {
	o         *SalvageOptions
	to        *rebuild
	out       *Salvaged
	managers  map[number]string
	listeners map[number]string
	removed   [][]byte
}

func (j *judge) run() error {
	err := j.to.view(func(txn *badger.Txn) error {
		for _, step := range []func(*badger.Txn) error{j.names, j.sessions, j.missing, j.events} {
			if err := errors.Join(j.o.ctx.Err(), step(txn)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, key := range j.removed {
		if err == nil {
			err = j.to.remove(key)
		}
	}
	return err
}

func (j *judge) remove(key []byte) { j.removed = append(j.removed, key) }

// each visits the keys of a kind. key and value may be kept.
func each(txn *badger.Txn, kind byte, visit func(item *badger.Item, key, value []byte) error) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kind}, PrefetchValues: true, PrefetchSize: 64})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		value, err := item.ValueCopy(nil)
		if err == nil {
			err = visit(item, item.KeyCopy(nil), value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// names reads the names of managers and listeners.
func (j *judge) names(txn *badger.Txn) error {
	j.managers, j.listeners = make(map[number]string), make(map[number]string)
	for kind, names := range map[byte]map[number]string{keyManager: j.managers, keyListener: j.listeners} {
		if err := each(txn, kind, func(_ *badger.Item, key, value []byte) error {
			if len(value) != len(number{}) {
				j.remove(key) // a store with it would not open
				return nil
			}
			names[number(value)] = string(key[1:])
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// check tells what is wrong with a record as a restore would.
func (j *judge) check(key store.Key, rec *store.Record) error {
	if key.Manager == "" {
		return errDamaged // its name is lost
	}
	if j.o.Check == nil {
		return nil
	}
	return j.o.Check(key, rec)
}

// sessions looks at all records.
func (j *judge) sessions(txn *badger.Txn) error {
	return each(txn, keySession, func(item *badger.Item, raw, value []byte) error {
		if len(raw) != 1+len(number{})+len(store.ID{}) {
			j.remove(raw)
			return nil
		}
		n, id := number(raw[1:5]), store.ID(raw[5:])
		if _, known := j.managers[n]; !known {
			j.managers[n] = ""
			j.out.Faults = append(j.out.Faults, "the name of a manager is lost, and its sessions with it")
		}
		e, err := decode(raw, value)
		if err == nil {
			err = j.check(store.Key{Manager: j.managers[n], ID: id}, &e.rec)
		}
		if err != nil {
			j.out.LostSessions++
			j.remove(raw)
			return nil //nolint:nilerr // what is damaged is left out, and the rest is looked at
		}
		if j.to.isDoubtful(raw, item.Version()) {
			ended, err := j.hasEnded(txn, n, id, &e.rec)
			switch {
			case err != nil:
				return err
			case ended:
				j.out.Ended++
				j.remove(raw)
				return nil
			}
			j.out.Doubtful++
			if j.o.Certain {
				j.remove(raw)
				return nil
			}
		}
		j.out.Sessions++
		return nil
	})
}

// hasEnded reports whether the indexes say that a record is not the latest
// one: they are written in the same step, and stand elsewhere.
func (j *judge) hasEnded(txn *badger.Txn, n number, id store.ID, rec *store.Record) (bool, error) {
	keys := [][]byte{createdKey(rec.Created, n, id)}
	if rec.Principal != "" {
		keys = append(keys, principalKey(rec.Principal, rec.Created, n, id))
	}
	for _, key := range keys {
		if there, err := has(txn, key); err != nil || !there && !j.to.isDoubtful(key, 0) {
			return true, err
		}
	}
	return false, nil
}

// missing counts the sessions that stand in the index and nowhere else.
func (j *judge) missing(txn *badger.Txn) error {
	return each(txn, keyCreated, func(_ *badger.Item, key, _ []byte) error {
		if len(key) != 1+len(number{})+placeLen {
			return nil
		}
		raw := sessionKey(number(key[1:5]), placeOf(key).id)
		there, err := has(txn, raw)
		if err == nil && !there && j.to.isDoubtful(raw, 0) {
			j.out.LostSessions++
		}
		return err
	})
}

// events looks at what listeners are to be told.
func (j *judge) events(txn *badger.Txn) error {
	good := make(map[uint64]bool)
	if err := each(txn, keyEvent, func(_ *badger.Item, raw, value []byte) error {
		n, err := decodeEvent(raw, value)
		if err == nil && len(raw) == len(eventKey(0)) {
			rec := n.Checkable()
			err = j.check(store.Key{Manager: j.managers[n.session.n], ID: n.session.id}, &rec)
		}
		if err != nil {
			j.remove(raw)
			return nil //nolint:nilerr // what is damaged is left out, and the rest is looked at
		}
		good[seqOf(raw)] = true
		return nil
	}); err != nil {
		return err
	}
	for _, kind := range []byte{keyDelivery, keyDead} {
		if err := each(txn, kind, func(_ *badger.Item, raw, value []byte) error {
			if len(raw) != len(deliveryKey(number{}, 0)) {
				j.remove(raw)
				return nil
			}
			listener, seq := number(raw[1:5]), seqOf(raw)
			if kind == keyDead { // the other way round
				listener, seq = number(raw[9:]), binary.BigEndian.Uint64(raw[1:])
			}
			state, err := decodeDelivery(raw, value)
			if err == nil {
				err = archive.CheckDelivery(j.listeners[listener], state.Failure)
			}
			if err != nil || !good[seq] {
				j.out.LostDeliveries++
				j.remove(raw)
				return nil //nolint:nilerr // as above
			}
			j.out.Deliveries++
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
