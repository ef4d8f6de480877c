package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// dataHeader returns a Session-Data header of that many bytes.
func dataHeader(size int) http.Header {
	const frame = `{"doctor":""}`
	return http.Header{"Session-Data": {`{"doctor":"` + strings.Repeat("x", max(size-len(frame), 0)) + `"}`}}
}

// Sizes between which the limit of an app is looked for, and how exactly.
const leastHeader, mostHeader, headerStep = 1 << 10, 128 << 10, 1 << 10

// headerLimit finds the largest Session-Data header that the app takes, to a
// KiB: mostHeader if it takes more, 0 if it does not take leastHeader. answer
// says how it refuses more.
func (d *doctor) headerLimit(ctx context.Context, p probed) (limit int, answer string, err error) {
	usual, _, err := d.get(ctx, p, dataHeader(0))
	if err != nil {
		return 0, "", err
	}
	takes := func(size int) (bool, error) {
		status, _, err := d.get(ctx, p, dataHeader(size))
		var op *net.OpError
		switch {
		case errors.As(err, &op) && op.Op == "dial", errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
			return false, err // that says nothing of the header
		case err != nil:
			answer = "closes the connection"
			return false, nil //nolint:nilerr // that is its answer
		case status != usual && status >= http.StatusBadRequest:
			answer = fmt.Sprintf("answers %d", status)
			return false, nil
		}
		return true, nil
	}
	ok, err := takes(mostHeader)
	if err != nil || ok {
		return mostHeader, "", err
	}
	if ok, err = takes(leastHeader); err != nil || !ok {
		return 0, answer, err
	}
	low, high := leastHeader, mostHeader // it takes low, and not high
	for high-low > headerStep {
		middle := (low + high) / 2 / headerStep * headerStep
		if ok, err = takes(middle); err != nil {
			return 0, answer, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	return low, answer, nil
}

// room is for the other headers of a request, which many servers count
// together: cookies of the browser, Session-Meta and Session-Endpoint.
const room = 4 << 10

func (d *doctor) checkHeaderLimit(ctx context.Context, p probed) {
	const check = "header limit"
	if p.inline == 0 {
		d.found(check, stateOK, "", "%s gets no data in headers", p.name)
		return
	}
	limit, answer, err := d.headerLimit(ctx, p)
	inline := bytesOf(p.inline)
	lower := max(int64(limit)-room, int64(limit)/2) / 1024
	remedy := fmt.Sprintf("set `inline_limit %dKiB`, or let the app's server take more header", lower)
	if lower == 0 {
		remedy = "set `forward endpoint`, or let the app's server take more header"
	}
	switch {
	case err != nil:
		d.found(check, stateFail, "start the app, or name where it is with --upstream", "%s does not answer: %v", p.name, err)
	case int64(limit) < p.inline:
		d.found(check, stateFail, remedy, "%s takes %s of Session-Data and then %s; inline_limit is %s, so that larger sessions break it", p.name, bytesOf(int64(limit)), answer, inline)
	case limit < mostHeader && int64(limit) < p.inline+room:
		d.found(check, stateWarn, remedy, "%s takes %s of Session-Data and then %s; inline_limit is %s, which leaves little for cookies", p.name, bytesOf(int64(limit)), answer, inline)
	case limit == mostHeader:
		d.found(check, stateOK, "", "%s takes at least %s of Session-Data; inline_limit is %s", p.name, bytesOf(int64(limit)), inline)
	default:
		d.found(check, stateOK, "", "%s takes %s of Session-Data; inline_limit is %s", p.name, bytesOf(int64(limit)), inline)
	}
}
