package main

import (
	"strings"
	"testing"
	"time"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	s, err := parse([]string{"-duration", "10m", "-phases", "kill,disk", "-skip", "disk,brief"})
	if err != nil || s.Duration != 10*time.Minute || !s.wanted("kill") || s.wanted("disk") || s.wanted("reload") || !s.skipped("brief") || s.skipped("kill") {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := parse(nil); err != nil || !s.wanted("disk") || !s.wanted("directory") {
		t.Errorf("%+v, %v", s, err)
	}
	for want, args := range map[string][]string{
		"earthquake":   {"-phases", "earthquake"},
		"yawn":         {"-skip", "yawn"},
		"out of range": {"-rate", "0"},
		"too much":     {"now"},
	} {
		if _, err := parse(args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestHooksThatAreMissing(t *testing.T) {
	t.Parallel()
	h := newHooks()
	h.heardOf("early")
	h.owe("early")
	h.owe("late")
	if n, id, _ := h.open(); n != 1 || id != "late" {
		t.Errorf("%d, %s", n, id)
	}
	h.heardOf("late")
	h.heardOf("late")
	if n, _, _ := h.open(); n != 0 || h.heard != 3 || h.twice != 1 {
		t.Errorf("%d missing, %d heard, %d twice", n, h.heard, h.twice)
	}
}

// What a log may not have ends the run, and so does an end by itself.
func TestTheLogIsRead(t *testing.T) {
	t.Parallel()
	for line, bad := range map[string]bool{
		"WARNING: DATA RACE\n":                           true,
		"panic: runtime error\n":                         true,
		"fatal error: all goroutines are asleep\n":       true,
		`{"level":"error","msg":"store is full"}` + "\n": false,
	} {
		w := newWorld(t.Context(), settings{})
		p := &proxy{w: w, serving: make(chan struct{})}
		p.line(line)
		if (p.bad != "") != bad {
			t.Errorf("%q: %q", line, p.bad)
		}
	}
}
