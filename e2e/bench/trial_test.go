package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTrialVerdictAndFailure(t *testing.T) {
	for _, c := range []struct {
		name  string
		add   func(*trial)
		want  string
		fails bool
	}{
		{"at most, reached", func(t *trial) { t.atMost("x", 1.9, "s", 2, 4) }, "reached", false},
		{"at most, short", func(t *trial) { t.atMost("x", 2.1, "s", 2, 4) }, "short of the goal", false},
		{"at most, not acceptable", func(t *trial) { t.atMost("x", 4.1, "s", 2, 4) }, "not acceptable", false},
		{"at most, far off", func(t *trial) { t.atMost("x", 5.1, "s", 2, 4) }, "not acceptable", true},
		{"at least, reached", func(t *trial) { t.atLeast("x", 20, "/s", 20, 10) }, "reached", false},
		{"at least, short", func(t *trial) { t.atLeast("x", 19, "/s", 20, 10) }, "short of the goal", false},
		{"at least, not acceptable", func(t *trial) { t.atLeast("x", 9, "/s", 20, 10) }, "not acceptable", false},
		{"at least, far off", func(t *trial) { t.atLeast("x", 7, "/s", 20, 10) }, "not acceptable", true},
		{"no limit fails nothing", func(t *trial) { t.atLeast("x", 1, "/s", 20, 0) }, "short of the goal", false},
		{"no goal", func(t *trial) { t.atMost("x", 99, "", 0, 0) }, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr trial
			c.add(&tr)
			if got := tr.Figures[0].verdict(); got != c.want {
				t.Errorf("verdict %q, want %q", got, c.want)
			}
			if err := tr.failure(); (err != nil) != c.fails {
				t.Errorf("failure: %v", err)
			}
			rep := &report{Trials: []*trial{&tr}}
			if err := rep.failure(); (err != nil) != c.fails {
				t.Errorf("failure of the report: %v", err)
			}
			var out bytes.Buffer
			rep.print(&out)
			if !strings.Contains(out.String(), c.want+"\n") {
				t.Errorf("the table does not say %q:\n%s", c.want, out.String())
			}
		})
	}
}
