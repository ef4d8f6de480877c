package e2e

import (
	"net"
	"testing"
)

// TestTenThousandEndpointConnections: callers that connect and say nothing, as
// many as that, keep no app from its session.
func TestTenThousandEndpointConnections(t *testing.T) {
	p := newProxy(t, globals+"http://:{PORT} {\n\troute {\n\t\tsession app\n\t\t"+app(t, "node")+"\n\t}\n}\n")
	c := p.client(t)
	c.want("/", "visit 1")
	for n := range 10_000 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.endpoint)
		if err != nil {
			t.Fatalf("connection %d: %v (this needs a limit of 11,000 open files)", n, err)
		}
		defer conn.Close()
	}
	if status, _, body := c.get("/endpoint"); status != 200 || body != `{"items":["apple"]}` {
		t.Fatalf("got %d %s", status, body)
	}
	c.want("/", "visit 2")
}
