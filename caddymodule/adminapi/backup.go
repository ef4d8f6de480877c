package adminapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/runtime"
	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// stall is how long a transfer may stand still before it is given up: a copy
// that no client reads holds up the store's housekeeping.
const stall = time.Minute

// backup streams a copy of the store. When it fails in the middle the
// connection is broken off, so that no client takes a part for the whole.
func backup(c *adminCall) error {
	archiver, err := require(c.node.Features.Archiver)
	if err != nil {
		return err
	}
	if _, err := c.query(); err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/octet-stream")
	if c.r.Method == http.MethodHead {
		return nil
	}
	out := &transferOut{ctx: c.r.Context(), w: c.w, control: http.NewResponseController(c.w)}
	defer context.AfterFunc(out.ctx, func() { _ = out.control.SetWriteDeadline(time.Unix(1, 0)) })()
	err = archiver.Backup(c.r.Context(), out)
	switch {
	case err == nil:
		return nil
	case !out.begun:
		return err // as a problem document
	}
	if !errors.Is(err, context.Canceled) {
		runtime.AdminLogger().Error("backup of the session store failed", zap.Error(err))
	}
	panic(http.ErrAbortHandler) // no end of the body is sent
}

// restore reads a copy of a store into the empty one.
func restore(c *adminCall) error {
	archiver, err := require(c.node.Features.Archiver)
	if err != nil {
		return err
	}
	if _, err := c.query(); err != nil {
		return err
	}
	in := &transferIn{ctx: c.r.Context(), r: c.r.Body, control: http.NewResponseController(c.w)}
	defer context.AfterFunc(in.ctx, func() { _ = in.control.SetReadDeadline(time.Unix(1, 0)) })()
	n, err := archiver.Restore(c.r.Context(), in, session.CheckRecord)
	if err != nil {
		// What the client still sends is read, or it might not see the answer.
		// One that waits to be asked for it (Expect: 100-continue) is not asked.
		if in.begun || c.r.Header.Get("Expect") == "" {
			_, _ = io.Copy(io.Discard, in)
		}
		if in.failed != nil { // whatever the store makes of it
			p := badRequest("the backup broke off while it was sent: %v", in.failed)
			p.Type = sessionproxy.TypeBadBackup
			return p
		}
		return err
	}
	return c.answer(map[string]any{"restored": n})
}

// transferOut writes a long answer, as long as it moves and its context lives.
type transferOut struct {
	ctx     context.Context
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

// Write implements io.Writer.
func (t *transferOut) Write(b []byte) (int, error) {
	t.begun = true
	_ = t.control.SetWriteDeadline(time.Now().Add(stall)) // not every server has one
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	return t.w.Write(b)
}

// transferIn reads a long body, as long as it moves and its context lives,
// whatever time limit the endpoint sets for a whole request.
type transferIn struct {
	ctx     context.Context
	r       io.Reader
	control *http.ResponseController
	begun   bool
	failed  error // why the body has no end
}

// Read implements io.Reader.
func (t *transferIn) Read(b []byte) (int, error) {
	t.begun = true
	_ = t.control.SetReadDeadline(time.Now().Add(stall)) // not every server has one
	if err := t.ctx.Err(); err != nil {
		t.failed = err
		return 0, err
	}
	n, err := t.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		t.failed = err
	}
	return n, err
}
