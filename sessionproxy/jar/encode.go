package jar

import "encoding/binary"

// format is the first byte of an index, and goes up with the layout.
const format = 1

// Encode writes a jar in two parts. The index has names, paths, times, sizes
// and flags; the secret has values, domains and the past. Both are nil for
// the empty jar. There is one form for each jar:
//
//	index  = format, count, cookie…, count, note…
//	cookie = flags, changes, name, path, created, expires, length of the value
//	note   = flags, name, path
//	secret = (domain if flagged, value)… of the cookies, (domain if flagged)… of the notes, past
//	past   = 0, or 1, until, its index, its secret; both are empty if it is
//
// Flags, changes and format are bytes, numbers are unsigned varints, strings
// follow their length; values, and the secret of the past, which is the last,
// bear none.
func (j *Jar) Encode() (index, secret []byte) {
	if j.isEmpty() {
		return nil, nil
	}
	indexLen, secretLen := j.lengths()
	return j.encode(make([]byte, 0, indexLen), make([]byte, 0, secretLen))
}

func (j *Jar) encode(index, secret []byte) (_, _ []byte) {
	index = binary.AppendUvarint(append(index, format), uint64(len(j.cookies)))
	for i := range j.cookies {
		c := &j.cookies[i]
		index = append(index, byte(c.flags), c.changes)
		index = appendString(appendString(index, c.name), c.path)
		index = binary.AppendUvarint(index, uint64(c.created))
		index = binary.AppendUvarint(index, uint64(c.expires))
		index = binary.AppendUvarint(index, uint64(len(c.value)))
		secret = append(appendDomain(secret, c.flags, c.domain), c.value...)
	}
	index = binary.AppendUvarint(index, uint64(len(j.notes)))
	for i := range j.notes {
		n := &j.notes[i]
		index = appendString(appendString(append(index, byte(n.flags)), n.name), n.path)
		secret = appendDomain(secret, n.flags, n.domain)
	}
	if j.past == nil {
		return index, append(secret, 0)
	}
	pastIndex, pastSecret := j.past.Encode()
	secret = binary.AppendUvarint(append(secret, 1), uint64(j.until))
	secret = append(binary.AppendUvarint(secret, uint64(len(pastIndex))), pastIndex...)
	return index, append(secret, pastSecret...)
}

// lengths returns how much room the parts need at most, but for the past.
func (j *Jar) lengths() (index, secret int) {
	const numbers, length = 2 + 6 + 5 + 3, 3
	index, secret = 1+2*length, 1
	for i := range j.cookies {
		c := &j.cookies[i]
		index += numbers + 2*length + len(c.name) + len(c.path)
		secret += length + len(c.domain) + len(c.value)
	}
	for i := range j.notes {
		n := &j.notes[i]
		index += 1 + 2*length + len(n.name) + len(n.path)
		secret += length + len(n.domain)
	}
	return index, secret
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendDomain(b []byte, f flags, domain string) []byte {
	if f&hasDomain == 0 {
		return b
	}
	return appendString(b, domain)
}
