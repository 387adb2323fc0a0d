//go:build unix

package interop_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// An agentWorld has a blueprint whose agent may read from a downstream API.
type agentWorld struct {
	*identityWorld
	blueprint, agent, down *entratest.App
	user                   *entratest.User // of the agent
}

func newAgentWorld(t *testing.T) *agentWorld {
	t.Helper()
	w := &agentWorld{identityWorld: newIdentityWorld(t)}
	w.blueprint = w.AddBlueprint("MCP server", "access_as_user")
	w.agent = w.AddAgent(w.blueprint, "Agent")
	w.user = w.AddAgentUser(w.agent, "agent@contoso.example", "Agent")
	w.down = w.AddApp("Downstream", "read", "write")
	w.down.OptionalClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}
	w.Consent(w.blueprint, w.down)
	w.blueprint.AllowInheritance(w.down, "read")
	w.config.BlueprintClientID, w.config.BlueprintSecret = w.blueprint.ClientID, w.blueprint.AddSecret()
	w.config.AgentClientID, w.config.AgentUser, w.config.AgentUserID = w.agent.ClientID, w.user.UserPrincipalName, w.user.ObjectID
	w.config.AgentScope, w.config.BlueprintToken = w.down.Scope(".default"), w.Token(w.alice, w.desktop, w.blueprint)
	return w
}

// check compares what a library got, by the name of the flow.
func (w *agentWorld) check(t *testing.T, got map[string]any) {
	t.Helper()
	for name, want := range map[string]map[string]any{
		"for a person":           {"oid": w.alice.ObjectID, "scp": "read", "idtyp": "user", "xms_sub_fct": "3 6"},
		"alone":                  {"oid": w.agent.ClientID, "scp": nil, "idtyp": "app", "xms_sub_fct": "9 3 11"},
		"as agent user, by name": {"oid": w.user.ObjectID, "scp": "read", "idtyp": "user", "xms_sub_fct": "3 13"},
		"as agent user, by id":   {"oid": w.user.ObjectID, "scp": "read", "idtyp": "user", "xms_sub_fct": "3 13"},
	} {
		want["appid"], want["appidacr"], want["xms_act_fct"], want["xms_par_app_azp"] = w.agent.ClientID, "2", "3 9 11", w.blueprint.ClientID
		token, _ := got[name].(string)
		claims := jwt.MapClaims{}
		_, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"})).ParseWithClaims(token, claims, func(parsed *jwt.Token) (any, error) {
			kid, _ := parsed.Header["kid"].(string)
			key, _ := w.PublicKey(kid)
			return key, nil
		})
		if err != nil {
			t.Errorf("%s: %v: %.300q", name, err, token)
			continue
		}
		for claim, value := range want {
			if claims[claim] != value {
				t.Errorf("%s: %s is %v, want %v", name, claim, claims[claim], value)
			}
		}
	}
	if refused, _ := got["without consent"].(string); !strings.Contains(refused, "AADSTS65001") {
		t.Errorf("without consent: %.300q, want AADSTS65001", refused)
	}
}

func TestAgentsMSALGo(t *testing.T) {
	t.Parallel()
	w := newAgentWorld(t)
	ctx := deadline(t, time.Minute)
	secret, err := confidential.NewCredFromSecret(w.config.BlueprintSecret)
	must(t, err)
	exchange := []string{tokenExchange + "/.default"}
	blueprint := w.confidential(t, w.blueprint.ClientID, secret)
	agent := w.confidential(t, w.agent.ClientID, confidential.NewCredFromAssertionCallback(
		func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
			t1, err := blueprint.AcquireTokenByCredential(ctx, exchange, confidential.WithFMIPath(w.agent.ClientID))
			return t1.AccessToken, err
		}))
	own, err := agent.AcquireTokenByCredential(ctx, exchange)
	must(t, err)
	scopes, got := []string{w.config.AgentScope}, map[string]any{}
	take := func(name string, result confidential.AuthResult, err error) {
		t.Helper()
		must(t, err)
		got[name] = result.AccessToken
	}
	result, err := agent.AcquireTokenOnBehalfOf(ctx, w.config.BlueprintToken, scopes)
	take("for a person", result, err)
	result, err = agent.AcquireTokenByCredential(ctx, scopes)
	take("alone", result, err)
	result, err = agent.AcquireTokenByUserFederatedIdentityCredential(ctx, scopes, own.AccessToken, confidential.WithUserFICUsername(w.config.AgentUser))
	take("as agent user, by name", result, err)
	result, err = agent.AcquireTokenByUserFederatedIdentityCredential(ctx, scopes, own.AccessToken, confidential.WithUserObjectID(w.config.AgentUserID))
	take("as agent user, by id", result, err)
	_, err = agent.AcquireTokenOnBehalfOf(ctx, w.config.BlueprintToken, []string{graphURI + "/.default"})
	var refused msalerrors.CallErr
	if !errors.As(err, &refused) {
		t.Fatalf("without consent: %T %v, want msalerrors.CallErr", err, err)
	}
	got["without consent"] = refused.Error()
	w.check(t, got)
	for _, r := range w.Requests() {
		if r.Form.Get("client_id") == w.blueprint.ClientID && (r.Form.Get("fmi_path") != w.agent.ClientID || r.Form.Has("assertion")) {
			t.Errorf("the blueprint sent fmi_path %q, assertion %v; want %q and no assertion", r.Form.Get("fmi_path"), r.Form.Has("assertion"), w.agent.ClientID)
		}
	}
}

func TestAgentsMSALPython(t *testing.T) {
	t.Parallel()
	w := newAgentWorld(t)
	w.check(t, w.run(t, "python", python(t), "agents.py"))
}
