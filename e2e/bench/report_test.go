package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func rounds(ratio, cost float64) []round {
	pair := func(noise float64) round {
		return round{figures{Rate: 1000, CPU: 100}, figures{Rate: 1000*ratio + noise, CPU: 100 + cost + noise}}
	}
	return []round{pair(50), pair(0), pair(-50)}
}

func TestVerdictAndFailure(t *testing.T) {
	read := goal{Ratio: 0.97, Floor: 0.94, Cost: 5, CostLimit: 12}
	for _, c := range []struct {
		name   string
		result result
		want   string
		fails  bool
	}{
		{"reached", result{Goal: read, Rounds: rounds(0.98, 4)}, "reached", false},
		{"a ratio below the goal", result{Goal: read, Rounds: rounds(0.95, 4)}, "short of the goal", false},
		{"a cost above the goal", result{Goal: read, Rounds: rounds(0.98, 8)}, "short of the goal", false},
		{"a ratio below the floor", result{Goal: read, Rounds: rounds(0.90, 4)}, "not acceptable", false},
		{"a cost above the limit", result{Goal: read, Rounds: rounds(0.98, 13)}, "not acceptable", false},
		{"far below the floor", result{Goal: read, Rounds: rounds(0.70, 4)}, "not acceptable", true},
		{"no goal", result{Rounds: rounds(0.5, 90)}, "", false},
		{"no cost in the goal", result{Goal: goal{Ratio: 0.5, Floor: 0.4}, Rounds: rounds(0.6, 90)}, "reached", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.result.verdict(); got != c.want {
				t.Errorf("verdict %q, want %q", got, c.want)
			}
			rep := &report{Workloads: []result{c.result}}
			if err := rep.failure(); (err != nil) != c.fails {
				t.Errorf("failure: %v", err)
			}
			var out bytes.Buffer
			rep.print(&out)
			if !strings.Contains(out.String(), c.want+"\n") {
				t.Errorf("the table does not say %q:\n%s", c.want, out.String())
			}
		})
	}
}

func TestSpread(t *testing.T) {
	r := result{Rounds: []round{{Side: figures{Rate: 3}}, {Side: figures{Rate: 1}}, {Side: figures{Rate: 10}}, {Side: figures{Rate: 5}}}}
	if got := r.spread(func(p round) float64 { return p.Side.Rate }); got != (spread{1, 4, 10}) {
		t.Errorf("%+v", got)
	}
}

func TestGrown(t *testing.T) {
	steady := make([]sample, parts)
	for i := range steady {
		steady[i] = sample{Goroutines: 100, Files: 50, RSS: 100 + 10*i}
	}
	for name, c := range map[string]struct {
		change func([]sample)
		want   string
	}{
		"steady":               {func([]sample) {}, ""},
		"grows before warm":    {func(s []sample) { s[0].Goroutines = 1 }, ""},
		"goroutines grow":      {func(s []sample) { s[parts-1].Goroutines = 400 }, "goroutines"},
		"open files grow":      {func(s []sample) { s[parts-1].Files = 400 }, "open files"},
		"both shrink at end":   {func(s []sample) { s[parts-1] = sample{} }, ""},
		"a soak that was left": {func(s []sample) { clear(s) }, ""},
	} {
		samples := append([]sample(nil), steady...)
		c.change(samples)
		err := grown(samples)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRoundsAlternate checks the order of the sides, and that the first turn
// of each does not count.
func TestRoundsAlternate(t *testing.T) {
	var order strings.Builder
	turn := func(side string) func() (figures, error) {
		return func() (figures, error) { order.WriteString(side); return figures{Rate: float64(order.Len())}, nil }
	}
	w := workload{base: turn("A"), side: turn("B")}
	res, err := w.run(3)
	if err != nil {
		t.Fatal(err)
	}
	if got := order.String(); got != "BA"+"AB"+"BA"+"AB" {
		t.Errorf("order %s", got)
	}
	if len(res.Rounds) != 3 || res.Rounds[0] != (round{figures{Rate: 3}, figures{Rate: 4}}) {
		t.Errorf("%+v", res.Rounds)
	}
	w.side = func() (figures, error) { return figures{}, lossError("one") }
	var lost lossError
	if _, err := w.run(3); !errors.As(err, &lost) {
		t.Errorf("a loss ends with %v", err)
	}
}

func TestParseStat(t *testing.T) {
	const stat = "77 (a ) name) S 1 77 77 0 -1 4194560 1000 0 0 0 250 31 0 0 20 0 9 0 100 0 0"
	if got, err := parseStat(stat); err != nil || got != 2810*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "77 (x", "77 (x) S 1 2", strings.Replace(stat, "250", "many", 1)} {
		if got, err := parseStat(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestFind(t *testing.T) {
	const text = "# HELP go_goroutines x\ngo_goroutines 42\nVmRSS:\t  2048 kB\n"
	if n, err := find(text, "go_goroutines "); err != nil || n != 42 {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := find(text, "VmRSS:"); err != nil || n != 2048 {
		t.Errorf("%v, %v", n, err)
	}
	if _, err := find(text, "VmSwap:"); err == nil {
		t.Error("found what is not there")
	}
}
