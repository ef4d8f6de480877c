package archive

import (
	"bufio"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/internal/crc32c"
)

// Format is the number of the format that is written. The formats before it
// are read.
//
//	1, 2, 3  records without a cookie jar; 1 also without timeouts of their own
//	4        records may have a cookie jar
const Format = 4

const magic = "sessionproxy backup\n"

// The kinds of frames.
const (
	kindHeader   = 'H'
	KindSession  = 'S'
	KindEvent    = 'N'
	KindDelivery = 'D'
	KindEnd      = 'E'
)

const (
	// maxFrame is more than the largest payload.
	maxFrame = 1 << 20
	// maxSeq is far beyond any seq.
	maxSeq = 1 << 62
	// maxName bounds the names of managers and listeners, in bytes.
	maxName = 1 << 10
)

// totals are how much there is in a backup.
type totals struct{ sessions, events, deliveries uint64 }

// Writer writes a backup: sessions, then events with their deliveries, then the end.
type Writer struct {
	w   *bufio.Writer
	sum hash.Hash32
	b   []byte // of the frame that is being written
	totals
}

// NewWriter begins a backup of the store of that id.
func NewWriter(w io.Writer, id string, now time.Time) (*Writer, error) {
	a := &Writer{w: bufio.NewWriterSize(w, 64<<10), sum: crc32.New(crc32c.Table)}
	if err := a.write(binary.BigEndian.AppendUint32([]byte(magic), Format)); err != nil {
		return nil, err
	}
	return a, a.frame(kindHeader, AppendTime(AppendText(a.begin(), id), now))
}

func (a *Writer) write(b []byte) error {
	a.sum.Write(b)
	_, err := a.w.Write(b)
	return err
}

// begin returns where the payload of the next frame is appended.
func (a *Writer) begin() []byte { return append(a.b[:0], 0, 0, 0, 0, 0) }

// frame writes what was appended to begin.
func (a *Writer) frame(kind byte, b []byte) error {
	a.b = b
	b[0] = kind
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-5))
	return a.write(binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32c.Table)))
}

// Session writes a session. Those of one manager come together, in order of their ids.
func (a *Writer) Session(key store.Key, r *store.Record) error {
	a.sessions++
	return a.frame(KindSession, AppendRecord(append(AppendText(a.begin(), key.Manager), key.ID[:]...), r))
}

// Event writes what its deliveries, which follow, tell of; seq only grows.
func (a *Writer) Event(seq uint64, key store.Key, n *Event) error {
	a.events++
	b := AppendText(binary.BigEndian.AppendUint64(a.begin(), seq), key.Manager)
	return a.frame(KindEvent, n.Append(append(b, key.ID[:]...)))
}

// Delivery writes a delivery of the event before it.
func (a *Writer) Delivery(listener string, t *State) error {
	a.deliveries++
	return a.frame(KindDelivery, t.Append(AppendText(a.begin(), listener)))
}

// End writes the trailer. Without it a backup is cut off.
func (a *Writer) End() error {
	b := a.begin()
	for _, n := range []uint64{a.sessions, a.events, a.deliveries} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	if err := a.frame(KindEnd, binary.BigEndian.AppendUint32(b, a.sum.Sum32())); err != nil {
		return err
	}
	return a.w.Flush()
}
