package main

import (
	"strings"
	"testing"
)

func never(moment) bool  { return false }
func always(moment) bool { return true }

// acknowledge writes once, and has the answer.
func acknowledge(l *ledger, writer string, add int64) attempt {
	a := l.begin(writer, add, moment{})
	l.end(a, acknowledged)
	return a
}

func TestTheLedgerCatchesWhatMustNotBe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		v    view
		want string // empty: fine
	}{
		"everything":             {view{"me", 5, map[string]int64{"a": 2}}, ""},
		"the open one is there":  {view{"me", 15, map[string]int64{"a": 3}}, ""},
		"a lost write":           {view{"me", 5, map[string]int64{"a": 1}}, "writer a"},
		"a lost addition":        {view{"me", 4, map[string]int64{"a": 2}}, "the sum is 4"},
		"an addition too many":   {view{"me", 16, map[string]int64{"a": 2}}, "the sum is 16"},
		"all is lost":            {view{"me", 0, nil}, "the sum is 0"},
		"somebody else's":        {view{"you", 5, map[string]int64{"a": 2}}, `data of "you"`},
		"a write that was taken": {view{"me", 5, map[string]int64{"a": 4}}, "writer a"},
		"rolled back":            {view{"me", 5, map[string]int64{"a": -1}}, "writer a"},
		"a stranger's value":     {view{"me", 5, map[string]int64{"a": 2, "b": 1}}, `"b"`},
	} {
		l := newLedger("me")
		acknowledge(l, "a", 2)
		acknowledge(l, "a", 3)
		l.end(l.begin("a", 10, moment{}), unknown)   // 3
		l.end(l.begin("a", 1000, moment{}), refused) // 4
		err := l.check(l.mark(), test.v)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// What begins after the mark may be seen, what was acknowledged before it must.
func TestTheLedgerBesideOthers(t *testing.T) {
	t.Parallel()
	l := newLedger("me")
	acknowledge(l, "a", 1)
	m := l.mark()
	b := l.begin("a", 1, moment{})
	for _, v := range []view{{"me", 1, map[string]int64{"a": 1}}, {"me", 2, map[string]int64{"a": 2}}} {
		if err := l.check(m, v); err != nil {
			t.Error(err)
		}
	}
	l.end(b, acknowledged)
	if err := l.check(m, view{"me", 1, map[string]int64{"a": 1}}); err != nil {
		t.Error(err) // it was read before
	}
	if err := l.check(l.mark(), view{"me", 1, map[string]int64{"a": 1}}); err == nil {
		t.Error("a lost write passes")
	}
}

// A settled ledger is exact again.
func TestTheLedgerSettles(t *testing.T) {
	t.Parallel()
	l := newLedger("me")
	a := l.begin("a", 7, moment{})
	if l.settled(always) {
		t.Fatal("settled while a write is under way")
	}
	l.end(a, unknown)
	if l.settled(never) || !l.settled(always) {
		t.Fatal("the open write decides")
	}
	v := view{"me", 7, map[string]int64{"a": 1}}
	if err := l.check(l.mark(), v); err != nil {
		t.Fatal(err)
	}
	l.settle(v)
	if err := l.check(l.mark(), view{"me", 0, nil}); err == nil {
		t.Fatal("what was seen may vanish")
	}
	if err := l.check(l.mark(), v); err != nil || !strings.Contains(l.String(), "a has 1") {
		t.Fatal(err, l)
	}
}
