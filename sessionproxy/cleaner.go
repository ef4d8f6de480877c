package sessionproxy

import (
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
)

// Clean returns a writer for what answers a request after its session has
// ended, an error page's app for instance: it removes from the response what
// Serve would remove from that of an app. A ticket that stands in the headers
// already stays. While another session handler serves the request, as inner
// tells, that one does the work.
func (h *Handler) Clean(w http.ResponseWriter, inner func() bool) http.ResponseWriter {
	c := &cleaner{ResponseWriter: w, h: h, inner: inner, before: make(http.Header)}
	for name, values := range w.Header() {
		if name == "Set-Cookie" || isReserved(name) || h.names.HasHeader(name) {
			c.before[name] = slices.Clone(values)
		}
	}
	return c
}

// cleaner cleans the headers once before they go, and informational ones too.
type cleaner struct {
	http.ResponseWriter
	h       *Handler
	inner   func() bool
	before  http.Header // what Serve has left, as the writer found it
	cleaned bool
}

// WriteHeader cleans what goes out with the status.
func (c *cleaner) WriteHeader(status int) {
	if !c.cleaned {
		c.cleaned = status >= 200 || status == http.StatusSwitchingProtocols
		c.clean()
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *cleaner) clean() {
	if c.inner() {
		return
	}
	header := c.Header()
	if lines := header["Set-Cookie"]; len(lines) > 0 {
		own := c.before["Set-Cookie"]
		header["Set-Cookie"] = slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(own, line) })
	}
	c.h.count(c.h.metrics.setCookie, c.h.stripSetCookie(header))
	c.h.count(c.h.metrics.echo, scrubHeader(header, c.h))
	c.h.count(c.h.metrics.ticketHeader, ticket.StripHeaders(header, c.h.names)+ticket.StripTickets(header, c.h.keys()))
	if lines := append(slices.Clone(c.before["Set-Cookie"]), header["Set-Cookie"]...); len(lines) > 0 {
		header["Set-Cookie"] = lines
	} else {
		delete(header, "Set-Cookie")
	}
	for name, values := range maps.All(c.before) {
		if name != "Set-Cookie" {
			header[name] = values
		}
	}
}

func (c *cleaner) begin() {
	if !c.cleaned {
		c.WriteHeader(http.StatusOK)
	}
}

// Write begins the response if nothing has.
func (c *cleaner) Write(p []byte) (int, error) {
	c.begin()
	return c.ResponseWriter.Write(p)
}

// ReadFrom begins the response if nothing has, and keeps the fast copy of the
// writer underneath.
func (c *cleaner) ReadFrom(src io.Reader) (int64, error) {
	c.begin()
	return io.Copy(c.ResponseWriter, src)
}

// FlushError begins the response if nothing has. http.ResponseController finds it.
func (c *cleaner) FlushError() error {
	c.begin()
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (c *cleaner) Unwrap() http.ResponseWriter { return c.ResponseWriter }
