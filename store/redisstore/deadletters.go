package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sessionproxy/sessionproxy/store"
)

// DeadLetters implements store.Outbox.
func (s *Store) DeadLetters(ctx context.Context, after string, n int) ([]store.Delivery, error) {
	within, leave, err := s.call(ctx, "listing dead letters")
	if err != nil {
		return nil, err
	}
	defer leave()
	if after != "" && !isID(after) {
		return nil, fmt.Errorf("listing dead letters: %w", store.ErrBadCursor)
	}
	names, all, err := s.perManager(within, deadLettersScript, after, decimal(n))
	if err != nil {
		return nil, failure(ctx, "listing dead letters", reading, err)
	}
	var dead []store.Delivery
	var d decoder
	for i, m := range all {
		list, _ := m.ToArray()
		for _, m := range list {
			dead = append(dead, s.delivery(&d, names[i], m).Delivery)
		}
	}
	if d.err != nil {
		return nil, fmt.Errorf("listing dead letters: %w: %w", store.ErrUnavailable, d.err)
	}
	slices.SortFunc(dead, func(a, b store.Delivery) int { return strings.Compare(a.ID, b.ID) })
	return dead[:min(n, len(dead))], nil
}

// RetryDeadLetter implements store.Outbox.
func (s *Store) RetryDeadLetter(ctx context.Context, id string) error {
	return s.withDeadLetter(ctx, "retrying a dead letter", id, "retry")
}

// DeleteDeadLetter implements store.Outbox.
func (s *Store) DeleteDeadLetter(ctx context.Context, id string) error {
	return s.withDeadLetter(ctx, "deleting a dead letter", id, "delete")
}

func (s *Store) withDeadLetter(ctx context.Context, what, id, do string) error {
	within, leave, err := s.call(ctx, what)
	if err != nil {
		return err
	}
	defer leave()
	if !isID(id) {
		return fmt.Errorf("%s: %w", what, store.ErrGone)
	}
	_, all, err := s.perManager(within, deadLetterScript, id, do, s.channel())
	if err != nil {
		return failure(ctx, what, writing, err)
	}
	for _, m := range all {
		if listener, _ := m.ToString(); listener != "" {
			if do == "retry" {
				s.Wake(listener)
			}
			return nil
		}
	}
	return fmt.Errorf("%s: %w", what, store.ErrGone)
}

// PurgeListener implements store.Outbox.
func (s *Store) PurgeListener(ctx context.Context, listener string) (total int, err error) {
	for {
		n, err := s.purgeSome(ctx, listener)
		if total += n; err != nil || n == 0 {
			return total, err
		}
	}
}

func (s *Store) purgeSome(ctx context.Context, listener string) (total int, err error) {
	within, leave, err := s.call(ctx, "purging")
	if err != nil {
		return 0, err
	}
	defer leave()
	_, all, err := s.perManager(within, purgeScript, listener, decimal(maxSettled))
	if err != nil {
		return 0, failure(ctx, "purging", writing, err)
	}
	for _, m := range all {
		n, _ := m.AsInt64()
		total += int(n)
	}
	return total, nil
}
