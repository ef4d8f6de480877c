package sessionproxy

import "time"

// discard takes in a part of a replaced response.
func (w *writer) discard(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.discardable -= len(p); w.discardable < 0 || time.Now().After(w.until) {
		return 0, errReplaced
	}
	return len(p), nil
}

type discarder struct{ w *writer }

func (d discarder) Write(p []byte) (int, error) { return d.w.discard(p) }
