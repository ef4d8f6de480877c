package redisstore

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Options say where a store is, and how it is used.
type Options struct {
	// Address is host:port of the server.
	Address string
	// Username and Password are those of an ACL user; both may be empty.
	Username, Password string
	// TLS encrypts the connection, and checks the server's certificate; nil is clear text.
	TLS *tls.Config
	// Database is the number of the server's database.
	Database int
	// Prefix begins the names of all keys, so that several stores have room on
	// one server; empty means [DefaultPrefix].
	Prefix string
	// Timeout bounds each call to the server; zero means [DefaultTimeout].
	Timeout time.Duration

	// Now is the clock by which records expire, in place of the server's: for tests.
	Now func() time.Time
}

// What Options mean if they do not say.
const (
	DefaultPrefix  = "sessions"
	DefaultTimeout = 5 * time.Second
)

// WithDefaults returns the options with what they mean where they do not say.
func (o Options) WithDefaults() Options {
	o.Prefix, o.Timeout = cmp.Or(o.Prefix, DefaultPrefix), cmp.Or(o.Timeout, DefaultTimeout)
	return o
}

// Validate tells what is wrong with options. It asks no server.
func (o Options) Validate() error {
	if o.Address == "" {
		return errors.New("the address of the server is missing")
	}
	_, port, err := net.SplitHostPort(o.Address)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 {
		return fmt.Errorf("the address %q is not host:port", o.Address)
	}
	switch {
	case o.Username != "" && o.Password == "":
		return errors.New("there is a username without a password")
	case o.Timeout < 0:
		return fmt.Errorf("the timeout %v is negative", o.Timeout)
	case o.Database < 0:
		return fmt.Errorf("the database %d is negative", o.Database)
	case strings.ContainsFunc(o.Prefix, func(r rune) bool { return !isPlain(r) }):
		return fmt.Errorf("the prefix %q has other characters than A-Za-z0-9_-", o.Prefix)
	}
	return nil
}
