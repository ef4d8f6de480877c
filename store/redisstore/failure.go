package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/redis/rueidis"

	"github.com/sessionproxy/sessionproxy/store"
)

// effect says whether a call that was sent may have changed something.
type effect bool

const (
	reading effect = false
	writing effect = true
)

// failure tells what became of a call that has failed. ctx is the caller's.
func failure(ctx context.Context, what string, e effect, err error) error {
	var answer *rueidis.RedisError
	var network *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrGone), errors.Is(err, store.ErrUnavailable):
		return err // it is told already
	case errors.As(err, &answer):
		// Scripts look at all that they need before they write.
		return fmt.Errorf("%s: %w: %w", what, store.ErrUnavailable, err)
	case errors.Is(err, rueidis.ErrClosing), errors.As(err, &network) && network.Op == "dial":
		return fmt.Errorf("%s: %w: %w", what, store.ErrUnavailable, err)
	case e == writing:
		return fmt.Errorf("%s: %w: %w", what, store.ErrUnknown, err)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	return fmt.Errorf("%s: %w: %w", what, store.ErrUnavailable, err)
}
