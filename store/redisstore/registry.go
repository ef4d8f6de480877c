package redisstore

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
)

// registry has the managers of a store, and the numbers by which the order of
// their events is one for the store.
type registry struct {
	mu      sync.Mutex
	numbers map[string]string // of those that this process has registered; protected by mu
}

var errTooMany = errors.New("the store has 65,536 managers, which is the most it can have")

// number returns the number of a manager, which is registered with it: a
// process does so once, before it writes anything of the manager.
func (s *Store) number(ctx context.Context, manager string) (string, error) {
	s.managers.mu.Lock()
	n, ok := s.managers.numbers[manager]
	s.managers.mu.Unlock()
	if ok {
		return n, nil
	}
	return s.register(ctx, manager, "")
}

func (s *Store) register(ctx context.Context, manager, had string) (string, error) {
	m, err := s.eval(ctx, registerScript, s.managersKey(), manager, had).ToMessage()
	if err != nil {
		return "", err
	}
	n, err := m.ToString()
	if err == nil && n == "" {
		err = errTooMany
	}
	if err != nil {
		return "", err
	}
	s.managers.mu.Lock()
	defer s.managers.mu.Unlock()
	if s.managers.numbers == nil {
		s.managers.numbers = make(map[string]string)
	}
	s.managers.numbers[manager] = n
	return n, nil
}

// names returns the managers of the store, in order. A server that has lost
// what this process registered gets it again.
func (s *Store) names(ctx context.Context) ([]string, error) {
	m, err := s.client.Do(ctx, s.client.B().Hgetall().Key(s.managersKey()).Build()).AsStrMap()
	if err != nil {
		return nil, err
	}
	s.managers.mu.Lock()
	own := maps.Clone(s.managers.numbers)
	s.managers.mu.Unlock()
	for manager, n := range own {
		if _, ok := m[manager]; !ok {
			if _, err := s.register(ctx, manager, n); err != nil {
				return nil, err
			}
			m[manager] = n
		}
	}
	return slices.Sorted(maps.Keys(m)), nil
}
