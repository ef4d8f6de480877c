package app

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func TestSweepInterval(t *testing.T) {
	for interval, ok := range map[caddy.Duration]bool{
		defaultSweepInterval: true, leastSweepInterval: true, leastSweepInterval - 1: false, -1: false,
	} {
		if err := checkSweepInterval(interval); (err == nil) != ok {
			t.Errorf("%v: %v", time.Duration(interval), err)
		}
	}
}
