// Package graph is a small client of Microsoft Graph's directory: the requests that set app
// registrations up, and those that read them.
//
// It waits and retries where Graph asks for it (429 with Retry-After, 5xx), for a bounded time, and
// reads answers of a bounded size. Refusals are [*Error].
package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

const (
	maxBody  = 8 << 20
	maxPages = 1000
	// maxTries and maxWait bound one request: Graph's windows are 150 s long.
	maxTries = 8
	maxWait  = 3 * time.Minute
	// maxForeign bounds the tries where a gateway answers in Graph's place, or nobody does.
	maxForeign = 3
	// maxAnswer bounds the wait for one answer.
	maxAnswer = time.Minute
)

var errNoAnswer = fmt.Errorf("no answer within %v", maxAnswer)

// Options are what a Client may be given. The zero value is for the real Graph.
type Options struct {
	HTTP *http.Client // nil means http.DefaultTransport; redirects are not followed
	// Wait waits or returns the context's error. nil means on the real clock.
	Wait func(ctx context.Context, d time.Duration) error
	// Say is told why a request waits. nil is silent.
	Say func(reason string)
}

// A Client sends requests to Microsoft Graph.
type Client struct {
	base     *url.URL // https://graph.microsoft.com/v1.0
	pipeline runtime.Pipeline
	options  Options
}

// New returns a client. host is where Graph is, such as https://graph.microsoft.com; resource is what
// the credential is asked for: the same, but for test tenants.
func New(host, resource string, credential azcore.TokenCredential, options *Options) (*Client, error) {
	site, err := authority.Parse(host)
	if err != nil {
		return nil, fmt.Errorf("the Graph host: %w", err)
	}
	base, err := url.Parse(site.String() + "/v1.0")
	if err != nil {
		return nil, err
	}
	c := &Client{base: base}
	if options != nil {
		c.options = *options
	}
	if c.options.Wait == nil {
		c.options.Wait = Wait
	}
	if c.options.Say == nil {
		c.options.Say = func(string) {}
	}
	settings := policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}} // send retries, and says so
	client := &http.Client{}
	if c.options.HTTP != nil {
		*client = *c.options.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // Graph has none, proxies do
	settings.Transport = client
	c.pipeline = runtime.NewPipeline("mcp-entra", "v0", runtime.PipelineOptions{
		PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(credential, []string{resource + "/.default"}, nil)},
	}, &settings)
	return c, nil
}

// Base returns the URL below which all paths are: https://graph.microsoft.com/v1.0.
func (c *Client) Base() string { return c.base.String() }

// Wait waits on the real clock, or returns the context's error.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A Request is one request to Graph.
type Request struct {
	Method string
	Path   string // below Base, with query; a next link is a whole URL
	Body   []byte // JSON, or nil
	Upsert bool   // Prefer: create-if-missing
	// Once: it is not sent again if its answer is lost, for that would make two.
	Once bool
}

// Do sends a request and returns the answer's status and body. A status of 400 and above is an
// [*Error].
func (c *Client) Do(ctx context.Context, r Request) (status int, answer []byte, err error) {
	target := c.base.String() + r.Path
	if strings.HasPrefix(r.Path, "https://") {
		target = r.Path
	}
	if u, err := url.Parse(target); err != nil || u.Host != c.base.Host || u.Scheme != c.base.Scheme {
		return 0, nil, errors.New("a request to Microsoft Graph must stay on its host") // the token goes along
	}
	var waited time.Duration
	for try := 1; ; try++ {
		status, answer, delay, err := c.send(ctx, r, target)
		if delay == 0 || try == maxTries || ctx.Err() != nil || (isForeign(err) || errors.Is(err, errNoAnswer)) && try == maxForeign {
			return status, answer, err
		}
		if delay < 0 { // Graph names no time
			delay = min(time.Second<<(try-1), 30*time.Second)
		}
		if waited += delay; waited > maxWait {
			return status, answer, fmt.Errorf("%w (given up: Graph asks to wait longer than %v in all)", err, maxWait)
		}
		c.options.Say(fmt.Sprintf("waiting %v: %s", delay, reason(status)))
		if err := c.options.Wait(ctx, delay); err != nil {
			return status, answer, err
		}
	}
}

func reason(status int) string {
	switch status {
	case 0:
		return "Microsoft Graph did not answer"
	case http.StatusTooManyRequests:
		return "Microsoft Graph throttles this sign-in (429)"
	default:
		return fmt.Sprintf("Microsoft Graph is not available (%d)", status)
	}
}

// send sends the request once. delay is after how long to send it again: 0 for never, less than 0
// if Graph doesn't say.
func (c *Client) send(ctx context.Context, r Request, target string) (status int, answer []byte, delay time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxAnswer, errNoAnswer)
	defer cancel()
	request, err := runtime.NewRequest(ctx, r.Method, target)
	if err != nil {
		return 0, nil, 0, err
	}
	request.Raw().Header.Set("Accept", "application/json")
	request.Raw().Header.Set("OData-Version", "4.0") // for bodies with @odata.type
	if r.Upsert {
		request.Raw().Header.Set("Prefer", "create-if-missing")
	}
	if r.Body != nil {
		if err := request.SetBody(streaming.NopCloser(bytes.NewReader(r.Body)), "application/json"); err != nil {
			return 0, nil, 0, err
		}
	}
	runtime.SkipBodyDownload(request)
	again := time.Duration(-1)
	if r.Once {
		again = 0
	}
	response, err := c.pipeline.Do(request)
	if err != nil {
		if notSent(err) {
			again = 0 // the sign-in failed
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return 0, nil, again, fmt.Errorf("%s %s: %w", r.Method, withoutQuery(r.Path), err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	switch {
	case err != nil:
		return 0, nil, again, fmt.Errorf("%s %s: the answer broke off: %w", r.Method, withoutQuery(r.Path), err)
	case len(answer) > maxBody:
		return 0, nil, 0, fmt.Errorf("%s %s: the answer is larger than %d bytes", r.Method, withoutQuery(r.Path), maxBody)
	case response.StatusCode < 300 && (len(answer) == 0 || json.Valid(answer)):
		return response.StatusCode, answer, 0, nil
	}
	failure := readError(r.Method, r.Path, response, answer, time.Now())
	switch code := response.StatusCode; {
	case code == http.StatusTooManyRequests:
		return code, nil, retryAfter(response, -1), failure // refused before anything was done
	case code >= 500 && code != http.StatusNotImplemented:
		return code, nil, retryAfter(response, again), failure
	default:
		return code, nil, 0, failure
	}
}

// notSent reports whether the pipeline failed before the request: the credential gave no token.
func notSent(err error) bool {
	var nonRetriable interface{ NonRetriable() }
	return errors.As(err, &nonRetriable)
}

// retryAfter returns what the header says, or otherwise. A request that isn't sent again stays so.
func retryAfter(response *http.Response, otherwise time.Duration) time.Duration {
	if otherwise == 0 {
		return 0
	}
	text := response.Header.Get("Retry-After")
	seconds, err := strconv.Atoi(text)
	if at, dateErr := http.ParseTime(text); dateErr == nil {
		seconds, err = int(time.Until(at).Seconds())+1, nil
	}
	if err != nil || seconds <= 0 {
		return otherwise
	}
	return time.Duration(min(seconds, 1_000_000)) * time.Second
}

// Get reads one object. Members that into doesn't have are dropped.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	_, answer, err := c.Do(ctx, Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return err
	}
	return decode(path, answer, into)
}

func decode(path string, answer []byte, into any) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("GET %s: the answer is not Microsoft Graph's JSON (does a proxy answer for it?): %w", withoutQuery(path), err)
	}
	return nil
}

// list reads all pages of a collection.
func list[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	var all []T
	for range maxPages {
		var page struct {
			Value *[]T   `json:"value"`
			Next  string `json:"@odata.nextLink"`
		}
		if err := c.Get(ctx, path, &page); err != nil {
			return nil, err
		}
		if page.Value == nil {
			return nil, fmt.Errorf("GET %s: the answer has no value: it is not Microsoft Graph's (does a proxy answer for it?)", withoutQuery(path))
		}
		all = append(all, *page.Value...)
		if page.Next == "" {
			return all, nil
		}
		path = page.Next
	}
	return nil, fmt.Errorf("GET %s: more than %d pages", withoutQuery(path), maxPages)
}
