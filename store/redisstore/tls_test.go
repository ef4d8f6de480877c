package redisstore_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/sessionproxy/sessionproxy/internal/redistest"
	"github.com/sessionproxy/sessionproxy/store/redisstore"
)

// TestTLS: a server that speaks TLS is used if its certificate is good, and
// none is used in clear that should not be.
func TestTLS(t *testing.T) {
	srv, file := redistest.NewTLS(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("the certificate is not one")
	}
	good := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	s := open(t, redisstore.Options{Address: srv.Address, TLS: good})
	create(t, s, keyOf("shop", 1), "x")
	if rec, err := s.Load(t.Context(), keyOf("shop", 1)); err != nil || string(rec.Data) != "x" {
		t.Fatalf("got %+v, %v", rec, err)
	}
	for name, o := range map[string]redisstore.Options{
		"an authority that is not known": {Address: srv.Address, TLS: &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}},
		"another name":                   {Address: srv.Address, TLS: &tls.Config{RootCAs: roots, ServerName: "redis.example", MinVersion: tls.VersionTLS12}},
		"clear text to TLS":              {Address: srv.Address},
		"TLS to clear text":              {Address: address(t), TLS: good},
	} {
		t.Run(name, func(t *testing.T) {
			o.Timeout = 2 * time.Second
			if s, err := redisstore.Open(t.Context(), o); err == nil {
				_ = s.Close()
				t.Fatal("it is used")
			}
		})
	}
}
