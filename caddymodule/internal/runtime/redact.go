package runtime

import (
	"maps"
	"net/http"
	"reflect"
	"strings"
	"unsafe"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// RedactLogs keeps session headers out of the request that other modules bind
// to their loggers, as reverse_proxy and its FastCGI transport do for lines at
// WARN and ERROR. Caddy has no hook for this, and clones the request before it
// goes upstream; so the cores of the configuration's logs are wrapped, from
// which modules that are provisioned later get their loggers. Provisioning
// is done by one goroutine. It reports whether the cores were found.
func RedactLogs(ctx caddy.Context) bool {
	cfg := hidden(reflect.ValueOf(&ctx).Elem(), "cfg", reflect.TypeFor[*caddy.Config]())
	if !cfg.IsValid() {
		return false
	}
	config, _ := cfg.Interface().(*caddy.Config)
	if config == nil || config.Logging == nil { // as in tests of single modules
		return true
	}
	for _, log := range config.Logging.Logs {
		place := hidden(reflect.ValueOf(log).Elem(), "core", reflect.TypeFor[zapcore.Core]())
		if !place.IsValid() {
			return false
		}
		core, ok := place.Interface().(zapcore.Core)
		if _, done := core.(redactor); ok && !done {
			place.Set(reflect.ValueOf(redactor{core}))
		}
	}
	return true
}

// hidden returns the unexported field of that name and type, to be read and
// set, or the zero Value if there is none.
func hidden(of reflect.Value, name string, want reflect.Type) reflect.Value {
	field := of.FieldByName(name)
	if !field.IsValid() || field.Type() != want {
		return reflect.Value{}
	}
	return reflect.NewAt(want, unsafe.Pointer(field.UnsafeAddr())).Elem() //nolint:gosec // the type was compared
}

// WarnOfCores tells that the logs are as Caddy writes them.
func WarnOfCores(logger *zap.Logger) {
	logger.Warn("this version of Caddy keeps its logs out of reach: lines of reverse_proxy show session data unless a filter deletes request>headers>Session-Data, Session-Meta and Session-Endpoint")
}

// redactor removes session headers from what is bound to a logger. The lines
// themselves go to the core inside, which samples and filters them.
type redactor struct{ zapcore.Core }

func (c redactor) With(fields []zapcore.Field) zapcore.Core {
	return redactor{c.Core.With(redacted(fields))}
}

// Check lets the core inside decide and write.
func (c redactor) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.Core.Check(e, ce)
}

func redacted(fields []zapcore.Field) []zapcore.Field {
	var own []zapcore.Field // a copy, if anything changes
	for i, f := range fields {
		if f.Type != zapcore.ObjectMarshalerType {
			continue
		}
		switch o := f.Interface.(type) {
		case caddyhttp.LoggableHTTPRequest:
			if !holdsSession(o.Header) {
				continue
			}
			r := *o.Request
			r.Header = maps.Clone(r.Header)
			maps.DeleteFunc(r.Header, func(name string, _ []string) bool { return isSessionHeader(name) })
			o.Request = &r
			f.Interface = o
		case zapcore.ObjectMarshaler:
			if f.Key != "env" { // of FastCGI
				continue
			}
			f.Interface = redactedEnv{o}
		}
		if own == nil {
			own = append(own, fields...)
		}
		own[i] = f
	}
	if own == nil {
		return fields
	}
	return own
}

func holdsSession(h http.Header) bool {
	for name := range h {
		if isSessionHeader(name) {
			return true
		}
	}
	return false
}

func isSessionHeader(name string) bool { return strings.HasPrefix(name, "Session-") }

// redactedEnv is an environment in CGI's manner without session headers.
type redactedEnv struct{ env zapcore.ObjectMarshaler }

func (e redactedEnv) MarshalLogObject(to zapcore.ObjectEncoder) error {
	return e.env.MarshalLogObject(envEncoder{to})
}

type envEncoder struct{ zapcore.ObjectEncoder }

func (e envEncoder) AddString(name, value string) {
	if !strings.HasPrefix(name, "HTTP_SESSION_") {
		e.ObjectEncoder.AddString(name, value)
	}
}
