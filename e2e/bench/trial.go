package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// trial is a long run of one proxy, of which several figures are taken.
type trial struct {
	Name    string   `json:"name"`
	Figures []figure `json:"figures"`
	Curve   []sample `json:"curve,omitempty"`
}

// figure is one of them, held against a goal.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Goal and Limit are what should be reached and what is acceptable: at
	// least, or at most. Zero is none.
	Goal    float64 `json:"goal"`
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"at_least"`
}

func (t *trial) atMost(name string, value float64, unit string, goal, limit float64) {
	t.Figures = append(t.Figures, figure{Name: name, Value: value, Unit: unit, Goal: goal, Limit: limit})
}

func (t *trial) atLeast(name string, value float64, unit string, goal, limit float64) {
	t.Figures = append(t.Figures, figure{Name: name, Value: value, Unit: unit, Goal: goal, Limit: limit, AtLeast: true})
}

// misses reports whether the value is on the wrong side of a bound.
func (f figure) misses(bound float64) bool {
	switch {
	case bound == 0:
		return false
	case f.AtLeast:
		return f.Value < bound
	}
	return f.Value > bound
}

func (f figure) verdict() string {
	switch {
	case f.Goal == 0 && f.Limit == 0:
		return ""
	case f.misses(f.Limit):
		return "not acceptable"
	case f.misses(f.Goal):
		return "short of the goal"
	}
	return "reached"
}

// failure says which figures are so far from acceptable that no noise of the
// machine is an excuse.
func (t *trial) failure() error {
	var errs []error
	for _, f := range t.Figures {
		bound := f.Limit / farBelow
		if f.AtLeast {
			bound = f.Limit * farBelow
		}
		if f.misses(bound) {
			errs = append(errs, fmt.Errorf("%s: %s is %.4g %s, far from %.4g", t.Name, f.Name, f.Value, f.Unit, f.Limit))
		}
	}
	return errors.Join(errs...)
}

func (t *trial) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s\n\n", t.Name)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tvalue\tgoal\tacceptable\t")
	for _, f := range t.Figures {
		sign := "≤ "
		if f.AtLeast {
			sign = "≥ "
		}
		bound := func(v float64) string {
			if v == 0 {
				return "–"
			}
			return sign + fmt.Sprintf("%.4g", v)
		}
		fmt.Fprintf(w, "%s\t%.4g %s\t%s\t%s\t%s\n", f.Name, f.Value, f.Unit, bound(f.Goal), bound(f.Limit), f.verdict())
	}
	_ = w.Flush()
	printSamples(out, "curve of "+t.Name, t.Curve)
}

// trials are the long runs, by name.
var trials = []struct {
	name string
	run  func(*fleet, settings, io.Writer) (*trial, error)
}{
	{"large store", largeStore},
	{"compressed store", compressedStore},
	{"sweep", sweepTrial},
	{"churn", churn},
}

// runTrials runs those whose name contains a word.
func runTrials(f *fleet, set settings, progress io.Writer) (all []*trial, err error) {
	for _, t := range trials {
		if !strings.Contains(t.name, set.only) {
			continue
		}
		fmt.Fprintf(progress, "# %s\n", t.name)
		start := time.Now()
		done, err := t.run(f, set, progress)
		if err != nil {
			return all, fmt.Errorf("running %s: %w", t.name, err)
		}
		fmt.Fprintf(progress, "# took %v\n", time.Since(start).Round(time.Second))
		all = append(all, done)
	}
	return all, nil
}
