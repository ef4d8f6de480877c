package main

import (
	"encoding/json"
	"net/http"
	"time"
)

// entry is one line in the guest book, which is kept in its visitor's session.
type entry struct {
	Text string `json:"text"`
	At   int64  `json:"at"` // Unix seconds
}

// When is for the page.
func (e entry) When() string { return time.Unix(e.At, 0).UTC().Format("2 January 15:04 UTC") }

const maxEntries = 10

func newGuestbook() http.Handler {
	page := parsePage("guestbook.html")
	mux := http.NewServeMux()
	sign(mux)
	notFound(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := readSession(r)
		render(w, page, map[string]any{"Title": "Guest book", "Session": s, "Entries": readEntries(s), "Other": "../cart/", "OtherName": "cart"})
	})
	mux.HandleFunc("POST /entries", func(w http.ResponseWriter, r *http.Request) {
		if text := clip(r.FormValue("text"), 140); text != "" {
			entries := append([]entry{{Text: text, At: time.Now().Unix()}}, readEntries(readSession(r))...)
			setJSON(w, "Session-Patch", map[string]any{"entries": entries[:min(len(entries), maxEntries)]})
			setJSON(w, "Session-Add", map[string]int{"written": 1})
		}
		back(w)
	})
	return mux
}

func readEntries(s session) []entry {
	var data struct{ Entries []entry }
	if json.Unmarshal(s.data, &data) != nil {
		return nil
	}
	return data.Entries
}
