package redisstore

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sessionproxy/sessionproxy/store"
	"github.com/sessionproxy/sessionproxy/store/archive"
)

// decimal writes a number as scripts read it.
func decimal[T int | int64 | uint64](n T) string {
	if n < 0 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}

// The rest of a record, which no script looks at: the format, and fixed fields.
const (
	metaFormat = 1
	metaLen    = 1 + 4*8 + 1 + 2*16
)

func encodeMeta(r *store.Record) string {
	b := append(make([]byte, 0, metaLen), metaFormat)
	for _, t := range [...]time.Time{r.Written, r.Since, r.Rotated, r.PreviousUntil} {
		b = archive.AppendTime(b, t)
	}
	var own byte
	if r.OwnIdle {
		own |= 1
	}
	if r.OwnAbsolute {
		own |= 2
	}
	b = append(append(append(b, own), r.Nonce[:]...), r.PreviousNonce[:]...)
	return string(b)
}

var errFormat = errors.New("a newer version of the proxy wrote this record, or something else did: use that version")

func decodeMeta(r *store.Record, meta string) error {
	if len(meta) != metaLen || meta[0] != metaFormat {
		return errFormat
	}
	d := archive.NewDecoder([]byte(meta[1:]))
	for _, t := range [...]*time.Time{&r.Written, &r.Since, &r.Rotated, &r.PreviousUntil} {
		*t = d.Time()
	}
	own := d.Take(1)[0]
	r.OwnIdle, r.OwnAbsolute = own&1 != 0, own&2 != 0
	r.Nonce, r.PreviousNonce = [16]byte(d.Take(16)), [16]byte(d.Take(16))
	return nil
}

// fieldNames are the fields that the scripts know, and meta, in the order of fields.
var fieldNames = [...]string{"v", "n", "t", "i", "a", "c", "p", "m"}

// fields are what fieldNames name.
func fields(r *store.Record) [8]string {
	return [8]string{
		r.Version.String(), decimal(r.Incarnation), decimal(archive.Millis(r.Accessed)), decimal(r.Idle.Milliseconds()),
		decimal(archive.Millis(r.Absolute)), decimal(archive.Millis(r.Created)), r.Principal, encodeMeta(r),
	}
}

// decoder reads numbers, and keeps the first error.
type decoder struct{ err error }

func (d *decoder) int64(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(text, 64) // of a script
		if ferr != nil && d.err == nil {
			d.err = fmt.Errorf("%w: a number is damaged", errFormat)
		}
		n = int64(f)
	}
	return n
}

func (d *decoder) time(text string) time.Time { return archive.FromMillis(d.int64(text)) }

// record reads a record but for data and cookies; f is as of fields.
func (d *decoder) record(f []string) (r store.Record) {
	var err error
	if r.Version, err = store.ParseVersion(f[0]); err != nil && d.err == nil {
		d.err = errFormat
	}
	if r.Incarnation, err = strconv.ParseUint(f[1], 10, 64); err != nil && d.err == nil {
		d.err = errFormat
	}
	r.Accessed, r.Idle = d.time(f[2]), time.Duration(d.int64(f[3]))*time.Millisecond
	r.Absolute, r.Created, r.Principal = d.time(f[4]), d.time(f[5]), f[6]
	if err := decodeMeta(&r, f[7]); err != nil && d.err == nil {
		d.err = err
	}
	return r
}

// info reads what the scripts' info returns: the id, fields, and the size of the data.
func (d *decoder) info(f []string) store.Info {
	if len(f) < 10 || len(f[0]) != 16 {
		d.err = errFormat
		return store.Info{}
	}
	r := d.record(f[1:])
	info := r.Info(store.ID([]byte(f[0])))
	info.Size = int(d.int64(f[9]))
	return info
}
