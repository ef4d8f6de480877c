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
	"path/filepath"
)

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
			s.space.look()
			err = s.space.short()
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
	left, err := filepath.Glob(filepath.Join(dir, spoolPattern))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}
