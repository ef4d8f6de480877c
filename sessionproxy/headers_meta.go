package sessionproxy

import (
	"strconv"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy/document"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// metaValue writes the Session-Meta header: one JSON object in ASCII. The
// times are Unix seconds, and absent for a session that does not exist.
func metaValue(m session.Meta) string {
	b := make([]byte, 0, 256)
	b = append(b, `{"version":"`...)
	b = m.Version.Append(b)
	b = append(b, '"')
	b = appendTime(b, "created", m.Created)
	b = appendTime(b, "accessed", m.Accessed)
	b = appendTime(b, "written", m.Written)
	b = appendTime(b, "expires", m.Expires)
	b = append(b, `,"manager":"`...)
	b = append(b, m.Manager...) // its characters need no escape
	b = append(b, `","read_only":`...)
	b = strconv.AppendBool(b, m.ReadOnly)
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, int64(m.Size), 10)
	if m.Principal != "" {
		b = append(b, `,"principal":`...)
		b = document.AppendString(b, m.Principal)
	}
	b = append(b, `,"attempt":`...)
	b = strconv.AppendInt(b, int64(m.Attempt), 10)
	b = append(b, '}')
	return string(b)
}

func appendTime(b []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return strconv.AppendInt(b, t.Unix(), 10)
}
