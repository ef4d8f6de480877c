package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// product is something on sale. Prices are in cents.
type product struct {
	ID, Name string
	Price    int
}

var products = []product{
	{"tea", "Tea, loose, 100 g", 790},
	{"honey", "Heather honey", 1150},
	{"pear", "Pears, a pound", 340},
}

// line is a product with how many of it are in the cart.
type line struct {
	product
	N, Sum int
}

func euro(cents int) string { return fmt.Sprintf("€ %d.%02d", cents/100, cents%100) }

const maxEach = 99

func newCart() http.Handler {
	page := parsePage("cart.html")
	mux := http.NewServeMux()
	sign(mux)
	notFound(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := readSession(r)
		items := readCart(s)
		var lines []line
		total := 0
		for _, p := range products {
			lines = append(lines, line{p, items[p.ID], items[p.ID] * p.Price})
			total += items[p.ID] * p.Price
		}
		render(w, page, map[string]any{"Title": "Cart", "Session": s, "Lines": lines, "Total": total, "Other": "../guestbook/", "OtherName": "guest book"})
	})
	// Adding uses Session-Add: two quick clicks in two tabs both count.
	mux.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		if p, ok := findProduct(r.FormValue("id")); ok && readCart(readSession(r))[p.ID] < maxEach {
			setJSON(w, "Session-Add", map[string]any{"cart": map[string]int{p.ID: 1}})
		}
		back(w)
	})
	mux.HandleFunc("POST /remove", func(w http.ResponseWriter, r *http.Request) {
		if p, ok := findProduct(r.FormValue("id")); ok {
			setJSON(w, "Session-Patch", map[string]any{"cart": map[string]any{p.ID: nil}})
		}
		back(w)
	})
	return mux
}

func readCart(s session) map[string]int {
	var data struct{ Cart map[string]int }
	if json.Unmarshal(s.data, &data) != nil {
		return nil
	}
	return data.Cart
}

func findProduct(id string) (product, bool) {
	for _, p := range products {
		if p.ID == id {
			return p, true
		}
	}
	return product{}, false
}
