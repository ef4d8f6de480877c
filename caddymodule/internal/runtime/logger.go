package runtime

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// liveLogger returns a logger that writes to Caddy's default log as it is
// configured at the time of writing. The logger of a module ends with its
// configuration; an open store does not.
func liveLogger(name string) *zap.Logger {
	return zap.New(liveCore{}).Named(name)
}

// AdminLogger returns that of the admin API, whose calls are independent of
// configurations.
func AdminLogger() *zap.Logger { return liveLogger(AdminName) }

type liveCore struct{ fields []zapcore.Field }

func (c liveCore) Enabled(level zapcore.Level) bool { return caddy.Log().Core().Enabled(level) }

func (c liveCore) With(fields []zapcore.Field) zapcore.Core {
	return liveCore{append(slices.Clip(c.fields), fields...)}
}

func (c liveCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return ce
	}
	return ce.AddCore(e, c)
}

// Write asks the core of the day once more: its filters look at the logger's name.
func (c liveCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if ce := caddy.Log().Core().Check(e, nil); ce != nil {
		ce.Write(append(slices.Clip(c.fields), fields...)...)
	}
	return nil
}

func (c liveCore) Sync() error { return caddy.Log().Core().Sync() }
