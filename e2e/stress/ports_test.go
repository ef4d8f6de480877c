package main

import (
	"fmt"
	"net"
	"testing"
)

// TestFreePorts: a row with a port that is taken is not used.
func TestFreePorts(t *testing.T) {
	t.Parallel()
	first, err := freePorts(t.Context(), 18300)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", first+portsNeeded-1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	next, err := freePorts(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if next < first+portsNeeded {
		t.Errorf("row at %d is used, and its last port is taken", next)
	}
}
