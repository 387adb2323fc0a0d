package clientdoc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// fetchTimeout bounds a fetch: resolving, connecting and reading. It is the caches' time for a
// load, whose context a fetch has.
const fetchTimeout = 5 * time.Second

// Bounds of how long a document is kept.
const (
	minLifetime     = time.Minute
	defaultLifetime = time.Hour
	maxLifetime     = 24 * time.Hour
)

// get fetches a JSON document of at most maxBytes and returns how long it may be kept. The
// client follows no redirects. An error wraps ErrInvalid if the answer is at fault, else
// ErrUnavailable.
func get(ctx context.Context, client *http.Client, u *url.URL, maxBytes int64) ([]byte, time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ctx = context.WithValue(ctx, fetchKey{}, ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "mcp-entra-go")
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := checkAnswer(resp); err != nil {
		return nil, 0, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	if err == nil {
		err = ctx.Err() // a host may end the body as it sees the end of our patience
	}
	switch {
	case int64(len(body)) > maxBytes:
		return nil, 0, invalidf("it is larger than %d bytes", maxBytes)
	case err != nil:
		return nil, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return body, lifetime(resp.Header), nil
}

// fetchKey is the key of a fetch's own context, for its dial: net/http lets dials outlive their
// request.
type fetchKey struct{}

// checkAnswer judges an answer before its body is read.
func checkAnswer(resp *http.Response) error {
	switch s := resp.StatusCode; {
	case s >= 300 && s < 400:
		return invalidf("its host answers with a redirect, which is not followed; use the URL to which it leads")
	case s == http.StatusTooManyRequests || s >= 500:
		return fmt.Errorf("%w: the host answered %d", ErrUnavailable, s)
	case s != http.StatusOK:
		return invalidf("its host answers %d, not 200", s)
	}
	kind, _, err := mime.ParseMediaType(strings.Join(resp.Header.Values("Content-Type"), ", "))
	if err != nil || !isJSON(kind) {
		return invalidf("its Content-Type is not application/json")
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return invalidf("it comes with a Content-Encoding, and none was accepted")
	}
	return nil
}

func isJSON(mediaType string) bool {
	kind, ok := strings.CutPrefix(mediaType, "application/")
	return ok && (kind == "json" || strings.HasSuffix(kind, "+json"))
}

// lifetime is how long an answer may be kept: its max-age less its Age (RFC 9111, section
// 4.2), within bounds. Also what must not be stored is kept for a minute, so that a sign-in
// doesn't fetch at each step.
func lifetime(h http.Header) time.Duration {
	life, named := defaultLifetime, false
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "no-store", "no-cache":
			return minLifetime
		case "max-age":
			if age := seconds(strings.Trim(value, ` "`)); !named || age < life {
				life, named = age, true
			}
		}
	}
	if age := h.Get("Age"); named && age != "" {
		life -= seconds(age)
	}
	return min(max(life, minLifetime), maxLifetime)
}

// seconds reads a number of seconds (RFC 9111, section 1.2.2): a larger one than a day counts
// as a day, and an invalid one as zero.
func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(n, uint64(maxLifetime/time.Second))) * time.Second
}
