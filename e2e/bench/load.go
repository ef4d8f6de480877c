package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// job is what one load generator does. Each connection is kept alive and
// sends its next request when the last one was answered.
type job struct {
	Address     string        `json:"address"`
	Path        string        `json:"path"`    // {conn} and {n} (from 1) are replaced
	Paths       []string      `json:"paths"`   // instead of Path: one for each connection
	Method      string        `json:"method"`  // default GET
	Type        string        `json:"type"`    // of the body
	Body        string        `json:"body"`    // of every request
	Cookies     []string      `json:"cookies"` // dealt out to the connections; none: no cookie
	Connections int           `json:"connections"`
	Duration    time.Duration `json:"duration"` // 0: until Requests are answered
	Requests    int           `json:"requests"` // of all connections together; 0: until Duration is over
	Collect     bool          `json:"collect"`  // return the cookies that were set
}

// tally is what became of a job.
type tally struct {
	Requests int           `json:"requests"` // answered with 200
	Errors   int           `json:"errors"`   // connections that ended early
	Error    string        `json:"error"`    // the first of them
	Elapsed  time.Duration `json:"elapsed"`
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
	Acked    []int         `json:"acked"` // by connection
	Cookies  []string      `json:"cookies"`
}

// serveLoad does the job on its input.
func serveLoad(in io.Reader, out io.Writer) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("reading job: %w", err)
	}
	return json.NewEncoder(out).Encode(j.do())
}

// do sends the requests of a job, and returns when the last one is answered.
func (j job) do() tally {
	clients := make([]*loadClient, j.Connections)
	var t tally
	for i := range clients {
		c, err := j.connect(i)
		if err != nil {
			t.Errors, t.Error = 1, err.Error()
			return t
		}
		defer c.conn.Close()
		clients[i] = c
	}
	start := time.Now()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { c.run(j, start) })
	}
	wg.Wait()
	t.Elapsed = time.Since(start)
	var all []time.Duration
	for _, c := range clients {
		t.Requests += len(c.took)
		t.Acked = append(t.Acked, len(c.took))
		t.Cookies = append(t.Cookies, c.set...)
		all = append(all, c.took...)
		if c.err != nil {
			if t.Errors++; t.Error == "" {
				t.Error = c.err.Error()
			}
		}
	}
	if len(all) > 0 {
		slices.Sort(all)
		t.P50, t.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	return t
}

// loadClient is one connection.
type loadClient struct {
	number   int
	conn     net.Conn
	in       *bufio.Reader
	requests [][]byte // without {n}: sent as they are, in turn
	took     []time.Duration
	set      []string
	err      error
}

func (j job) connect(number int) (*loadClient, error) {
	conn, err := net.Dial("tcp", j.Address) //nolint:noctx // bounded by the job
	if err != nil {
		return nil, err
	}
	c := &loadClient{number: number, conn: conn, in: bufio.NewReader(conn)}
	path := j.Path
	if len(j.Paths) > 0 {
		path = j.Paths[number%len(j.Paths)]
	}
	path = strings.ReplaceAll(path, "{conn}", strconv.Itoa(number))
	head := cmp.Or(j.Method, "GET") + " " + path + " HTTP/1.1\r\nHost: " + j.Address + "\r\n"
	if j.Body != "" {
		head += "Content-Type: " + j.Type + "\r\nContent-Length: " + strconv.Itoa(len(j.Body)) + "\r\n"
	}
	for i := number; i < len(j.Cookies); i += j.Connections {
		c.requests = append(c.requests, []byte(head+"Cookie: "+j.Cookies[i]+"\r\n\r\n"+j.Body))
	}
	if len(c.requests) == 0 {
		if len(j.Cookies) > 0 { // fewer sessions than connections: they share
			head += "Cookie: " + j.Cookies[number%len(j.Cookies)] + "\r\n"
		}
		c.requests = [][]byte{[]byte(head + "\r\n" + j.Body)}
	}
	return c, nil
}

func (c *loadClient) run(j job, start time.Time) {
	share := j.Requests / j.Connections
	if c.number < j.Requests%j.Connections {
		share++
	}
	numbered := strings.Contains(j.Path, "{n}")
	begin := start
	for n := 1; j.Requests == 0 || n <= share; n++ {
		if j.Duration > 0 && begin.Sub(start) >= j.Duration {
			return
		}
		request := c.requests[n%len(c.requests)]
		if numbered {
			request = []byte(strings.Replace(string(request), "{n}", strconv.Itoa(n), 1))
		}
		if c.err = c.exchange(request, j.Collect); c.err != nil {
			return
		}
		end := time.Now()
		c.took = append(c.took, end.Sub(begin))
		begin = end
	}
}

// exchange sends a request and takes in its response, which has to be a 200.
func (c *loadClient) exchange(request []byte, collect bool) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %.200s", resp.StatusCode, body)
	}
	if collect {
		for _, cookie := range resp.Cookies() {
			c.set = append(c.set, cookie.Name+"="+cookie.Value)
		}
	}
	return nil
}
