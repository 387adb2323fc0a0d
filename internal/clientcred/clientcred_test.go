package clientcred_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenantURL = "https://login.example.com/contoso"
	tokenURL  = tenantURL + "/oauth2/v2.0/token"
)

var proofParameters = []string{"client_secret", "client_assertion", "client_assertion_type"}

// endpoint answers MSAL from memory and keeps the form of its token request.
type endpoint struct{ form url.Values }

func (e *endpoint) Do(req *http.Request) (*http.Response, error) {
	body := fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q}`, tenantURL, tenantURL, tokenURL)
	if req.Method == http.MethodPost {
		if err := req.ParseForm(); err != nil {
			return nil, err
		}
		e.form = req.PostForm
		body = `{"token_type":"Bearer","expires_in":3600,"access_token":"token"}`
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func (*endpoint) CloseIdleConnections() {}

// msalForm returns what MSAL sends with the proof.
func msalForm(t *testing.T, p clientcred.Proof) url.Values {
	t.Helper()
	credential, err := p.MSAL()
	if err != nil {
		t.Fatalf("MSAL() = %v, want nil", err)
	}
	var e endpoint
	client, err := confidential.New(tenantURL, "client", credential, confidential.WithHTTPClient(&e), confidential.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.AcquireTokenOnBehalfOf(t.Context(), "user.token.signature", []string{"scope"}); err != nil {
		t.Fatal(err)
	}
	return e.form
}

// TestProofInForms: a form that we write and one that MSAL writes prove the app alike.
func TestProofInForms(t *testing.T) {
	t.Parallel()
	const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	for name, c := range map[string]struct {
		proof clientcred.Proof
		want  [3]string // in the order of proofParameters
	}{
		"secret":    {clientcred.Secret(secret.New("s3cret&+ ")), [3]string{"s3cret&+ ", "", ""}},
		"assertion": {clientcred.Assertion(secret.New("a.b.c")), [3]string{"", "a.b.c", jwtBearer}},
		"signed": {clientcred.Signed(func(audience string) (string, error) { return "for." + audience + ".signed", nil }),
			[3]string{"", "for." + tokenURL + ".signed", jwtBearer}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours := url.Values{"scope": {"kept"}}
			if err := c.proof.AddTo(ours, tokenURL); err != nil {
				t.Fatalf("AddTo() = %v, want nil", err)
			}
			if got := ours.Get("scope"); got != "kept" {
				t.Errorf("AddTo changed scope to %q, want %q", got, "kept")
			}
			msal := msalForm(t, c.proof)
			for i, parameter := range proofParameters {
				if got := ours.Get(parameter); got != c.want[i] {
					t.Errorf("AddTo: %s = %q, want %q", parameter, got, c.want[i])
				}
				if got := msal.Get(parameter); got != c.want[i] {
					t.Errorf("MSAL: %s = %q, want %q", parameter, got, c.want[i])
				}
			}
		})
	}
}

func TestProofThatCannotBeSigned(t *testing.T) {
	t.Parallel()
	unsigned := errors.New("the key vault is down")
	form := url.Values{}
	err := clientcred.Signed(func(string) (string, error) { return "", unsigned }).AddTo(form, tokenURL)
	if !errors.Is(err, unsigned) || len(form) != 0 {
		t.Errorf("AddTo() = %v with the form %v, want %v with an empty form", err, form, unsigned)
	}
}

func TestMethodPrintsItsKind(t *testing.T) {
	t.Parallel()
	m := clientcred.NewMethod("client secret", func(clientcred.Environment) ([]clientcred.Source, error) { return nil, nil })
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if got := fmt.Sprintf(verb, m); got != "client secret" {
			t.Errorf("Sprintf(%q, method) = %q, want %q", verb, got, "client secret")
		}
	}
	var none clientcred.Method
	if _, err := none.Open(clientcred.Environment{}); err == nil || none.String() != "none" {
		t.Errorf("the zero Method: Open() = %v, String() = %q; want an error and %q", err, none.String(), "none")
	}
}

// source hands out its kind as secret, or fails.
type source struct {
	kind  string
	fails error
	asked int
	renew bool
}

func (s *source) Kind() string { return s.kind }

func (s *source) Credential(context.Context) (clientcred.Proof, error) {
	s.asked++
	if s.fails != nil {
		return clientcred.Proof{}, s.fails
	}
	return clientcred.Secret(secret.New(s.kind)), nil
}

func (s *source) Refused() bool { return s.renew }

func show(p clientcred.Proof) string {
	form := url.Values{}
	_ = p.AddTo(form, tokenURL) // a secret can't fail
	return form.Get("client_secret")
}

// proofs are those of sources, with their log.
func proofs(clock *clock, sources ...*source) (*clientcred.Proofs, *bytes.Buffer) {
	var log bytes.Buffer
	all := make([]clientcred.Source, len(sources))
	for i, s := range sources {
		all[i] = s
	}
	return clientcred.NewProofs(all, clientcred.Environment{Now: clock.Now, Logger: logTo(&log)}), &log
}
