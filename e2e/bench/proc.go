package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor times in /proc: USER_HZ is 100 on every
// architecture that Go runs on under Linux.
const tick = 10 * time.Millisecond

// sample is what a process uses at one moment.
type sample struct {
	Requests   int `json:"requests"` // answered before
	Goroutines int `json:"goroutines"`
	Files      int `json:"files"`    // open descriptors
	RSS        int `json:"rss_mib"`  // resident memory
	Disk       int `json:"disk_mib"` // of the store's directory, as du counts
}

// processorTime returns the time that a process has used, user and system.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(text))
}

// parseStat reads utime and stime, fields 14 and 15 of proc(5). The second
// field is a name in parentheses, and may contain anything.
func parseStat(text string) (time.Duration, error) {
	i := strings.LastIndexByte(text, ')')
	if i < 0 {
		return 0, errors.New("reading process times: no name")
	}
	fields := strings.Fields(text[i+1:]) // from field 3 on
	if len(fields) < 13 {
		return 0, errors.New("reading process times: too few fields")
	}
	var ticks time.Duration
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading process times: %w", err)
		}
		ticks += time.Duration(n)
	}
	return ticks * tick, nil
}

// sample looks at the proxy.
func (p *proxy) sample(ctx context.Context) (s sample, err error) {
	pid := p.cmd.Process.Pid
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return s, err
	}
	s.Files = len(files)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return s, err
	}
	kib, err := find(string(status), "VmRSS:")
	if err != nil {
		return s, err
	}
	s.RSS = int(kib) / 1024
	if s.Disk, err = diskUse(filepath.Join(p.dir, "store")); err != nil {
		return s, err
	}
	text, err := p.metrics(ctx)
	if err != nil {
		return s, err
	}
	n, err := find(text, "go_goroutines ")
	s.Goroutines = int(n)
	return s, err
}

// anonymous returns the MiB of memory that the proxy has for itself, files
// that are mapped left out.
func (p *proxy) anonymous() (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	kib, err := find(string(status), "RssAnon:")
	return int(kib) / 1024, err
}

// metrics returns what the proxy tells Prometheus.
func (p *proxy) metrics(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := p.admin.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// find returns the number after a prefix of a line.
func find(text, prefix string) (float64, error) {
	for line := range strings.Lines(text) {
		if after, ok := strings.CutPrefix(line, prefix); ok {
			if fields := strings.Fields(after); len(fields) > 0 {
				return strconv.ParseFloat(fields[0], 64)
			}
		}
	}
	return 0, fmt.Errorf("no line begins with %q", prefix)
}

// diskUse returns the MiB that the files below a directory take: Badger's are
// sparse, so their length says nothing.
func diskUse(dir string) (int, error) {
	var blocks int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && e.IsDir() {
			return nil // files come and go
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil {
			blocks += blocksOf(info)
		}
		return nil
	})
	return int(blocks * 512 >> 20), err
}
