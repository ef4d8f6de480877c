package handler

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestBodiesThatEndEarlyAreTheClientsFault sends less than was announced on a
// route that keeps bodies for a restart, ends its half of the connection, and
// waits for the answer.
func TestBodiesThatEndEarlyAreTheClientsFault(t *testing.T) {
	s := caddytest.NewSite(t)
	s.Load(s.Config("", "", `session shop {
		locking optimistic {
			on_conflict restart 3
			replayable method POST
		}
	}
	respond ok`))
	for name, request := range map[string]string{
		"a length": "Content-Length: 1000\r\n\r\nabc",
		"chunks":   "Transfer-Encoding: chunked\r\n\r\n8\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", s.Address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+request); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusBadRequest {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
}
