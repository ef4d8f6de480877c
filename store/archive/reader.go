package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/internal/crc32c"
)

// Frame is one frame of a backup, read.
type Frame struct {
	Kind     byte
	Key      store.Key
	Record   store.Record // of a session
	Seq      uint64       // of an event, and of its deliveries
	Event    Event        // of a delivery its time alone
	Listener string       // of a delivery, as State
	State    State
	totals          // of the end
	sum      uint32 // of the end
}

// Reader reads a backup, which may be anything. What it returns is
// whole and in order.
type Reader struct {
	r    *bufio.Reader
	sum  hash.Hash32
	b    bytes.Buffer
	last Frame
	seen map[string]struct{} // managers, then the listeners of an event
	totals
}

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %w", store.ErrBadBackup, fmt.Errorf(format, args...))
}

// NewReader reads the header of a backup.
func NewReader(r io.Reader) (*Reader, error) {
	a := &Reader{r: bufio.NewReaderSize(r, 64<<10), sum: crc32.New(crc32c.Table), seen: make(map[string]struct{})}
	b, err := a.read(len(magic) + 4)
	if err != nil && !errors.Is(err, store.ErrBadBackup) {
		return nil, err
	}
	if err != nil || string(b[:len(magic)]) != magic {
		return nil, bad("it is something else")
	}
	if format := binary.BigEndian.Uint32(b[len(magic):]); format < 1 || format > Format {
		return nil, bad("it has format %d, and this version reads 1 to %d: use the version that wrote it, or a newer one", format, Format)
	}
	f, err := a.frame()
	if err == nil && f.Kind != kindHeader {
		err = bad("it has no header")
	}
	return a, err
}

// read returns the next n bytes, which are good until the next call. It
// never allocates for what is not there.
func (a *Reader) read(n int) ([]byte, error) {
	a.b.Reset()
	_, err := io.CopyN(io.MultiWriter(&a.b, a.sum), a.r, int64(n))
	if errors.Is(err, io.EOF) {
		return nil, bad("it is cut off")
	}
	return a.b.Bytes(), err
}

// Next returns the next frame, up to the one of kind KindEnd, after which
// there is none.
func (a *Reader) Next() (*Frame, error) {
	sum := a.sum.Sum32()
	f, err := a.frame()
	if err != nil {
		return nil, err
	}
	if err := a.follows(f, sum); err != nil {
		return nil, err
	}
	a.last = *f
	return f, nil
}

func (a *Reader) frame() (*Frame, error) {
	head, err := a.read(5)
	if err != nil {
		return nil, err
	}
	f, n := &Frame{Kind: head[0]}, binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return nil, bad("it is damaged")
	}
	sum := crc32.Checksum(head, crc32c.Table)
	b, err := a.read(int(n) + 4)
	if err != nil {
		return nil, err
	}
	payload := b[:n]
	if binary.BigEndian.Uint32(b[n:]) != crc32.Update(sum, crc32c.Table, payload) {
		return nil, bad("it is damaged")
	}
	if err := f.decode(payload); err != nil {
		return nil, bad("it is damaged")
	}
	return f, nil
}

func (f *Frame) decode(payload []byte) (err error) {
	p := Decoder{rest: payload}
	switch f.Kind {
	case kindHeader:
		p.Text()
		p.Time()
	case KindSession:
		f.Key = store.Key{Manager: p.Text(), ID: store.ID(p.Take(16))}
		f.Record, err = DecodeRecord(p.Rest())
		if len(f.Record.Data) > store.MaxData || len(f.Record.Cookies) > store.MaxCookies {
			return ErrDamaged
		}
	case KindEvent:
		f.Seq = p.Uint64()
		f.Key = store.Key{Manager: p.Text(), ID: store.ID(p.Take(16))}
		err = f.Event.Read(&p)
		if len(f.Event.Record.Data) > store.MaxData || len(f.Event.Record.Cookies) > 0 {
			return ErrDamaged
		}
	case KindDelivery:
		f.Listener = p.Text()
		err = f.State.Read(&p)
	case KindEnd:
		f.totals = totals{p.Uint64(), p.Uint64(), p.Uint64()}
		f.sum = p.Uint32()
	default:
		return ErrDamaged
	}
	if err != nil || !p.Done() || len(f.Key.Manager) > maxName || len(f.Listener) > maxName {
		return ErrDamaged
	}
	return nil
}

// follows checks that a frame may come after those before it, so that nothing
// comes twice. sum is that of all before it.
func (a *Reader) follows(f *Frame, sum uint32) error {
	ok := false
	switch f.Kind {
	case KindSession:
		ok = a.events == 0
		if a.sessions++; a.last.Kind != KindSession || a.last.Key.Manager != f.Key.Manager {
			ok = ok && a.first(f.Key.Manager)
		} else {
			ok = ok && bytes.Compare(a.last.Key.ID[:], f.Key.ID[:]) < 0
		}
	case KindEvent:
		ok = a.last.Kind != KindEvent && (a.events == 0 || a.last.Seq < f.Seq) && f.Seq < maxSeq
		a.events++
		clear(a.seen)
	case KindDelivery:
		ok = (a.last.Kind == KindEvent || a.last.Kind == KindDelivery) && a.first(f.Listener)
		a.deliveries++
		f.Seq, f.Key, f.Event.At = a.last.Seq, a.last.Key, a.last.Event.At
	case KindEnd:
		if f.totals != a.totals || f.sum != sum || a.last.Kind == KindEvent {
			return bad("its parts do not belong together")
		}
		switch _, err := a.r.ReadByte(); {
		case err == nil:
			return bad("something follows its end")
		case !errors.Is(err, io.EOF):
			return err
		}
		return nil
	}
	if !ok {
		return bad("it is not in order")
	}
	return nil
}

// first reports whether a name comes for the first time.
func (a *Reader) first(name string) bool {
	_, known := a.seen[name]
	a.seen[name] = struct{}{}
	return !known
}
