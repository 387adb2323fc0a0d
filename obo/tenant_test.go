package obo_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const (
	homeTenant  = "aaaaaaaa-1234-1234-1234-123456789abc"
	otherTenant = "bbbbbbbb-1234-1234-1234-123456789abc"
	thirdTenant = "cccccccc-1234-1234-1234-123456789abc"
)

// tenantsEntra is several authorities in memory, by the path of their URLs.
type tenantsEntra struct {
	mu    sync.Mutex
	down  map[string]bool
	paths []string
}

func (e *tenantsEntra) RoundTrip(req *http.Request) (*http.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.paths = append(e.paths, req.URL.Path)
	tenant := strings.Split(req.URL.Path, "/")[1]
	if e.down[tenant] {
		return nil, errors.New("down")
	}
	return (&scriptedEntra{answers: []answer{good}}).RoundTrip(req)
}

func tokenOf(tenant string) obo.Assertion {
	payload := fmt.Sprintf(`{"tid":"%s","oid":"%s","scp":"access_as_user","exp":%d}`, tenant, someGUID, time.Now().Add(time.Hour).Unix())
	return obo.NewAssertion("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln")
}

func TestOtherTenants(t *testing.T) {
	t.Parallel()
	entra := &tenantsEntra{down: map[string]bool{}}
	x, err := obo.NewExchanger(homeTenant, someGUID, clientauth.Secret("s"), &obo.Options{
		HTTPClient:   &http.Client{Transport: entra},
		OtherTenants: []string{strings.ToUpper(otherTenant), homeTenant},
		MaxRetries:   -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(of, asked string) error {
		_, err := x.Credential(tokenOf(of)).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}, TenantID: asked})
		return err
	}
	for _, test := range []struct {
		of, asked string
		want      error
	}{
		{homeTenant, "", nil},
		{otherTenant, "", nil},
		{strings.ToUpper(otherTenant), "", nil},
		{thirdTenant, "", obo.ErrAssertionInvalid},
		{"common", "", obo.ErrAssertionInvalid},
		{"", "", obo.ErrAssertionInvalid},
		{homeTenant, strings.ToUpper(homeTenant), nil},
		{otherTenant, otherTenant, nil},
		{homeTenant, otherTenant, obo.ErrTenantNotAllowed},
		{otherTenant, homeTenant, obo.ErrTenantNotAllowed},
		{otherTenant, "common", obo.ErrTenantNotAllowed},
		{thirdTenant, thirdTenant, obo.ErrTenantNotAllowed},
	} {
		entra.paths = nil
		err := get(test.of, test.asked)
		if !errors.Is(err, test.want) {
			t.Errorf("token of %q, asked for %q: got %v, want %v", test.of, test.asked, err, test.want)
		}
		want := "/" + strings.ToLower(test.of) + "/oauth2/v2.0/token"
		if test.want != nil && len(entra.paths) > 0 || test.want == nil && len(entra.paths) == 1 && entra.paths[0] != want {
			t.Errorf("token of %q, asked for %q: requests to %q, want %q or the error %v", test.of, test.asked, entra.paths, want, test.want)
		}
	}
	// An outage of one is not an outage of another.
	entra.down[otherTenant] = true
	for range 10 {
		_, err = x.Credential(tokenOf(otherTenant)).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/x"}})
		_ = wantKind(t, err, obo.ErrUnavailable)
	}
	entra.paths = nil
	_, err = x.Credential(tokenOf(homeTenant)).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/x"}})
	if err != nil || len(entra.paths) != 1 {
		t.Errorf("%d requests, %v; want 1, nil", len(entra.paths), err)
	}
	_, err = obo.NewExchanger(homeTenant, someGUID, clientauth.Secret("s"), &obo.Options{OtherTenants: []string{otherTenant, "contoso.com", "*"}})
	if err == nil || !strings.Contains(err.Error(), "Options.OtherTenants[1]: ") || !strings.Contains(err.Error(), "Options.OtherTenants[2]: ") {
		t.Errorf("got %v, want an error of OtherTenants[1] and [2]", err)
	}
	for _, id := range []string{someGUID, strings.ToUpper(someGUID)} {
		_, err = obo.NewExchanger(homeTenant, someGUID, clientauth.Secret("s"), &obo.Options{OtherTenants: []string{otherTenant, id}})
		if err == nil || !strings.Contains(err.Error(), "Options.OtherTenants[1]: "+id+" is the client ID") {
			t.Errorf("%s among the other tenants: got %v, want it named as the client ID", id, err)
		}
	}
}
