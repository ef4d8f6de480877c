package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// adminClient calls a server's admin endpoint. Caddy's own function for it
// tells no status and cannot be interrupted.
type adminClient struct {
	address, base string
	unix          bool
	http          *http.Client
}

func newAdminClient(address string) (*adminClient, error) {
	plainAddress := strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/")
	parsed, err := caddy.ParseNetworkAddress(plainAddress)
	if err != nil || parsed.PortRangeSize() > 1 || parsed.IsFdNetwork() || !parsed.IsUnixNetwork() && parsed.StartPort == 0 {
		return nil, usageError("%q is no address of an admin endpoint, such as localhost:2019 or unix//run/caddy.sock", address)
	}
	c := &adminClient{address: address, base: "http://" + parsed.JoinHostPort(0), unix: parsed.IsUnixNetwork()}
	target := parsed.JoinHostPort(0)
	if c.unix {
		c.base = "http://127.0.0.1"
		target, _, _ = strings.Cut(target, "|") // without permissions
	}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, parsed.Network, target)
		},
		// Time for a server to refuse a large body before it is sent.
		ExpectContinueTimeout: 10 * time.Second,
	}}
	return c, nil
}

// adminRequest is one call. What is not set is not sent.
type adminRequest struct {
	method, path string
	json         any       // a body
	stream       io.Reader // another kind of body, sent when the server asks for it
}

// do makes a request; an error answer is an error.
func (c *adminClient) do(ctx context.Context, r adminRequest) (*http.Response, error) {
	resp, err := c.send(ctx, r)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		defer resp.Body.Close()
		return nil, c.problem(resp)
	}
	return resp, err
}

// send makes a request and returns the answer, whatever its status.
func (c *adminClient) send(ctx context.Context, r adminRequest) (*http.Response, error) {
	body := r.stream
	if r.json != nil {
		text, err := json.Marshal(r.json)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, body)
	if err != nil {
		return nil, err
	}
	if !c.unix {
		req.Header.Set("Origin", c.base) // the endpoint may demand it
	}
	switch {
	case r.json != nil:
		req.Header.Set("Content-Type", "application/json")
	case r.stream != nil:
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, errors.New("interrupted")
		}
		if e := (*url.Error)(nil); errors.As(err, &e) {
			err = e.Err // the address is told once
		}
		return nil, fmt.Errorf("reaching the admin endpoint at %s: %w; is the server running there? --address or --config say where it is", c.address, err)
	}
	return resp, nil
}

// problem reads an error of the server: a problem document, or one of Caddy's own.
func (c *adminClient) problem(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("reading the answer of the admin endpoint: %w", err)
	}
	var p struct {
		Detail string
		Ended  int
		Error  string
	}
	if json.Unmarshal(text, &p) != nil {
		return fmt.Errorf("the server at %s answers %s to a call about sessions; is it a sessionproxy of this version?", c.address, resp.Status)
	}
	switch {
	case p.Error != "":
		return fmt.Errorf("the admin endpoint answers %s: %s", resp.Status, p.Error)
	case p.Ended > 0:
		return fmt.Errorf("%s (ended before: %d)", p.Detail, p.Ended)
	case resp.StatusCode == http.StatusNotFound:
		return &commandError{exitNothing, errors.New(p.Detail)}
	}
	return errors.New(p.Detail)
}

// read decodes the answer of a request.
func (c *adminClient) read(ctx context.Context, r adminRequest, into any) error {
	resp, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("reading the answer of %s: %w; is that an admin endpoint?", c.address, err)
	}
	return nil
}

// copy writes the answer as it is.
func (c *adminClient) copy(ctx context.Context, r adminRequest, to io.Writer) error {
	resp, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(to, resp.Body); err != nil {
		return fmt.Errorf("reading the answer of the admin endpoint: %w", err)
	}
	return nil
}
