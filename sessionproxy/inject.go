package sessionproxy

import (
	"net/http"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// inject sets the request headers for the app. It returns how many bytes
// their values have.
func (w *writer) inject(header http.Header, s *session.Session) (size int) {
	values := &w.values
	values[0], values[1] = w.id.String(), string(s.State())
	header[HeaderID] = values[0:1:1]
	header[HeaderState] = values[1:2:2]
	size = len(values[0]) + len(values[1])
	if w.h.Forward == ForwardID {
		return size
	}
	values[2] = metaValue(s.Meta())
	header[HeaderMeta] = values[2:3:3]
	data := s.Data()
	switch {
	case w.h.Forward != ForwardData:
	case len(data) <= w.h.InlineLimit:
		values[3] = string(data)
		header[HeaderData] = values[3:4:4]
	case w.h.withholds():
		w.h.metrics.withheld.Inc()
		if w.h.Withheld != nil {
			w.h.Withheld(len(data))
		}
	}
	return size + len(values[2]) + len(values[3])
}

// withholds reports whether data that is larger than InlineLimit is a surprise
// to the app: no larger data is accepted, or there is no endpoint to read it
// at. Such data was stored under another policy.
func (h *Handler) withholds() bool {
	return h.Endpoint == nil || h.Manager.Policy().MaxSize <= h.InlineLimit
}
