package command

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionproxy/sessionproxy/caddymodule/internal/caddytest"
)

// TestCommandBackup: a file is there completely, or not at all.
func TestCommandBackup(t *testing.T) {
	whole := strings.Repeat("whole\n", 1<<16)
	for _, c := range []struct {
		name   string
		serve  http.HandlerFunc
		before string // what the file held
		want   string
		status int
		errs   string
	}{
		{"complete", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, whole) }, "old", whole, 0, ""},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, whole)
			panic(http.ErrAbortHandler)
		}, "old", "old", 1, "the server broke off after"},
		{"refused", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotImplemented)
			_, _ = io.WriteString(w, `{"detail":"this kind of session store cannot do that"}`)
		}, "", "", 1, "cannot do that"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(c.serve)
			defer server.Close()
			dir := t.TempDir()
			file := filepath.Join(dir, "backup")
			if c.before != "" {
				if err := os.WriteFile(file, []byte(c.before), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			out, errs, status := runSessions(t, strings.TrimPrefix(server.URL, "http://"), "", "backup", file)
			if status != c.status || !strings.Contains(errs, c.errs) || (status == 0) != strings.Contains(out, "384 KiB") {
				t.Errorf("[%d] %s%s", status, out, errs)
			}
			text, err := os.ReadFile(file)
			if string(text) != c.want || (err == nil) != (c.want != "") {
				t.Errorf("the file holds %d bytes, %v", len(text), err)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) > 1 {
				t.Errorf("left in the directory: %v, %v", entries, err)
			}
			if status == 0 {
				if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%v, %v", info.Mode(), err)
				}
			}
			out, _, status = runSessions(t, strings.TrimPrefix(server.URL, "http://"), "", "backup", "-")
			if status != c.status || status == 0 && out != whole {
				t.Errorf("to standard output: [%d] %d bytes", status, len(out))
			}
		})
	}
}

// TestCommandBackupKeepsDevices names what a file must not take the place of.
func TestCommandBackupKeepsDevices(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "whole") }))
	defer server.Close()
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, name := range []string{socket, dir} {
		_, errs, status := runSessions(t, strings.TrimPrefix(server.URL, "http://"), "", "backup", name)
		if info, err := os.Stat(name); status != 1 || !strings.Contains(errs, "no regular file") || err != nil || info.Mode().IsRegular() {
			t.Errorf("[%d] %s%v", status, errs, err)
		}
	}
}

// TestCommandRestore sends a file to the real API, larger than a server reads
// of a body by itself, and sees the answer in any case.
func TestCommandRestore(t *testing.T) {
	st := caddytest.Shop(t, "")
	server := httptest.NewServer(caddytest.AdminMux())
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	if _, errs, status := runSessions(t, address, "", "backup", file); status != 0 {
		t.Fatal(errs)
	}
	if _, errs, status := runSessions(t, address, "", "restore", file); status != 1 || !strings.Contains(errs, "not empty") {
		t.Errorf("[%d] %s", status, errs)
	}
	foreign := filepath.Join(dir, "foreign")
	if err := os.WriteFile(foreign, bytes.Repeat([]byte("foreign!"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := runSessions(t, address, "", "restore", foreign); status != 1 || !strings.Contains(errs, "not a backup") {
		t.Errorf("[%d] %s", status, errs)
	}
	for _, manager := range []string{"shop", "left"} {
		if _, errs, status := runSessions(t, address, "", "purge", manager, "--yes"); status != 0 {
			t.Fatal(errs)
		}
	}
	if out, errs, status := runSessions(t, address, "", "restore", file); status != 0 || out != "restored 4 sessions\n" || st.Len() != 4 {
		t.Errorf("[%d] %s%s", status, out, errs)
	}
}
