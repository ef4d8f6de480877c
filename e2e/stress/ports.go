package main

import (
	"context"
	"fmt"
	"net"
)

// portsNeeded is how many ports the proxy takes, in a row.
const portsNeeded = 10

// freePorts returns the first port of the first row that is free, so that two
// runs on one machine do not meet.
func freePorts(ctx context.Context, from int) (int, error) {
	for first := from; first < from+100*portsNeeded; first += portsNeeded {
		if areFree(ctx, first) {
			return first, nil
		}
	}
	return 0, fmt.Errorf("looking for %d free ports from %d on: there are none; set -port", portsNeeded, from)
}

func areFree(ctx context.Context, first int) bool {
	for port := first; port < first+portsNeeded; port++ {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}
