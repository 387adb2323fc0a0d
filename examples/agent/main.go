// Command agent is an MCP server whose tool acts for the signed-in user as an agent
// identity (Microsoft Entra Agent ID): the downstream API sees the user, and the agent as
// the client. The server's own app registration is the agent's blueprint.
//
//	go run ./examples/agent -demo    # offline: a tenant and a downstream API in this process
//	go run ./examples/agent          # for real
//
// For real it needs, in the environment:
//
//	TENANT_ID     the directory (tenant) ID
//	API_APP_ID    the application (client) ID of the agent identity blueprint
//	AGENT_ID      the application ID of the agent identity, one of its children
//
// one proof of the blueprint:
//
//	ENTRA_APP_CLIENT_SECRET          a client secret of API_APP_ID, or
//	AZURE_CLIENT_CERTIFICATE_PATH    a PEM or PFX file (password in AZURE_CLIENT_CERTIFICATE_PASSWORD), or
//	UMI_CLIENT_ID                    the client ID of a managed identity that the blueprint trusts, or
//	AZURE_FEDERATED_TOKEN_FILE       the token of a Kubernetes service account that the blueprint trusts;
//	                                 AKS sets it
//
// and takes, if set:
//
//	DOWNSTREAM_URL         what the tool reads, by default https://graph.microsoft.com/v1.0/me
//	DOWNSTREAM_RESOURCE    the API that the URL belongs to, by default https://graph.microsoft.com
//	PUBLIC_URL             the origin that clients use, by default http://localhost:8000
//	PORT                   by default 8000
//	AZURE_AUTHORITY_HOST   another cloud, such as https://login.microsoftonline.us
//
// An administrator grants the delegated permission (for the default, User.Read of Microsoft
// Graph) to the blueprint's principal and makes it inheritable, or grants it to the agent;
// docs/agents.md shows how. The endpoint is PUBLIC_URL/mcp.
//
// It listens on loopback only (127.0.0.1), whatever PUBLIC_URL is. For clients on other machines,
// put a proxy that terminates TLS in front of it, on the same host or in the same pod.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const graph = "https://graph.microsoft.com"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the whole program, with its process's resources as parameters.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	flags.SetOutput(stderr)
	demo := flags.Bool("demo", false, "run offline, on a tenant and a downstream API in this process")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	action := online
	if *demo {
		action = offline
	}
	if err := action(ctx, getenv, stdout, stderr); err != nil {
		_, _ = fmt.Fprintln(stderr, "agent:", err)
		return 1
	}
	return 0
}

// online serves as configured by the environment until the context ends.
func online(ctx context.Context, getenv func(string) string, stdout, stderr io.Writer) error {
	port := cmp.Or(getenv("PORT"), "8000")
	public := cmp.Or(getenv("PUBLIC_URL"), "http://localhost:"+port)
	server, closeAll, err := assemble(settings{
		tenantID: getenv("TENANT_ID"), blueprintID: getenv("API_APP_ID"), agentID: getenv("AGENT_ID"),
		authorityHost: getenv("AZURE_AUTHORITY_HOST"), proof: proof(getenv),
		url: cmp.Or(getenv("DOWNSTREAM_URL"), graph+"/v1.0/me"), resource: cmp.Or(getenv("DOWNSTREAM_RESOURCE"), graph),
		downstream: http.DefaultClient, log: slog.New(slog.NewTextHandler(stderr, nil)),
	}, public+"/mcp")
	if err != nil && getenv("TENANT_ID")+getenv("API_APP_ID") == "" {
		return fmt.Errorf("nothing is configured yet (examples/agent/main.go begins with the variables); to see it without a tenant: go run ./examples/agent -demo\n%w", err)
	}
	if err != nil {
		return err
	}
	defer closeAll()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "MCP endpoint: %s/mcp\n", public)
	return server.Serve(ctx, listener)
}

// settings are what assemble needs to build the server.
type settings struct {
	tenantID, blueprintID, agentID, authorityHost string
	proof                                         clientauth.Method // of the blueprint
	url, resource                                 string            // of the downstream API
	downstream                                    policy.Transporter
	log                                           *slog.Logger
	authority                                     *http.Client // for the demo
}

// assemble returns the server and a function that stops its background work.
func assemble(s settings, resourceURL string) (*mcpentra.Server, func(), error) {
	verifier, errVerifier := entraauth.NewVerifier(s.tenantID, s.blueprintID, &entraauth.Options{
		AuthorityHost: s.authorityHost, HTTPClient: s.authority, Logger: s.log,
	})
	exchanger, errExchanger := obo.NewExchanger(s.tenantID, s.blueprintID, s.proof, &obo.Options{
		AuthorityHost: s.authorityHost, HTTPClient: s.authority, Logger: s.log,
		Resources: []string{s.resource}, Agents: []string{s.agentID},
	})
	if err := errors.Join(errVerifier, errExchanger); err != nil {
		return nil, nil, err
	}
	server, err := mcpentra.NewServer(resourceURL, verifier, mcpentra.WithLogger(s.log), mcpentra.WithExchanger(exchanger),
		// One agent for everybody. A server with several decides by the verified caller alone.
		mcpentra.WithAgent(func(*entraauth.Identity) string { return s.agentID }),
		mcpentra.WithTools(mcpentra.Tool(&mcp.Tool{
			Name: "ask_downstream", Description: "Asks the downstream API as you, through the server's agent. Needs no arguments.",
		}, s.ask)))
	if err != nil {
		return nil, nil, err
	}
	return server, func() { _ = verifier.Close() }, nil
}

// ask reads from the downstream API with the caller's credential. It returns the errors of the
// exchange and of the Azure SDK as they are.
func (s *settings) ask(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	credential, err := mcpentra.Credential(ctx)
	if err != nil {
		return nil, nil, err
	}
	pipeline := runtime.NewPipeline("agent", "v1.0.0", runtime.PipelineOptions{
		PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(credential, []string{s.resource + "/.default"}, nil)},
	}, &policy.ClientOptions{Transport: s.downstream})
	req, err := runtime.NewRequest(ctx, http.MethodGet, s.url)
	if err != nil {
		return nil, nil, err
	}
	runtime.SkipBodyDownload(req)
	resp, err := pipeline.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if !runtime.HasStatusCode(resp, http.StatusOK) {
		return nil, nil, runtime.NewResponseError(resp)
	}
	const most = 64 << 10
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(body)}}}, nil, err
}

// proof chooses how the blueprint authenticates to Entra.
func proof(getenv func(string) string) clientauth.Method {
	if file := getenv("AZURE_CLIENT_CERTIFICATE_PATH"); file != "" {
		return clientauth.CertificateFile(file, getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD"))
	}
	if file := getenv("AZURE_FEDERATED_TOKEN_FILE"); file != "" {
		return clientauth.WorkloadIdentity(file)
	}
	if identity := getenv("UMI_CLIENT_ID"); identity != "" {
		return clientauth.ManagedIdentity(identity)
	}
	return clientauth.Secret(getenv("ENTRA_APP_CLIENT_SECRET"))
}

// offline shows what the downstream API sees, on an in-process tenant.
func offline(ctx context.Context, _ func(string) string, stdout, _ io.Writer) error {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	blueprint := tenant.AddBlueprint("My MCP server", "access_as_user")
	agent := tenant.AddAgent(blueprint, "Expense agent")
	expenses := tenant.AddApp("Expenses API", "Expenses.Read")
	showsAgents := []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"} // optional claims, without which nobody can tell
	blueprint.OptionalClaims, expenses.OptionalClaims = showsAgents, showsAgents
	downstream, closeAPI, err := expensesAPI(tenant, expenses)
	if err != nil {
		return err
	}
	defer closeAPI()

	endpoint := httptest.NewUnstartedServer(nil)
	url := "http://" + endpoint.Listener.Addr().String() + "/mcp"
	server, closeAll, err := assemble(settings{
		tenantID: tenant.ID(), blueprintID: blueprint.ClientID, agentID: agent.ClientID, authorityHost: tenant.AuthorityHost(),
		proof: clientauth.Secret(blueprint.AddSecret()), authority: tenant.HTTPClient(),
		url: downstream.URL, resource: expenses.AppIDURI(), downstream: downstream.Client(), log: slog.New(slog.DiscardHandler),
	}, url)
	if err != nil {
		return err
	}
	defer closeAll()
	endpoint.Config.Handler = server
	endpoint.Start()
	defer endpoint.Close()

	chat := tenant.AddClient("Chat")
	alice, bob := tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddUser("bob@contoso.example", "Bob")
	_, _ = fmt.Fprintf(stdout, "The server's registration is the blueprint %s; it acts as its agent %s.\n\n", blueprint.ClientID, agent.ClientID)
	show := func(who, token string) {
		text, err := askAs(ctx, url, token)
		if err != nil { // the server refuses the caller
			text = err.Error()
		}
		_, _ = fmt.Fprintf(stdout, "%s\n    %s\n\n", who, text)
	}
	show("Bob, before an administrator has granted anything:", tenant.Token(bob, chat, blueprint))

	// What an administrator does: the agent has what the blueprint was granted and lets inherit.
	tenant.Consent(blueprint, expenses, "Expenses.Read")
	blueprint.AllowInheritance(expenses)
	show("Alice, after the grant to the blueprint:", tenant.Token(alice, chat, blueprint))
	show("Alice, whose client is an agent itself:", tenant.Token(alice, tenant.AddAgentClient("Coding agent"), blueprint))
	show("An agent user, whom the server's policy does not name:", tenant.Token(tenant.AddAgentUser(agent, "agent@contoso.example", "Agent user"), agent, blueprint))
	return nil
}

// expensesAPI is a downstream API that says who called it.
func expensesAPI(tenant *entratest.Tenant, app *entratest.App) (*httptest.Server, func(), error) {
	verifier, err := entraauth.NewVerifier(tenant.ID(), app.ClientID, &entraauth.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Logger: slog.New(slog.DiscardHandler),
		Policy: entraauth.Policy{Scopes: []string{"Expenses.Read"}},
	})
	if err != nil {
		return nil, nil, err
	}
	api := httptest.NewTLSServer(verifier.Middleware(nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := entraauth.FromContext(r.Context())
		agent := caller.Agent()
		_, _ = fmt.Fprintf(w, "Expenses of %s. A person: %v. The agent: %s (%s), of the blueprint %s.",
			caller.Username(), caller.IsPerson(), agent.ID, agent.Role, agent.BlueprintID)
	})))
	return api, func() {
		api.Close()
		_ = verifier.Close()
	}, nil
}

// askAs calls the tool as an MCP client with this token does.
func askAs(ctx context.Context, url, token string) (string, error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "demo", Version: "1"}, nil).Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: bearer{token, transport}}, DisableStandaloneSSE: true, MaxRetries: -1,
	}, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = session.Close() }()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "ask_downstream"})
	if err != nil {
		return "", err
	}
	text, _ := result.Content[0].(*mcp.TextContent)
	return text.Text, nil
}

// A bearer sends a token with each request.
type bearer struct {
	token string
	next  http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}
