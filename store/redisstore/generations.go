package redisstore

import "sync"

// maxGeneration is how many keys one generation has.
const maxGeneration = 32 << 10

// generations is a map that forgets: it keeps what was put among the last
// maxGeneration keys, and no more than twice as many. Safe for concurrent use.
type generations[K comparable, V any] struct {
	mu       sync.Mutex
	now, old map[K]V // protected by mu
}

func (g *generations[K, V]) put(k K, v V) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.now) >= maxGeneration || g.now == nil {
		g.old, g.now = g.now, make(map[K]V)
	}
	g.now[k] = v
}

func (g *generations[K, V]) get(k K) (V, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v, ok := g.now[k]; ok {
		return v, true
	}
	v, ok := g.old[k]
	return v, ok
}
