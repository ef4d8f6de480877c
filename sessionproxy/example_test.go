package sessionproxy_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"time"

	"github.com/sessionproxy/sessionproxy/sessionproxy"
	"github.com/sessionproxy/sessionproxy/sessionproxy/session"
	"github.com/sessionproxy/sessionproxy/sessionproxy/ticket"
	"github.com/sessionproxy/sessionproxy/store/memstore"
)

// Without Caddy the handler is plain net/http middleware. The app counts its
// visits in the session; the browser has a cookie and nothing else.
func Example() {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(sessionproxy.HeaderAdd, `{"visits":1}`)
		fmt.Fprint(w, r.Header.Get(sessionproxy.HeaderState), " ", r.Header.Get(sessionproxy.HeaderData))
	})
	withSessions, err := middleware(app)
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(withSessions)
	defer server.Close()

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	for range 3 {
		response, err := browser.Get(server.URL)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Println(string(body))
	}
	// Output:
	// new {}
	// active {"visits":1}
	// active {"visits":2}
}

// middleware gives the requests to an app a session, kept in memory.
func middleware(app http.Handler) (http.Handler, error) {
	manager, err := session.NewManager("shop", session.DefaultPolicy(), session.Options{
		Provider:      session.Fixed(memstore.New(time.Now)),
		NewCredential: sessionproxy.CredentialSource("shop"),
	})
	if err != nil {
		return nil, err
	}
	ring, err := ticket.NewRing(ticket.NewKey())
	if err != nil {
		return nil, err
	}
	handler, err := sessionproxy.NewHandler(sessionproxy.Config{
		Manager:     manager,
		Ring:        func() (*ticket.Ring, error) { return ring, nil },
		Carriers:    []ticket.Carrier{&ticket.Cookie{Name: "shop_ticket", Path: "/", SameSite: http.SameSiteLaxMode}},
		Secure:      func(r *http.Request) bool { return r.TLS != nil },
		InlineLimit: 4 << 10,
		Metrics:     sessionproxy.NewMetrics(),
	})
	if err != nil {
		return nil, err
	}
	next := func(w http.ResponseWriter, r *http.Request) error { app.ServeHTTP(w, r); return nil }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := handler.Serve(w, r, next)
		var problem *sessionproxy.Problem
		switch {
		case errors.As(err, &problem): // a conflict, for instance: the app's response was replaced
			_ = problem.Write(w, r)
		case err != nil:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}), nil
}
