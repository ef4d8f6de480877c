package badgerstore

import (
	"math"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4/options"
)

// table reads what can be read of a table.
func (s *salvager) table(name string, id uint64) error {
	base := filepath.Base(name)
	b, err := os.ReadFile(name)
	var forms []tableForm
	if err == nil {
		forms, err = s.forms(id)
	}
	if err != nil {
		s.fault("table %s: %v", base, err)
		s.to.lost(everything)
		return nil
	}
	t := chooseForm(b, forms)
	if t.good == 0 {
		s.fault("table %s: nothing in it can be read", base)
	}
	if !t.index.isIntact && t.good > 0 {
		s.fault("table %s: its index is damaged", base)
	}
	return s.blocks(base, b, t)
}

// readableTable is a table in the form in which most blocks are whole.
type readableTable struct {
	form      tableForm
	index     tableIndex
	isScanned bool // there is no index
	good      int  // blocks that are whole
}

func chooseForm(b []byte, forms []tableForm) (best readableTable) {
	best.index = tableIndex{end: len(b), maxVersion: math.MaxUint64}
	for _, form := range forms {
		index, err := readTableIndex(b, form.key)
		isScanned := err != nil
		if isScanned {
			if form.key != nil || form.compression != options.None {
				continue
			}
			index.blocks = scanBlocks(b)
		}
		t := readableTable{form: form, index: index, isScanned: isScanned}
		for _, block := range index.blocks {
			if _, whole, err := form.block(b[block.at : block.at+block.n]); err == nil && whole {
				t.good++
			}
		}
		if t.good > best.good || best.good == 0 {
			best = t
		}
	}
	return best
}

// blocks takes the entries of all blocks. Of a block that is damaged those are
// taken that have a checksum of their own.
func (s *salvager) blocks(name string, b []byte, t readableTable) error {
	var last []byte // the key before
	open := false   // a block is lost behind last
	at, damaged := 0, 0
	lose := func(to []byte) {
		s.to.lost(gap{from: last, to: to, maxVersion: t.index.maxVersion})
		open = false
	}
	for _, block := range t.index.blocks {
		if block.at != at {
			damaged++
			open = true
		}
		at = block.at + block.n
		if len(block.base) > 8 && open {
			lose(block.base[:len(block.base)-8])
		}
		entries, whole, err := t.form.block(b[block.at : block.at+block.n])
		if err != nil || !whole {
			damaged++
			if len(block.base) > 8 {
				last = block.base[:len(block.base)-8]
			}
			open = true
		} else if open && len(entries) > 0 {
			lose(entries[0].key)
		}
		for i := range entries {
			e := entries[i]
			if !whole && (!e.isSealed() || e.version > t.index.maxVersion) {
				continue
			}
			if err := s.to.add(e); err != nil {
				return err
			}
			if whole {
				last = e.key
			}
		}
	}
	if at != t.index.end {
		open = true // without an index it may not be known where the last block ends
		if !t.isScanned {
			damaged++
		}
	}
	if open || len(t.index.blocks) == 0 {
		lose(nil)
	}
	if damaged > 0 {
		s.fault("table %s: %d of %d blocks are damaged", name, damaged, max(damaged, len(t.index.blocks)))
	}
	return nil
}
