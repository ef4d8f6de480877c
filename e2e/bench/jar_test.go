package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestCountWrites(t *testing.T) {
	const text = `# TYPE caddy_sessions_store_seconds histogram
caddy_sessions_store_seconds_count{op="load",outcome="ok"} 500
caddy_sessions_store_seconds_count{op="touch",outcome="ok"} 70
caddy_sessions_store_seconds_count{op="save",outcome="ok"} 3
caddy_sessions_store_seconds_count{op="update",outcome="ok"} 1.2e+03
caddy_sessions_store_seconds_sum{op="update",outcome="ok"} 17
`
	if n, err := countWrites(text); n != 1203 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := countWrites(strings.Replace(text, "} 3\n", "} many\n", 1)); err == nil {
		t.Error("no error")
	}
}

func TestRepeatedCookieThatIsWritten(t *testing.T) {
	for writes, fails := range map[int]bool{0: false, 1: true} {
		rep := &report{Jar: &jarFigures{Repeated: 10_000, Writes: writes, Full: make([]sample, 3)}}
		if err := rep.failure(); (err != nil) != fails {
			t.Errorf("%d writes: %v", writes, err)
		}
		var out bytes.Buffer
		rep.print(&out)
		if !strings.Contains(out.String(), "128 cookies") {
			t.Errorf("printed %s", out.String())
		}
	}
}
