package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen keeps what a server was asked for.
type seen struct {
	mu    sync.Mutex
	lines []string
}

func (s *seen) add(r *http.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, r.URL.String()+" "+r.Header.Get("Cookie"))
	return len(s.lines)
}

func (s *seen) sorted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.lines)
	return s.lines
}

func TestJob(t *testing.T) {
	for _, c := range []struct {
		name string
		job  job
		want []string // what the server sees, sorted
		acks []int
	}{
		{
			"numbers by connection", job{Path: "/key?k={conn}&v={n}", Connections: 2, Requests: 5},
			[]string{"/key?k=0&v=1 ", "/key?k=0&v=2 ", "/key?k=0&v=3 ", "/key?k=1&v=1 ", "/key?k=1&v=2 "}, []int{3, 2},
		},
		{
			"cookies are dealt out", job{Path: "/", Connections: 2, Requests: 4, Cookies: []string{"c=1", "c=2", "c=3", "c=4"}},
			[]string{"/ c=1", "/ c=2", "/ c=3", "/ c=4"}, []int{2, 2},
		},
		{
			"fewer cookies than connections are shared", job{Path: "/", Connections: 3, Requests: 3, Cookies: []string{"c=1"}},
			[]string{"/ c=1", "/ c=1", "/ c=1"}, []int{1, 1, 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got seen
			s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.add(r) }))
			defer s.Close()
			c.job.Address = strings.TrimPrefix(s.URL, "http://")
			tally := c.job.do()
			if tally.Errors != 0 || tally.Requests != c.job.Requests || !slices.Equal(tally.Acked, c.acks) {
				t.Errorf("%+v, want %d requests, %v by connection", tally, c.job.Requests, c.acks)
			}
			if !slices.Equal(got.sorted(), c.want) {
				t.Errorf("the server saw %q, want %q", got.lines, c.want)
			}
		})
	}
}

func TestJobTellsOfErrors(t *testing.T) {
	var got seen
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got.add(r) == 3 {
			http.Error(w, "no more", http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	j := job{Address: strings.TrimPrefix(s.URL, "http://"), Path: "/", Connections: 1, Duration: time.Minute}
	var out bytes.Buffer
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	if err := serveLoad(bytes.NewReader(text), &out); err != nil {
		t.Fatal(err)
	}
	var tally tally
	if err := json.Unmarshal(out.Bytes(), &tally); err != nil {
		t.Fatal(err)
	}
	if tally.Errors != 1 || tally.Requests != 2 || !strings.Contains(tally.Error, "503: no more") {
		t.Errorf("%+v", tally)
	}
	s.Close()
	if tally := j.do(); tally.Errors != 1 {
		t.Errorf("no server: %+v", tally)
	}
}

func TestUpstream(t *testing.T) {
	for path, want := range map[string]string{
		"/read": "", "/begin": "Session-Data " + sessionData, "/write": `Session-Patch {"n":1}`,
		"/key?k=3&v=7": `Session-Patch {"k3":7}`, "/increment": `Session-Patch {"n":42}`,
	} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Session-Data", `{"n":41}`)
		w := httptest.NewRecorder()
		upstream().ServeHTTP(w, r)
		got := ""
		for _, name := range []string{"Session-Data", "Session-Patch"} {
			if v := w.Header().Get(name); v != "" {
				got = name + " " + v
			}
		}
		if w.Code != http.StatusOK || got != want {
			t.Errorf("%s: %d, %s, want %s", path, w.Code, got, want)
		}
	}
	if len(sessionData) != 300 || !json.Valid([]byte(sessionData)) {
		t.Errorf("%d bytes of session data: %s", len(sessionData), sessionData)
	}
}
