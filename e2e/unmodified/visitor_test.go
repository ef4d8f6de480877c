package unmodified

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// visitor is a browser without scripts: it keeps cookies with their paths,
// follows redirects and fills in forms, hidden fields as they are. After the
// first failure it does nothing more, and err tells of that failure.
type visitor struct {
	base   string // of the proxy, without a slash
	client *http.Client
	err    error
}

// page is what a visitor looks at.
type page struct {
	status int
	at     *url.URL
	header http.Header
	body   string
}

func newVisitor(base string) *visitor {
	jar, err := cookiejar.New(nil)
	return &visitor{base: base, err: err, client: &http.Client{Jar: jar, Transport: &http.Transport{}, Timeout: time.Minute}}
}

func (v *visitor) close() { v.client.CloseIdleConnections() }

// fail keeps the first failure.
func (v *visitor) fail(format string, args ...any) {
	if v.err == nil {
		v.err = fmt.Errorf(format, args...)
	}
}

// do sends a request; header lines are name, value, name, value.
func (v *visitor) do(method, target string, body url.Values, header ...string) page {
	if v.err != nil {
		return page{at: &url.URL{}}
	}
	var reader io.Reader
	if body != nil {
		reader = strings.NewReader(body.Encode())
	}
	req, err := http.NewRequestWithContext(context.Background(), method, target, reader)
	if err != nil {
		v.fail("%w", err)
		return page{at: &url.URL{}}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.fail("%w", err)
		return page{at: &url.URL{}}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.fail("%w", err)
	}
	return page{status: resp.StatusCode, at: resp.Request.URL, header: resp.Header, body: string(text)}
}

// navigation are the headers of a link that is followed or a form that is sent.
var navigation = []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-User", "?1", "Accept", "text/html"}

// script are the headers of what a page's script asks for.
var script = []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin"}

// open goes to a page of the proxy.
func (v *visitor) open(path string) page {
	return v.do(http.MethodGet, v.base+path, nil, navigation...)
}

// fetch asks as a page's script does.
func (v *visitor) fetch(path string) page { return v.do(http.MethodGet, v.base+path, nil, script...) }

// follow goes where the page's first link leads whose address contains a text.
func (v *visitor) follow(p page, text string) page {
	for n := range nodes(p.body) {
		if href := attribute(n, "href"); n.Data == "a" && strings.Contains(href, text) {
			return v.do(http.MethodGet, resolve(p.at, href), nil, navigation...)
		}
	}
	v.fail("%s has no link with %q", p.at, text)
	return p
}

// submit fills in and sends the page's first form that has a field of the first
// name, or whose action ends with that; fields are name, value, name, value.
func (v *visitor) submit(p page, first string, fields ...string) page {
	for form := range nodes(p.body) {
		if form.Data != "form" {
			continue
		}
		values, found := url.Values{}, strings.HasSuffix("/"+attribute(form, "action"), "/"+first)
		for n := range form.Descendants() {
			name, kind := attribute(n, "name"), attribute(n, "type")
			if name == "" || n.Data != "input" && n.Data != "textarea" && n.Data != "button" {
				continue
			}
			found = found || name == first
			if kind != "checkbox" && kind != "radio" && kind != "submit" && n.Data != "button" {
				values.Set(name, attribute(n, "value"))
			}
		}
		if !found {
			continue
		}
		for i := 0; i < len(fields); i += 2 {
			values.Set(fields[i], fields[i+1])
		}
		if method := attribute(form, "method"); !strings.EqualFold(method, http.MethodPost) {
			v.fail("%s: the form has method %q", p.at, method)
		}
		origin := []string{"Origin", v.base, "Referer", p.at.String()}
		return v.do(http.MethodPost, resolve(p.at, attribute(form, "action")), values, append(origin, navigation...)...)
	}
	v.fail("%s (%d) has no form with %q", p.at, p.status, first)
	return p
}

// nodes yields the elements of a page.
func nodes(body string) func(func(*html.Node) bool) {
	return func(yield func(*html.Node) bool) {
		root, err := html.Parse(strings.NewReader(body))
		if err != nil {
			return
		}
		for n := range root.Descendants() {
			if n.Type == html.ElementNode && !yield(n) {
				return
			}
		}
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// text returns the text of the page's first element for which a condition holds.
func (p page) text(condition func(*html.Node) bool) string {
	for n := range nodes(p.body) {
		if !condition(n) {
			continue
		}
		var text strings.Builder
		for d := range n.Descendants() {
			if d.Type == html.TextNode {
				text.WriteString(d.Data)
			}
		}
		return strings.TrimSpace(text.String())
	}
	return ""
}

func resolve(at *url.URL, reference string) string {
	u, err := at.Parse(reference)
	if err != nil {
		return reference
	}
	return u.String()
}
