package tenantcontrol

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A Request is a request as people may read it: without secrets, codes and tokens.
type Request struct {
	Time       time.Time         `json:"time"` // by the tenant's clock
	Endpoint   string            `json:"endpoint"`
	Method     string            `json:"method"`
	Path       string            `json:"path"`
	Parameters map[string]string `json:"parameters,omitempty"`
	Status     int               `json:"status"`
	AADSTS     int               `json:"aadsts,omitempty"`
	Refusal    string            `json:"refusal,omitempty"`
	Remedy     string            `json:"remedy,omitempty"`
	Link       string            `json:"link,omitempty"`
}

// shown are the parameters whose values are no secrets. Others are shown as "(sent)".
var shown = []string{
	"api-version", "claims", "client_id", "code_challenge_method", "fmi_path", "grant_type", "login_hint", "post_logout_redirect_uri",
	"prompt", "redirect_uri", "requested_token_use", "resource", "response_mode", "response_type", "scope",
}

// maxValue limits a parameter's text.
const maxValue = 300

// Names and ids as they should be. Anything else may be a secret in the wrong place.
var (
	parameterName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)
	clientID      = regexp.MustCompile(`^[0-9A-Fa-f-]{36}$`)
)

// list returns the last requests, oldest first, of which only refused ones if so asked.
func list(t *tenantfile.Tenant, limit int, refused bool) []Request {
	all := t.Requests()
	found := []Request{}
	for _, r := range slices.Backward(all) {
		if len(found) == limit {
			break
		}
		if refused && r.AADSTS == 0 && r.Status < 400 {
			continue
		}
		found = append(found, newRequest(&r))
	}
	slices.Reverse(found)
	return found
}

func newRequest(r *entratest.Request) Request {
	q := Request{
		Time: r.Time.UTC(), Endpoint: r.Endpoint.String(), Method: r.Method, Path: clip(r.Path),
		Status: r.Status, AADSTS: r.AADSTS, Refusal: r.Refusal,
	}
	for name, values := range r.Form {
		if q.Parameters == nil {
			q.Parameters = map[string]string{}
		}
		if !parameterName.MatchString(name) {
			name = "(another)"
		}
		value := clip(strings.Join(values, ", "))
		if !slices.Contains(shown, name) || (name == "client_id" || name == "fmi_path") && !clientID.MatchString(value) {
			q.Refusal = withhold(q.Refusal, values)
			value = "(sent)"
		}
		q.Parameters[name] = value
	}
	if r.AADSTS != 0 {
		q.Remedy, q.Link = remedy(r.AADSTS), link(r.AADSTS)
	}
	if r.Endpoint == 0 && r.Status == http.StatusNotFound {
		q.Refusal = "The tenant has no endpoint at this path."
	}
	return q
}

// withhold takes values out of an error's text, which repeats some of a request, as Entra's do.
func withhold(text string, values []string) string {
	for _, value := range values {
		if len(value) > 3 {
			text = strings.ReplaceAll(text, value, "(sent)")
			text = strings.ReplaceAll(text, value[:min(len(value), 200)], "(sent)") // the tenant's texts are cut there
		}
	}
	return text
}

func clip(s string) string {
	if len(s) > maxValue {
		return strings.ToValidUTF8(s[:maxValue], "") + "…"
	}
	return s
}
