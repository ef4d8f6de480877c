package app

import (
	"net"
	"runtime"
	"testing"
)

// TestListenersOfOtherProcesses takes a socket of this process for one of its
// own, and for a stranger's where it is not said to be its own.
func TestListenersOfOtherProcesses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells which sockets listen")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint64(l.Addr().(*net.TCPAddr).Port)
	ports := map[uint64]bool{port: true}
	if got := foreignListeners(ports, ownSockets()); len(got) > 0 {
		t.Errorf("its own socket: %s", got)
	}
	if got := foreignListeners(ports, map[uint64]bool{1: true}); len(got) != 1 || got[0] != l.Addr().String() {
		t.Errorf("another process's: %s", got)
	}
	if got := foreignListeners(map[uint64]bool{port + 1: true}, map[uint64]bool{1: true}); len(got) > 0 && got[0] == l.Addr().String() {
		t.Errorf("another port's: %s", got)
	}
}
