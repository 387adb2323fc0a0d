//go:build unix

package interop_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A person is a user at a browser, who knows no more of the tenant than its pages show.
type person struct {
	name   string
	client *http.Client
}

func newPerson(t *testing.T, name, trust string) *person {
	t.Helper()
	data, err := os.ReadFile(trust)
	must(t, err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		t.Fatalf("%s has no certificate", trust)
	}
	jar, err := cookiejar.New(nil)
	must(t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: dialPatiently}
	t.Cleanup(transport.CloseIdleConnections)
	return &person{name, &http.Client{Transport: transport, Jar: jar}}
}

// dialPatiently waits for a program that opens a browser before it listens for the answer: people are
// slower than that.
func dialPatiently(ctx context.Context, network, address string) (net.Conn, error) {
	deadline := time.Now().Add(time.Minute)
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(deadline) {
			return conn, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// open goes through the pages of a sign-in, to where the last one leads.
func (p *person) open(ctx context.Context, t *testing.T, address string) {
	t.Helper()
	_, err := p.browse(ctx, address, nil)
	must(t, err)
}

// enter enters a device's code.
func (p *person) enter(ctx context.Context, t *testing.T, address, code string) {
	t.Helper()
	_, err := p.browse(ctx, address, url.Values{"otc": {code}})
	must(t, err)
}

// until returns the person at a browser that opens no page outside the sites.
func (p *person) until(sites ...string) *person {
	stays := *p.client
	stays.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if !slices.ContainsFunc(sites, func(site string) bool { return strings.HasPrefix(r.URL.String(), site) }) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &person{p.name, &stays}
}

var (
	formAction = regexp.MustCompile(`<form method="post"[^>]* action="([^"]*)"`)
	hidden     = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	mainAction = regexp.MustCompile(`class="main" name="action" value="([^"]*)"`)
	refresh    = regexp.MustCompile(`<meta http-equiv="refresh" content="0; ?url=([^"]*)"`)
)

// browse opens the page, fills in each form that comes, first with what is given, approves what it is
// asked to, and returns where it ends.
func (p *person) browse(ctx context.Context, address string, fill url.Values) (*url.URL, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for range 12 {
		response, err := p.client.Do(request)
		if err != nil {
			return nil, err
		}
		page, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil {
			return nil, err
		}
		if response.StatusCode >= 300 && response.StatusCode < 400 {
			return response.Location()
		}
		at := response.Request.URL
		if next := refresh.FindSubmatch(page); next != nil {
			to, err := at.Parse(html.UnescapeString(string(next[1])))
			if err != nil {
				return nil, err
			}
			if request, err = http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil); err != nil {
				return nil, err
			}
			if !p.goes(request) {
				return to, nil
			}
			continue
		}
		action := formAction.FindSubmatch(page)
		if action == nil {
			if response.StatusCode != http.StatusOK {
				return nil, fmt.Errorf("the sign-in ended at %s: %s", response.Status, page)
			}
			return at, nil
		}
		to, err := at.Parse(html.UnescapeString(string(action[1])))
		if err != nil {
			return nil, err
		}
		if request, err = http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(p.answer(page, fill).Encode())); err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", at.Scheme+"://"+at.Host)
	}
	return nil, fmt.Errorf("too many pages at %s", address)
}

// goes reports whether the browser goes where a page sends it.
func (p *person) goes(r *http.Request) bool {
	return p.client.CheckRedirect == nil || p.client.CheckRedirect(r, nil) == nil
}

// answer fills in a page's form.
func (p *person) answer(page []byte, fill url.Values) url.Values {
	form := url.Values{"name": {p.name}, "decision": {"approve"}}
	maps.Copy(form, fill)
	for _, field := range hidden.FindAllSubmatch(page, -1) {
		form.Set(string(field[1]), html.UnescapeString(string(field[2])))
	}
	if main := mainAction.FindSubmatch(page); main != nil {
		form.Set("action", string(main[1]))
	}
	return form
}
