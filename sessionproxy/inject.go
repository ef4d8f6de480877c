package sessionproxy

import (
	"net/http"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// injected has room for the values of the request headers that inject sets.
type injected struct {
	id, state, meta, data, endpoint [1]string
}

// inject sets the request headers for the app. It returns how many bytes
// their values have.
func (w *writer) inject(header http.Header, s *session.Session) (size int) {
	v := &w.values
	v.id[0], v.state[0] = w.id.String(), string(s.State())
	header[HeaderID] = v.id[:]
	header[HeaderState] = v.state[:]
	size = len(v.id[0]) + len(v.state[0])
	if w.h.Forward == ForwardID {
		return size
	}
	v.meta[0] = metaValue(s.Meta())
	header[HeaderMeta] = v.meta[:]
	data := s.Data()
	switch {
	case w.h.Forward != ForwardData:
	case len(data) <= w.h.InlineLimit:
		v.data[0] = string(data)
		header[HeaderData] = v.data[:]
	case w.h.withholds():
		w.h.metrics.withheld.Inc()
		if w.h.Withheld != nil {
			w.h.Withheld(len(data))
		}
	}
	return size + len(v.meta[0]) + len(v.data[0])
}

// withholds reports whether data that is larger than InlineLimit is a surprise
// to the app: no larger data is accepted, or there is no endpoint to read it
// at. Such data was stored under another policy.
func (h *Handler) withholds() bool {
	return h.Endpoint == nil || h.Manager.Policy().MaxSize <= h.InlineLimit
}
