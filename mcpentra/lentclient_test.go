package mcpentra_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// keeper is a tool that keeps its first client of the Azure SDK, with the token in it, for all callers.
type keeper struct {
	api  *httptest.Server
	once sync.Once
	kept runtime.Pipeline
}

func (k *keeper) Register(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "ask", Description: "Says whose token the service gets."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			credential, err := mcpentra.Credential(ctx)
			if err != nil {
				return nil, nil, err
			}
			k.once.Do(func() {
				k.kept = runtime.NewPipeline("test", "v1", runtime.PipelineOptions{
					PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(credential, []string{storageScope}, nil)},
				}, &policy.ClientOptions{Transport: k.api.Client()})
			})
			req, err := runtime.NewRequest(ctx, http.MethodGet, k.api.URL)
			if err != nil {
				return nil, nil, err
			}
			resp, err := k.kept.Do(req)
			if err != nil {
				return nil, nil, err
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := runtime.Payload(resp)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(body)}}}, nil, err
		})
}

// A client of the Azure SDK keeps its token while that is good. What is lent to an application must
// not serve a person, or another call, from such a client.
func TestServerCredentialStaysInNoClient(t *testing.T) {
	t.Parallel()
	k := &keeper{api: httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "as the caller"
		if r.Header.Get("Authorization") == "Bearer "+ownToken {
			who = "as the server"
		}
		_, _ = io.WriteString(w, who)
	}))}
	t.Cleanup(k.api.Close)
	w := newWorld(t)
	w.options = []mcpentra.Option{mcpentra.WithTools(k), mcpentra.WithDangerousServerCredentialForApplications(&operator{}, []string{"ask"}, nil)}
	w.verifierAcceptsApps(t)
	for _, c := range []struct {
		name   string
		header map[string]string
		want   string
	}{
		{"the application that it is lent to", w.application("Other"), "as the server"},
		{"a person", w.bearer(nil), "works only in the call that it was lent to"},
		{"another call", w.application("Other"), "works only in the call that it was lent to"},
	} {
		status, _, body := w.post(t, callBody("ask"), c.header)
		if !strings.Contains(body, c.want) || c.want != "as the server" && strings.Contains(body, "as the server") {
			t.Errorf("%s: got %d %s, want %q", c.name, status, body, c.want)
		}
	}
}

// In a batch, the lines of the messages that use the server's credential say so, and no others.
func TestServerCredentialInTheLineOfItsMessage(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		w := newWorld(t, mode.opts...)
		w.options = append(w.options, mcpentra.WithTools(borrowers{}),
			mcpentra.WithDangerousServerCredentialForApplications(&operator{}, []string{"ask*"}, []string{"note://own"}))
		w.verifierAcceptsApps(t)
		header := w.begin(t, mode.name, strings.TrimPrefix(w.application("Other")["Authorization"], "Bearer "), "2025-03-26")
		before := len(w.log.String())
		var batch []string
		for i, body := range []string{callBody("ask"), callBody("other"), readBody("note://own"), readBody("note://other"), callBody("secure_ping"), callBody("ask_too")} {
			_, rest, _ := strings.Cut(body, `,"method"`)
			batch = append(batch, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method"%s`, i, rest))
		}
		_, _, body := w.post(t, "["+strings.Join(batch, ",")+"]", header)
		if got := strings.Count(body, "as the server"); got != 3 {
			t.Errorf("%s: got %s, want three as the server", mode.name, body)
		}
		for line := range strings.Lines(w.log.String()[before:]) {
			if !strings.Contains(line, `msg="mcp request"`) {
				continue
			}
			lent := strings.Contains(line, "tool=ask") || strings.Contains(line, "resource=note://own")
			if strings.Contains(line, "credential=server") != lent {
				t.Errorf("%s: credential=server in the line: %v, want %v: %s", mode.name, !lent, lent, line)
			}
		}
	}
}

// A server whose verifier refuses all applications lends to nobody: that is a mistake.
func TestServerCredentialWithoutApplications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, p := range map[string]entraauth.Policy{
		"the default": {}, "scopes alone": {Scopes: []string{"access_as_user"}}, "people only": {PeopleOnly: true}, "roles": {AppRoles: []string{"Jobs"}},
	} {
		v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
			HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), Policy: p,
		})
		must(t, err)
		t.Cleanup(func() { _ = v.Close() })
		_, err = mcpentra.NewServer(resourceURL, v, mcpentra.WithExchanger(w.exchanger), mcpentra.WithTools(borrowers{}),
			mcpentra.WithDangerousServerCredentialForApplications(&operator{}, []string{"ask"}, nil))
		if (err == nil) != (name == "roles") || err != nil && !strings.Contains(err.Error(), "AppRoles") {
			t.Errorf("%s: got %v, want a fault that names AppRoles: %v", name, err, name != "roles")
		}
	}
}
