package clientassertion_test

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientassertion"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

func TestGoodAssertions(t *testing.T) {
	t.Parallel()
	ahead := func(d time.Duration) int64 { return newWorld(t).now.Add(d).Unix() }
	for name, a := range map[string]assertion{
		"ES256":                  {},
		"RS256":                  {method: jwt.SigningMethodRS256},
		"PS256":                  {method: jwt.SigningMethodPS256},
		"the token endpoint":     {claims: members{"aud": endpoint}},
		"aud in an array":        {claims: members{"aud": []string{issuer}}},
		"no kid":                 {header: members{"kid": nil}},
		"no typ":                 {header: members{"typ": nil}},
		"typ in small letters":   {header: members{"typ": "jwt"}},
		"typ of RFC 7523's heir": {header: members{"typ": "client-authentication+jwt"}},
		"no iat":                 {claims: members{"iat": nil}},
		"nbf now":                {claims: members{"nbf": ahead(0)}},
		"nbf in 10 seconds":      {claims: members{"nbf": ahead(10 * time.Second)}}, // its clock is ahead
		"five minutes":           {claims: members{"exp": ahead(5 * time.Minute)}},
		"five, its clock ahead":  {claims: members{"exp": ahead(5*time.Minute + 10*time.Second), "iat": ahead(10 * time.Second)}},
		"expired, clock behind":  {claims: members{"exp": ahead(-9 * time.Second)}},
		"a fraction of a second": {claims: members{"exp": float64(ahead(0)) + 0.5}},
		"other members":          {claims: members{"x": members{"aud": "?"}}, header: members{"jku": "https://10.0.0.1/", "x5c": []string{"?"}}},
	} {
		w := newWorld(t)
		if err := w.Verify(t.Context(), a.sign(w.now), client, keysURL); err != nil {
			t.Errorf("%s: got %v, want none", name, err)
		}
	}
}

func TestRefusedAssertions(t *testing.T) {
	t.Parallel()
	const signature = "its signature is not by the key"
	now := newWorld(t).now
	ahead := func(d time.Duration) int64 { return now.Add(d).Unix() }
	replace := func(part int, with string) func(string) string {
		return func(token string) string {
			parts := strings.Split(token, ".")
			parts[part] = with
			return strings.Join(parts, ".")
		}
	}
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))})
	for name, tt := range map[string]struct {
		assertion
		text string
	}{
		"another's key":             {assertion{key: crypto.PrivateKey(ecKey2())}, signature},
		"no signature":              {assertion{edit: replace(2, "")}, signature},
		"a short signature":         {assertion{edit: replace(2, "AAAA")}, signature},
		"a signature of zeros":      {assertion{edit: replace(2, raw(strings.Repeat("\x00", 64)))}, signature},
		"other claims":              {assertion{edit: replace(1, raw(`{"iss":"`+client+`","sub":"`+client+`","aud":"`+issuer+`","jti":"1","exp":1795953700}`))}, signature},
		"RS256 as PS256":            {assertion{method: jwt.SigningMethodRS256, header: members{"alg": "PS256"}}, signature},
		"alg none":                  {assertion{method: jwt.SigningMethodNone, key: jwt.UnsafeAllowNoneSignatureType}, "alg must be"},
		"alg None":                  {assertion{header: members{"alg": "None"}, edit: replace(2, "")}, "alg must be"},
		"alg in small letters":      {assertion{header: members{"alg": "es256"}}, "alg must be"},
		"HS256 by the public key":   {assertion{method: jwt.SigningMethodHS256, key: publicPEM}, "alg must be"},
		"RS512":                     {assertion{method: jwt.SigningMethodRS512, key: rsaKey()}, "alg must be"},
		"no alg":                    {assertion{header: members{"alg": nil}}, "alg must be"},
		"alg of another type":       {assertion{header: members{"alg": []string{"ES256"}}}, "alg must be"},
		"RSA key named, ES256":      {assertion{header: members{"kid": "rsa"}}, "no key"},
		"unknown kid":               {assertion{header: members{"kid": "other"}}, "no key"},
		"kid of another type":       {assertion{header: members{"kid": 1}}, "kid must be"},
		"a key of its own":          {assertion{key: ecKey2(), header: members{"kid": "x", "jwk": members{"kty": "EC"}, "jku": "https://evil.example/k"}}, "no key"},
		"crit":                      {assertion{header: members{"crit": []string{"b64"}, "b64": false}}, "crit"},
		"an access token":           {assertion{header: members{"typ": "at+jwt"}}, "typ must be"},
		"a logout token":            {assertion{header: members{"typ": "logout+jwt"}}, "typ must be"},
		"no iss":                    {assertion{claims: members{"iss": nil}}, "iss and sub"},
		"another iss":               {assertion{claims: members{"iss": client + "/"}}, "iss and sub"},
		"no sub":                    {assertion{claims: members{"sub": nil}}, "iss and sub"},
		"another sub":               {assertion{claims: members{"sub": "https://other.example/a"}}, "iss and sub"},
		"another client":            {assertion{claims: members{"iss": "https://other.example/a", "sub": "https://other.example/a"}}, "iss and sub"},
		"sub in an array":           {assertion{claims: members{"sub": []string{client}}}, "must be strings"},
		"no aud":                    {assertion{claims: members{"aud": nil}}, "aud must be"},
		"another aud":               {assertion{claims: members{"aud": "https://other.example"}}, "aud must be one value, this server's"},
		"aud with a slash":          {assertion{claims: members{"aud": issuer + "/"}}, "aud must be"},
		"aud in capitals":           {assertion{claims: members{"aud": strings.ToUpper(issuer)}}, "aud must be"},
		"aud above the issuer":      {assertion{claims: members{"aud": "https://mcp.example"}}, "aud must be"},
		"two aud":                   {assertion{claims: members{"aud": []string{issuer, "https://other.example"}}}, "aud must be one value"},
		"both of ours":              {assertion{claims: members{"aud": []string{issuer, endpoint}}}, "aud must be one value"},
		"an empty array":            {assertion{claims: members{"aud": []string{}}}, "aud must be one value"},
		"aud a number":              {assertion{claims: members{"aud": 1}}, "aud must be"},
		"no exp":                    {assertion{claims: members{"exp": nil}}, "no exp"},
		"expired":                   {assertion{claims: members{"exp": ahead(-10 * time.Second)}}, "expired"},
		"more than 5 minutes ahead": {assertion{claims: members{"exp": ahead(5*time.Minute + 11*time.Second)}}, "more than 5m0s ahead"},
		"an hour ahead":             {assertion{claims: members{"exp": ahead(time.Hour)}}, "more than 5m0s ahead"},
		"exp in milliseconds":       {assertion{claims: members{"exp": ahead(time.Minute) * 1000}}, "times in seconds"},
		"exp a string":              {assertion{claims: members{"exp": "1795953700"}}, "times in seconds"},
		"exp negative":              {assertion{claims: members{"exp": -1}}, "times in seconds"},
		"exp zero":                  {assertion{claims: members{"exp": 0}}, "times in seconds"},
		"exp beyond a float":        {assertion{edit: replace(1, raw(`{"exp":1e400}`))}, "times in seconds"},
		"nbf in the future":         {assertion{claims: members{"nbf": ahead(61 * time.Second)}}, "in the future"},
		"iat in the future":         {assertion{claims: members{"iat": ahead(61 * time.Second)}}, "in the future"},
		"iat a string":              {assertion{claims: members{"iat": "now"}}, "times in seconds"},
		"no jti":                    {assertion{claims: members{"jti": nil}}, "no jti"},
		"an empty jti":              {assertion{claims: members{"jti": ""}}, "no jti"},
		"jti a number":              {assertion{claims: members{"jti": 1}}, "must be strings"},
		"a claim twice":             {assertion{edit: replace(1, raw(`{"sub":"a","sub":"b"}`))}, "unique names"},
		"a header twice":            {assertion{edit: replace(0, raw(`{"alg":"none","alg":"ES256"}`))}, "unique names"},
		"claims in an array":        {assertion{edit: replace(1, raw(`[]`))}, "JSON object"},
		"claims of null":            {assertion{edit: replace(1, raw(`null`))}, "JSON object"},
		"a header of nothing":       {assertion{edit: replace(0, "")}, "JSON object"},
		"not base64url":             {assertion{edit: replace(2, "a+/=")}, "not base64url"},
		"loose bits":                {assertion{edit: replace(2, "AB")}, "not base64url"},
		"a line's end":              {assertion{edit: func(s string) string { return s + "\n" }}, "not base64url"},
		"padding":                   {assertion{edit: func(s string) string { return s + "=" }}, "not base64url"},
		"four parts":                {assertion{edit: func(s string) string { return s + ".a" }}, "three parts"},
		"two parts":                 {assertion{edit: func(s string) string { return s[:strings.LastIndex(s, ".")] }}, "three parts"},
		"encrypted":                 {assertion{edit: func(s string) string { return s + ".a.b" }}, "three parts"},
		"nothing":                   {assertion{edit: func(string) string { return "" }}, "three parts"},
		"dots":                      {assertion{edit: func(string) string { return strings.Repeat(".", 8000) }}, "three parts"},
		"too long":                  {assertion{claims: members{"x": strings.Repeat("a", 8<<10)}}, "longer than 8 KiB"},
	} {
		w := newWorld(t)
		token := tt.sign(w.now)
		err := w.Verify(t.Context(), token, client, keysURL)
		if fault := refused(err, tt.text); fault != "" {
			t.Errorf("%s: %s", name, fault)
			continue
		}
		if len(w.ttls()) != 0 {
			t.Errorf("%s: a jti is used up, want none", name)
		}
		if keyless := tt.text != signature && tt.text != "no key"; keyless && w.requests.Load() != 0 {
			t.Errorf("%s: the keys were fetched, want this refused before", name)
		}
		for part := range strings.SplitSeq(token, ".") {
			if len(part) > 8 && strings.Contains(err.Error(), part[:8]) {
				t.Errorf("%s: the error has a part of the assertion: %v", name, err)
			}
		}
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const again = "used before"
	token := assertion{claims: members{"exp": w.now.Add(2 * time.Minute).Unix()}}.sign(w.now)
	bad := token[:len(token)-8] + "AAAAAAAA"
	if fault := refused(w.Verify(t.Context(), bad, client, keysURL), "signature"); fault != "" {
		t.Errorf("a bad signature first: %s", fault)
	}
	var good atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			err := w.Verify(t.Context(), token, client, keysURL)
			if err == nil {
				good.Add(1)
			} else if fault := refused(err, again); fault != "" {
				t.Error(fault)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 20 uses are good, want 1", good.Load())
	}
	if got := w.ttls(); len(got) != 1 || got[0] != 2*time.Minute+10*time.Second {
		t.Errorf("it is remembered for %v, want until 10 seconds after it has expired, 2m10s", got)
	}
	sameID := assertion{method: jwt.SigningMethodRS256}.sign(w.now)
	if fault := refused(w.Verify(t.Context(), sameID, client, keysURL), again); fault != "" {
		t.Errorf("the jti in another assertion: %s", fault)
	}
	if err := w.Verify(t.Context(), assertion{claims: members{"jti": "unique-jti2"}}.sign(w.now), client, keysURL); err != nil {
		t.Errorf("another jti: %v", err)
	}
	const other = "https://client.example/other.json"
	if err := w.Verify(t.Context(), assertion{claims: members{"iss": other, "sub": other}}.sign(w.now), other, keysURL); err != nil {
		t.Errorf("the jti of another client: %v", err)
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.down = true
	token := assertion{}.sign(w.now)
	err := w.Verify(t.Context(), token, client, keysURL)
	if fault := fault(err, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable, "try again"); fault != "" {
		t.Fatal(fault)
	}
	if e, ok := errors.AsType[*oauth.Error](err); !ok || e.RetryAfter != time.Second || e.Cause == nil {
		t.Errorf("got %#v, want a Retry-After of 1s and the cause", err)
	}
	w.down = false
	if err := w.Verify(t.Context(), token, client, keysURL); err != nil {
		t.Errorf("when it is up again: %v", err)
	}
}

func TestKeysOutOfReach(t *testing.T) {
	t.Parallel()
	for status, want := range map[int64]struct {
		status     int
		code, text string
		kind       error
	}{
		http.StatusBadGateway: {http.StatusServiceUnavailable, oauth.TemporarilyUnavailable, "can't be fetched", clientdoc.ErrUnavailable},
		http.StatusNotFound:   {http.StatusUnauthorized, oauth.InvalidClient, "answers 404", clientdoc.ErrInvalid},
	} {
		w := newWorld(t)
		w.status.Store(status)
		err := w.Verify(t.Context(), assertion{}.sign(w.now), client, keysURL)
		if fault := fault(err, want.status, want.code, want.text); fault != "" || !errors.Is(err, want.kind) {
			t.Errorf("the host of the keys answers %d: %s, want %v", status, fault, want.kind)
		}
	}
}

func TestSubject(t *testing.T) {
	t.Parallel()
	now := newWorld(t).now
	for _, tt := range []struct{ token, want string }{
		{assertion{}.sign(now), client},
		{assertion{key: ecKey2()}.sign(now), client}, // not verified
		{assertion{claims: members{"sub": nil}}.sign(now), ""},
		{assertion{method: jwt.SigningMethodNone, key: jwt.UnsafeAllowNoneSignatureType}.sign(now), ""},
		{"a.b.c", ""}, {"", ""},
	} {
		if got := clientassertion.Subject(tt.token); got != tt.want {
			t.Errorf("Subject(%q) = %q, want %q", tt.token, got, tt.want)
		}
	}
}

// FuzzSubject: what is read is as another reader of tokens reads it.
func FuzzSubject(f *testing.F) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, a := range []assertion{{}, {method: jwt.SigningMethodRS256}, {claims: members{"aud": []string{issuer}}}, {header: members{"crit": []string{"b64"}}}} {
		f.Add(a.sign(now))
	}
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		subject := clientassertion.Subject(token)
		if subject == "" {
			return
		}
		other, _, err := jwt.NewParser().ParseUnverified(token, &jwt.RegisteredClaims{})
		if err != nil {
			t.Errorf("accepted, but golang-jwt says %v", err)
			return
		}
		if got, err := other.Claims.GetSubject(); err != nil || got != subject {
			t.Errorf("read the subject %q, but golang-jwt %q, %v", subject, got, err)
		}
	})
}
