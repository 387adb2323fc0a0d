package obo

import "net/http"

// restrict returns a copy of the client that can't be led elsewhere or fed
// without end: a redirect of the token endpoint would take the app's secret and
// the user's token to another host, and cookies would tie one user's requests to
// another's.
func restrict(c *http.Client) *http.Client {
	var own http.Client
	if c != nil {
		own = *c
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil
	if own.Transport == nil {
		own.Transport = http.DefaultTransport
	}
	own.Transport = boundedTransport{own.Transport}
	return &own
}

// boundedTransport bounds what others read from it: azidentity and MSAL read
// whatever comes.
type boundedTransport struct{ next http.RoundTripper }

func (t boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err == nil {
		// One byte more, so that readBounded, which says it better, sees it too.
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer+1)
	}
	return resp, err
}
