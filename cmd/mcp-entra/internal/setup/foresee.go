package setup

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// What can be known before Graph refuses it, or before it takes what can't work.

// policy notes what the tenant's policy will refuse. Most sign-ins may not read it, the Azure CLI's
// among them; then the step itself shows.
func (o *observer) policy(ctx context.Context) error {
	api := o.state.app(apiKey)
	uris := len(o.missingURIs()) > 0
	secrets := o.spec.Proof.Secret && api.ID == ""
	if !uris && !secrets {
		return nil
	}
	p, err := o.graph.AppPolicy(ctx)
	if graph.IsForbidden(err) || graph.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if uris && p.RefusesURIs(tokenVersion) {
		o.state.Notes = append(o.state.Notes, "a policy of this tenant restricts App ID URIs, so it may refuse the servers' URLs; the step api/server-uris shows")
	}
	if secrets && p.RefusesSecrets() {
		o.state.Notes = append(o.state.Notes, "a policy of this tenant forbids secrets: the step api/secret will fail; prove the API with a managed identity, a workload identity or a certificate")
	}
	return nil
}

// CheckIssuer compares a cluster's issuer with what the cluster publishes. Entra takes any text and
// fails at the first token, so a typing error shows here or in production. The note says that the
// issuer can't be read from here, which need not be a fault.
func CheckIssuer(ctx context.Context, client *http.Client, issuer string) (note string, fault error) {
	if client == nil {
		client = http.DefaultClient
	}
	address := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	unread := func(why any) string {
		return fmt.Sprintf("the issuer of the workload identity can't be read from here (%s: %v); Entra must reach it, and compares it character for character", address, why)
	}
	response, err := client.Do(request)
	if err != nil {
		return unread(err), nil
	}
	defer func() { _ = response.Body.Close() }()
	var metadata struct {
		Issuer string `json:"issuer"`
	}
	if response.StatusCode != http.StatusOK {
		return unread(response.Status), nil
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&metadata); err != nil || metadata.Issuer == "" {
		return unread("it is not OpenID metadata"), nil
	}
	if metadata.Issuer != issuer {
		return "", fmt.Errorf("proof.workload-identity.issuer is %s, and the cluster calls itself %s: Entra compares them character for character, so write the latter", shown(issuer), shown(metadata.Issuer))
	}
	return "", nil
}
