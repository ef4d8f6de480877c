package badgerstore

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
)

// The form of a backup. It begins with archiveMagic and the number of its
// format, and goes on with frames: kind, length, payload, and a CRC32C of these.
//
//	H store, time                                  the header, first
//	S manager, id, record                          sessions, in order of managers' numbers and ids
//	N seq, manager, id, event                     what listeners are to be told, in order
//	D listener, attempts                           a delivery of the event before
//	E sessions, events, deliveries, CRC32C of all the trailer, last
//
// It has the names of managers and listeners, not their numbers, and nothing
// of the indexes: those are made anew.
const (
	archiveMagic  = "sessionproxy backup\n"
	archiveFormat = markerFormat // records are those of the store

	frameHeader   = 'H'
	frameSession  = 'S'
	frameEvent    = 'N'
	frameDelivery = 'D'
	frameEnd      = 'E'

	// maxFrame is more than the largest payload.
	maxFrame = 1 << 20
	// maxSeq is far beyond any seq.
	maxSeq = 1 << 62
)

// totals are how much there is in a backup.
type totals struct{ sessions, events, deliveries uint64 }

// archiveWriter writes a backup.
type archiveWriter struct {
	w   *bufio.Writer
	sum hash.Hash32
	b   []byte // of the frame that is being written
	totals
}

func newArchiveWriter(w io.Writer, id string, now time.Time) (*archiveWriter, error) {
	a := &archiveWriter{w: bufio.NewWriterSize(w, 64<<10), sum: crc32.New(castagnoli)}
	if err := a.write(binary.BigEndian.AppendUint32([]byte(archiveMagic), archiveFormat)); err != nil {
		return nil, err
	}
	return a, a.frame(frameHeader, appendTime(appendText(a.begin(), id), now))
}

func (a *archiveWriter) write(b []byte) error {
	a.sum.Write(b)
	_, err := a.w.Write(b)
	return err
}

// begin returns where the payload of the next frame is appended.
func (a *archiveWriter) begin() []byte { return append(a.b[:0], 0, 0, 0, 0, 0) }

// frame writes what was appended to begin.
func (a *archiveWriter) frame(kind byte, b []byte) error {
	a.b = b
	b[0] = kind
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-5))
	return a.write(binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)))
}

func (a *archiveWriter) session(key store.Key, r *store.Record) error {
	a.sessions++
	return a.frame(frameSession, appendRecord(append(appendText(a.begin(), key.Manager), key.ID[:]...), r))
}

func (a *archiveWriter) event(seq uint64, manager string, n *event) error {
	a.events++
	b := appendText(binary.BigEndian.AppendUint64(a.begin(), seq), manager)
	return a.frame(frameEvent, n.append(append(b, n.session.id[:]...)))
}

func (a *archiveWriter) delivery(listener string, t *deliveryState) error {
	a.deliveries++
	return a.frame(frameDelivery, t.append(appendText(a.begin(), listener)))
}

func (a *archiveWriter) end() error {
	b := a.begin()
	for _, n := range []uint64{a.sessions, a.events, a.deliveries} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	if err := a.frame(frameEnd, binary.BigEndian.AppendUint32(b, a.sum.Sum32())); err != nil {
		return err
	}
	return a.w.Flush()
}

// archived is one frame of a backup, read.
type archived struct {
	kind     byte
	key      store.Key
	rec      store.Record // of a session
	seq      uint64
	event    event // without its session
	listener string
	state    deliveryState
	totals          // of the end
	sum      uint32 // of the end
}

// archiveReader reads a backup, which may be anything. What it returns is
// whole and in order.
type archiveReader struct {
	r    *bufio.Reader
	sum  hash.Hash32
	b    bytes.Buffer
	last archived
	seen map[string]struct{} // managers, then the listeners of an event
	totals
}

func badBackup(format string, args ...any) error {
	return fmt.Errorf("%w: %w", store.ErrBadBackup, fmt.Errorf(format, args...))
}

func newArchiveReader(r io.Reader) (*archiveReader, error) {
	a := &archiveReader{r: bufio.NewReaderSize(r, 64<<10), sum: crc32.New(castagnoli), seen: make(map[string]struct{})}
	b, err := a.read(len(archiveMagic) + 4)
	if err != nil || string(b[:len(archiveMagic)]) != archiveMagic {
		return nil, badBackup("it is something else")
	}
	if format := binary.BigEndian.Uint32(b[len(archiveMagic):]); format < 1 || format > archiveFormat {
		return nil, badBackup("it has format %d, and this version reads 1 to %d: use the version that wrote it, or a newer one", format, archiveFormat)
	}
	f, err := a.frame()
	if err == nil && f.kind != frameHeader {
		err = badBackup("it has no header")
	}
	return a, err
}

// read returns the next n bytes, which are good until the next call. It
// never allocates for what is not there.
func (a *archiveReader) read(n int) ([]byte, error) {
	a.b.Reset()
	_, err := io.CopyN(io.MultiWriter(&a.b, a.sum), a.r, int64(n))
	if errors.Is(err, io.EOF) {
		return nil, badBackup("it is cut off")
	}
	return a.b.Bytes(), err
}

// next returns the next frame, up to the one of kind frameEnd, after which
// there is none.
func (a *archiveReader) next() (*archived, error) {
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

func (a *archiveReader) frame() (*archived, error) {
	head, err := a.read(5)
	if err != nil {
		return nil, err
	}
	f, n := &archived{kind: head[0]}, binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return nil, badBackup("it is damaged")
	}
	sum := crc32.Checksum(head, castagnoli)
	b, err := a.read(int(n) + 4)
	if err != nil {
		return nil, err
	}
	payload := b[:n]
	if binary.BigEndian.Uint32(b[n:]) != crc32.Update(sum, castagnoli, payload) {
		return nil, badBackup("it is damaged")
	}
	if err := f.decode(payload); err != nil {
		return nil, badBackup("it is damaged")
	}
	return f, nil
}

func (f *archived) decode(payload []byte) (err error) {
	p := decoder{b: payload}
	switch f.kind {
	case frameHeader:
		p.text()
		p.time()
	case frameSession:
		f.key = store.Key{Manager: p.text(), ID: store.ID(p.take(16))}
		f.rec, err = decodeRecord(p.rest())
		if len(f.rec.Data) > maxData || len(f.rec.Cookies) > store.MaxCookies {
			return errDamaged
		}
	case frameEvent:
		f.seq = p.uint64()
		f.key = store.Key{Manager: p.text(), ID: store.ID(p.take(16))}
		err = f.event.read(&p)
	case frameDelivery:
		f.listener = p.text()
		err = f.state.read(&p)
	case frameEnd:
		f.totals = totals{p.uint64(), p.uint64(), p.uint64()}
		f.sum = p.uint32()
	default:
		return errDamaged
	}
	if err != nil || p.failed || len(p.b) > 0 || len(f.key.Manager) > maxManager || len(f.listener) > maxManager {
		return errDamaged
	}
	return nil
}

// follows checks that a frame may come after those before it, so that nothing
// comes twice. sum is that of all before it.
func (a *archiveReader) follows(f *archived, sum uint32) error {
	ok := false
	switch f.kind {
	case frameSession:
		ok = a.events == 0
		if a.sessions++; a.last.kind != frameSession || a.last.key.Manager != f.key.Manager {
			ok = ok && a.first(f.key.Manager)
		} else {
			ok = ok && bytes.Compare(a.last.key.ID[:], f.key.ID[:]) < 0
		}
	case frameEvent:
		ok = a.last.kind != frameEvent && (a.events == 0 || a.last.seq < f.seq) && f.seq < maxSeq
		a.events++
		clear(a.seen)
	case frameDelivery:
		ok = (a.last.kind == frameEvent || a.last.kind == frameDelivery) && a.first(f.listener)
		a.deliveries++
		f.seq, f.key, f.event.at = a.last.seq, a.last.key, a.last.event.at
	case frameEnd:
		if f.totals != a.totals || f.sum != sum || a.last.kind == frameEvent {
			return badBackup("its parts do not belong together")
		}
		switch _, err := a.r.ReadByte(); {
		case err == nil:
			return badBackup("something follows its end")
		case !errors.Is(err, io.EOF):
			return err
		}
		return nil
	}
	if !ok {
		return badBackup("it is not in order")
	}
	return nil
}

// first reports whether a name comes for the first time.
func (a *archiveReader) first(name string) bool {
	_, known := a.seen[name]
	a.seen[name] = struct{}{}
	return !known
}
