package authproxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// anyDocument serves a client ID metadata document at every URL.
type anyDocument struct{}

func (anyDocument) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{"client_id": r.URL.String(), "client_name": "Document", "redirect_uris": []string{labRedirect, "http://127.0.0.1/callback"}})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: int64(len(body)),
	}, nil
}

func newFuzzed(f *testing.F) *lab {
	f.Helper()
	return newLab(f, authproxy.Options{UnsafeDocumentClient: &http.Client{Transport: anyDocument{}}})
}

// checkPage checks what holds for each answer to a browser, whatever it sent.
func checkPage(t *testing.T, sent string, w *httptest.ResponseRecorder) {
	t.Helper()
	known := []int{http.StatusOK, http.StatusFound, http.StatusSeeOther, http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusServiceUnavailable}
	if !slices.Contains(known, w.Code) {
		t.Errorf("%q: status %d: %s; want one of %v", sent, w.Code, w.Body, known)
	}
	if to := w.Header().Get("Location"); to != "" {
		checkDestination(t, sent, to)
	}
	if m := metaRefresh.FindStringSubmatch(w.Body.String()); m != nil {
		checkDestination(t, sent, strings.ReplaceAll(m[1], "&amp;", "&"))
	}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%q: Content-Security-Policy %q, want nothing allowed and no frames", sent, csp)
		}
		if strings.Contains(strings.ToLower(w.Body.String()), "<script") {
			t.Errorf("%q: the page has a script: %s", sent, w.Body)
		}
	}
}

// checkDestination: browsers are sent to Entra, or to a registered redirect with iss once.
func checkDestination(t *testing.T, sent, to string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Errorf("%q: sent to %q, %v; want a URL", sent, to, err)
		return
	}
	if strings.HasSuffix(u.Path, "/oauth2/v2.0/authorize") {
		if len(u.RawQuery) > 1800 {
			t.Errorf("%q: %d bytes of query to Entra, want at most 1,800", sent, len(u.RawQuery))
		}
		return
	}
	client := strings.HasPrefix(to, labRedirect+"?") || u.Scheme == "http" && u.Hostname() == "127.0.0.1" && u.Path == "/callback" && u.User == nil
	if iss := u.Query()["iss"]; !client || len(iss) != 1 || iss[0] != labIssuer {
		t.Errorf("%q: sent to %q, want Entra or a registered redirect with iss %s once", sent, to, labIssuer)
	}
}

// FuzzAuthorizeDocuments: any query is answered with a page, or leads to Entra or to a redirect of the client.
func FuzzAuthorizeDocuments(f *testing.F) {
	l := newFuzzed(f)
	request := labRequest(l.register())
	f.Add(request.Encode())
	for name, value := range map[string]string{
		"redirect_uri": "https://client.example.evil.example/callback", "state": strings.Repeat("s", 1025), "scope": "a\x00b", "resource": "https://other.example/",
		"code_challenge_method": "plain", "code_challenge": "short", "response_type": "token", "prompt": "none login", "claims": `{"a":`, "login_hint": strings.Repeat("h", 1500),
		"client_id": "https://app.example/client.json", "max_age": "-1", "acr_values": "c1 c2", "domain_hint": "\u202e",
	} {
		q := labRequest(request.Get("client_id"))
		q.Set(name, value)
		f.Add(q.Encode())
		q.Add(name, value)
		f.Add(q.Encode())
	}
	f.Add("client_id=https%3A%2F%2Fapp.example%2Fclient.json&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcallback&%zz=;&;a")
	f.Fuzz(func(t *testing.T, query string) {
		clear(l.cookies)
		r := httptest.NewRequest(http.MethodGet, labIssuer+"/authorize", nil)
		r.URL.RawQuery = query
		checkPage(t, query, l.serve(r))
	})
}

// FuzzCallbackApproved: Entra's answer leads to a client only with the browser's own transaction.
func FuzzCallbackApproved(f *testing.F) {
	l := newFuzzed(f)
	entra := l.toEntra(l.form("/consent", l.decision(l.authorize(l.register()), "approve")))
	cookies := []string{}
	for name, value := range l.cookies {
		cookies = append(cookies, name+"="+value)
	}
	state := entra.Query().Get("state")
	f.Add("code=abc&state="+state, strings.Join(cookies, "; "))
	f.Add("error=access_denied&error_description=AADSTS65004%3A+x&state="+state, strings.Join(cookies, "; "))
	f.Add("code=abc&code=d&state="+state+"&error=x", strings.Join(cookies, "; "))
	f.Add("code=abc&state="+state, "")
	f.Fuzz(func(t *testing.T, query, cookie string) {
		clear(l.cookies)
		r := httptest.NewRequest(http.MethodGet, labIssuer+"/oauth/callback", nil)
		r.URL.RawQuery, r.Header["Cookie"] = query, []string{cookie}
		w := l.serve(r)
		checkPage(t, query, w)
		if w.Header().Get("Location") != "" && !strings.Contains(cookie, state) {
			t.Errorf("%q without the transaction's cookie: Location %q, want a page", query, w.Header().Get("Location"))
		}
	})
}

// checkReply checks what holds for each answer of an endpoint for programs.
func checkReply(t *testing.T, sent string, w *httptest.ResponseRecorder, success int) {
	t.Helper()
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%q: Cache-Control %q, want no-store", sent, w.Header().Get("Cache-Control"))
	}
	if w.Code == success {
		return
	}
	var e struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	known := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusServiceUnavailable}
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error == "" || !slices.Contains(known, w.Code) {
		t.Errorf("%q: status %d, %v: %s; want an OAuth error", sent, w.Code, err, w.Body)
	}
	// RFC 6749, section 5.2.
	if bad := strings.IndexFunc(e.Error+e.Description, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }); bad >= 0 {
		t.Errorf("%q: error %q, %q has a character that none may have", sent, e.Error, e.Description)
	}
}

func FuzzTokenSealed(f *testing.F) {
	l := newFuzzed(f)
	id := l.register()
	refresh := l.refreshToken(l.form("/token", labCode(id, l.code(id))))
	f.Add(labCode(id, l.code(id)).Encode(), "")
	f.Add(labRefresh(id, refresh).Encode(), "")
	f.Add(labRefresh(id, refresh).Encode()+"&scope=notes_write", "Basic "+"aWQ6c2VjcmV0")
	f.Add("grant_type=client_credentials&client_secret=x", "Basic ====")
	f.Add("grant_type=password&username=a&password=b", "Bearer x")
	f.Add("client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=e30.e30.&grant_type=refresh_token&refresh_token=x", "")
	f.Add("%zz=&;=&grant_type=authorization_code&code="+strings.Repeat("A", 4096), "")
	f.Fuzz(func(t *testing.T, body, authorization string) {
		r := httptest.NewRequest(http.MethodPost, labIssuer+"/token", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Authorization"] = []string{authorization}
		checkReply(t, body, l.serve(r), http.StatusOK)
	})
}

func FuzzRevokeSealed(f *testing.F) {
	l := newFuzzed(f)
	id := l.register()
	refresh := l.refreshToken(l.form("/token", labCode(id, l.code(id))))
	f.Add(url.Values{"client_id": {id}, "token": {refresh}}.Encode(), "")
	f.Add(url.Values{"client_id": {id}, "token": {"e30.e30.e30"}, "token_type_hint": {"access_token"}}.Encode(), "")
	f.Add("client_id=https://app.example/client.json&token=x", "Basic Og==")
	f.Fuzz(func(t *testing.T, body, authorization string) {
		r := httptest.NewRequest(http.MethodPost, labIssuer+"/revoke", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Authorization"] = []string{authorization}
		w := l.serve(r)
		if w.Code == http.StatusOK {
			return
		}
		checkReply(t, body, w, http.StatusOK)
	})
}

// FuzzRegisterAny: what is registered has redirects that the rules allow, and works.
func FuzzRegisterAny(f *testing.F) {
	l := newFuzzed(f)
	f.Add(labRegistration)
	f.Add(`{"redirect_uris":["http://localhost:1/x","https://a.example/\u002e\u002e/b"]}`)
	f.Add(`{"redirect_uris":["https://a.example"],"redirect_uris":["https://b.example"],"token_endpoint_auth_method":"private_key_jwt"}`)
	f.Add(`{"client_name":"\u202e\u0000","redirect_uris":["https://a.example/"],"grant_types":null,"response_types":[]}`)
	f.Add(`{"redirect_uris":["https://` + strings.Repeat("a", 500) + `.example"],"client_name":"` + strings.Repeat("é", 200) + `"}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		w := l.post(labIssuer+"/register", "application/json", body)
		checkReply(t, body, w, http.StatusCreated)
		if w.Code != http.StatusCreated {
			return
		}
		var c struct {
			ID        string   `json:"client_id"`
			Redirects []string `json:"redirect_uris"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || c.ID == "" || len(c.ID) > 1024 || len(c.Redirects) == 0 || len(c.Redirects) > 10 {
			t.Fatalf("%q: %v: %s; want a client_id of at most 1,024 characters and 1 to 10 redirects", body, err, w.Body)
		}
		for _, redirect := range c.Redirects {
			u, err := url.Parse(redirect)
			loopback := err == nil && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
			if err != nil || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
				t.Errorf("%q: registered %q, %v", body, redirect, err)
			}
		}
	})
}

// FuzzSealed: a value that was sealed is good for nothing once a bit of it has changed, or where
// another kind of value belongs.
func FuzzSealed(f *testing.F) {
	l := newFuzzed(f)
	id := l.register()
	code := l.code(id)
	refresh := l.refreshToken(l.form("/token", labCode(id, code)))
	values := []string{id, code, refresh}
	for _, cookie := range l.cookies { // the remembered consent
		values = append(values, cookie)
	}
	for kind := range values {
		f.Add(uint8(kind), uint16(7), uint8('A'), uint16(0))
	}
	f.Fuzz(func(t *testing.T, kind uint8, at uint16, char uint8, cut uint16) {
		value := []byte(values[int(kind)%len(values)])
		value[int(at)%len(value)] = char
		value = value[:len(value)-int(cut)%len(value)]
		changed := string(value)
		if w := l.authorize(changed); w.Code != http.StatusBadRequest && changed != id {
			t.Errorf("client_id %q: status %d, want 400", changed, w.Code)
		}
		if w := l.form("/token", labCode(id, changed)); w.Code != http.StatusBadRequest {
			t.Errorf("code %q: status %d, want 400", changed, w.Code)
		}
		if w := l.form("/token", labRefresh(id, changed)); changed != refresh && w.Code != http.StatusBadRequest {
			t.Errorf("refresh_token %q: status %d, want 400", changed, w.Code)
		}
		if w := l.form("/revoke", url.Values{"client_id": {id}, "token": {changed}}); w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("revoke %q: status %d, want 200 or 400", changed, w.Code)
		}
	})
}
