package handler

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
)

// tracerName is the instrumentation scope of our spans.
const tracerName = "github.com/sessionproxy/sessionproxy"

// Names of the spans' attributes.
const (
	attributeManager = "session.manager"
	attributeID      = "session.id"
	attributeState   = "session.state"
	attributeOutcome = "session.outcome"
)

// spans returns what makes a span of each step of a manager's requests, below
// the one of Caddy's `tracing` directive. Caddy sets no global provider, so
// theirs is the parent's. Without a parent that records nothing is made.
func spans(manager string) session.Trace {
	of := trace.WithAttributes(attribute.String(attributeManager, manager))
	return func(ctx context.Context, step session.TraceStep) (context.Context, func(session.Traced)) {
		parent := trace.SpanFromContext(ctx)
		if !parent.IsRecording() {
			return ctx, nil
		}
		ctx, span := parent.TracerProvider().Tracer(tracerName).Start(ctx, string(step), of)
		return ctx, func(t session.Traced) { endSpan(span, t) }
	}
}

func endSpan(span trace.Span, t session.Traced) {
	attributes := []attribute.KeyValue{attribute.String(attributeOutcome, t.Outcome)}
	if t.State != "" {
		attributes = append(attributes, attribute.String(attributeState, string(t.State)))
	}
	if t.Session != (session.Traced{}).Session {
		attributes = append(attributes, attribute.String(attributeID, t.Session.String()))
	}
	span.SetAttributes(attributes...)
	if t.Failed {
		span.SetStatus(codes.Error, t.Outcome)
	}
	span.End()
}
