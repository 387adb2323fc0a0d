package obo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

// wire is the HTTP client that MSAL gets for one exchange. It answers the
// discovery document from memory and leaves the token request to entrawire: MSAL
// reads without bound, drops headers, puts whole bodies and the request, secret
// included, into its errors, and rejects tokens that live for less than five
// minutes. What it must not see, it doesn't get.
type wire struct {
	sender *sender
	tenant *tenant
	// What came of the exchange: one of the two.
	success *entrawire.Success
	err     error
}

// Do is the client's side of MSAL's interface.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	switch target := bareURL(req.URL); {
	case req.Method == http.MethodGet && target == w.sender.app.host.MetadataV2(w.tenant.id):
		return jsonResponse(req, w.tenant.discovery), nil
	case req.Method == http.MethodPost && target == w.tenant.tokenURL:
		w.success, w.err = w.sender.wire.Send(req)
	default:
		w.err = &entrawire.NotSentError{Reason: fmt.Sprintf("a request to %s %s is not part of the exchange", req.Method, target)}
	}
	if w.err != nil {
		return nil, w.err
	}
	return jsonResponse(req, forMSAL(w.success)), nil
}

// CloseIdleConnections does nothing: the connections are shared.
func (w *wire) CloseIdleConnections() {}

// forMSAL is the token response in the one form that MSAL accepts. Its cache
// lives as long as the exchange, and the lifetime that counts is in success.
func forMSAL(s *entrawire.Success) []byte {
	b, _ := json.Marshal(map[string]any{ // strings and a number: no error possible
		"token_type":   "Bearer",
		"access_token": s.AccessToken,
		"expires_in":   3600,
	})
	return b
}

func bareURL(u *url.URL) string { return strings.ToLower(u.Scheme+"://"+u.Host) + u.EscapedPath() }

func jsonResponse(req *http.Request, body []byte) *http.Response {
	return &http.Response{
		Status:        http.StatusText(http.StatusOK),
		StatusCode:    http.StatusOK,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}
}
