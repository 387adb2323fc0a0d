// Package s256 has the transport that the Go SDK's client needs at Entra.
package s256

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// A Transport adds code_challenge_methods_supported to Entra's OpenID metadata. Entra supports PKCE
// and does not say so; the Go SDK's client does not sign in without that.
type Transport struct{ Next http.RoundTripper }

// RoundTrip sends the request with Next.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Next.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasSuffix(r.URL.Path, "/v2.0/.well-known/openid-configuration") {
		return resp, err
	}
	defer func() { _ = resp.Body.Close() }()
	var metadata map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&metadata); err != nil {
		return nil, err
	}
	metadata["code_challenge_methods_supported"] = []string{"S256"}
	data, err := json.Marshal(metadata)
	if err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	resp.Header.Set("Content-Length", strconv.Itoa(len(data)))
	return resp, nil
}
