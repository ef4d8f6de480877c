package badgerstore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
	"github.com/sessionproxy/sessionproxy/store/badgerstore/internal/rawfiles"
)

// restoreBatch stores what is in a backup, some at a time.
type restoreBatch struct {
	s        *Store
	ctx      context.Context
	frames   []*archive.Frame
	cost     int
	sessions int64
}

// add takes a frame. An event stays together with its deliveries.
func (l *restoreBatch) add(f *archive.Frame) error {
	if f.Kind != archive.KindDelivery && (l.cost >= maxBatchBytes || len(l.frames) >= maxBatchOps) {
		if err := l.flush(); err != nil {
			return err
		}
	}
	switch f.Kind {
	case archive.KindSession:
		l.sessions++
		l.cost += recordCost(&f.Record)
	case archive.KindEvent:
		l.cost += eventCost(&f.Event.Record, store.Event{Kind: f.Event.Kind, Keys: f.Event.Keys}, []string{""})
	case archive.KindDelivery:
		l.cost += deliveryCost + len(f.Listener)
	}
	l.frames = append(l.frames, f)
	return nil
}

func (l *restoreBatch) flush() error {
	frames, cost := l.frames, l.cost
	l.frames, l.cost = nil, 0
	if len(frames) == 0 {
		return nil
	}
	if err := l.s.space.CheckReserve(); err != nil {
		return err
	}
	return l.s.writer.do(l.ctx, &op{run: func(b *batch) error {
		if err := b.reserveBytes(cost); err != nil {
			return err
		}
		for _, f := range frames {
			if err := b.load(f); err != nil {
				return err
			}
		}
		b.staged++
		return nil
	}})
}

// load stages one frame.
func (b *batch) load(f *archive.Frame) error {
	if f.Kind == archive.KindSession {
		return b.stageRecord(f.Key, nil, &f.Record)
	}
	n, err := b.number(f.Key.Manager)
	if err != nil {
		return err
	}
	ref := sessionRef{n, f.Key.ID}
	if f.Kind == archive.KindEvent {
		if err := b.reserve(f.Seq); err != nil {
			return err
		}
		b.s.outbox.next = max(b.s.outbox.next, f.Seq+1)
		body, raw := event{ref, f.Event}, eventKey(f.Seq)
		return b.set(raw, body.encode(raw), 0)
	}
	listener, err := b.listener(f.Listener)
	if err != nil {
		return err
	}
	recipients, err := readRecipients(b.txn, f.Seq)
	if err == nil {
		err = b.set(recipientsKey(f.Seq), withRecipient(recipients, listener), 0)
	}
	if err != nil {
		return err
	}
	return b.add(&newDelivery{listener, f.Seq, deliveryState{ref, f.Event.At, f.State}})
}

// spool keeps a backup in a file while it is checked, beside the database. It
// is encrypted with a key that only this process has: no sessions are left
// legible on the disk, whatever happens.
type spool struct {
	s     *Store
	f     *os.File
	block cipher.Block
}

const spoolPattern = "restore-*.tmp"

// spoolStep is how much is written before the next look at the free space.
const spoolStep = 4 << 20

// newSpool copies all of r. The caller closes it.
func (s *Store) newSpool(ctx context.Context, r io.Reader) (p *spool, err error) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails: crypto/rand ends the process instead
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(s.opts.Dir, spoolPattern) // for its owner alone
	if err != nil {
		return nil, err
	}
	p = &spool{s, f, block}
	w := cipher.StreamWriter{S: p.stream(), W: f}
	for {
		if err = s.interrupted(ctx); err == nil {
			s.space.Refresh()
			err = s.space.CheckReserve()
		}
		if err == nil {
			_, err = io.CopyN(w, r, spoolStep)
		}
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("reading the backup: %w", err), p.close())
		}
	}
}

// stream returns the cipher of the whole file. The key is used for one file,
// so the counter begins at zero.
func (p *spool) stream() cipher.Stream { return cipher.NewCTR(p.block, make([]byte, aes.BlockSize)) }

// reader reads the file from its beginning.
func (p *spool) reader() (io.Reader, error) {
	_, err := p.f.Seek(0, io.SeekStart)
	return cipher.StreamReader{S: p.stream(), R: p.f}, err
}

// close removes the file.
func (p *spool) close() error { return errors.Join(p.f.Close(), os.Remove(p.f.Name())) }

// removeSpools removes what a process has left that ended during a restore.
func removeSpools(dir string) error {
	left, err := rawfiles.Files(dir, spoolPattern)
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}
