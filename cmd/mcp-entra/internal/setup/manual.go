package setup

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// A ManualStep is something that Microsoft Graph can't do: filling in a client's own dialog, assigning
// a role in Azure, or an identity to the service that runs the server.
type ManualStep struct {
	Title string  `json:"title"`
	Link  string  `json:"link"`            // the page that says how
	Enter []Entry `json:"enter,omitempty"` // what to type or set there, in order
}

// An Entry is one field of a dialog and its value.
type Entry struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

// ManualSteps returns what is left to do once a plan is applied: for the server first, then for each
// client.
func ManualSteps(spec Spec, o Outcome) []ManualStep {
	steps := slices.Concat(proofSteps(spec, o), roleSteps(spec))
	if spec.AuthProxy != "" {
		return append(steps, proxySteps(spec)...)
	}
	for _, c := range o.Clients {
		steps = append(steps, clientSteps(spec, o, c)...)
	}
	return steps
}

// PrintManual writes the steps for a person.
func PrintManual(w io.Writer, steps []ManualStep) {
	for i, s := range steps {
		fmt.Fprintf(w, "%d. %s\n   %s\n", i+1, s.Title, s.Link)
		width := 0
		for _, e := range s.Enter {
			width = max(width, len(e.Field))
		}
		for _, e := range s.Enter {
			fmt.Fprintf(w, "     %-*s  %s\n", width, e.Field, e.Value)
		}
	}
}

// proofSteps are about how the API proves to Entra that it is the application.
func proofSteps(spec Spec, o Outcome) []ManualStep {
	var steps []ManualStep
	if id := spec.Proof.ManagedIdentity; id != "" {
		steps = append(steps, ManualStep{
			Title: "Assign the user-assigned managed identity to the service that runs the server",
			Link:  "https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/overview",
			Enter: []Entry{{"client ID of the identity", id}},
		})
	}
	if wi := spec.Proof.Workload; wi != nil {
		steps = append(steps, ManualStep{
			Title: "Let the server's pods use the Kubernetes service account",
			Link:  "https://learn.microsoft.com/azure/aks/workload-identity-overview",
			Enter: []Entry{
				{"service account", wi.Namespace + "/" + wi.ServiceAccount},
				{"annotation", "azure.workload.identity/client-id: " + o.APIAppID},
				{"label of the pods", `azure.workload.identity/use: "true"`},
			},
		})
	}
	if file := spec.Proof.Certificate; file != "" {
		steps = append(steps, ManualStep{
			Title: "Give the server the certificate with its private key, in one PEM or PFX file",
			Link:  "https://learn.microsoft.com/entra/identity-platform/certificate-credentials",
			Enter: []Entry{{"AZURE_CLIENT_CERTIFICATE_PATH", "the file, where the server runs"}},
		})
	}
	if spec.Proof.Secret {
		steps = append(steps, ManualStep{
			Title: "Give the server its secret, from the file of secrets",
			Link:  "https://learn.microsoft.com/entra/identity-platform/how-to-add-credentials",
			Enter: []Entry{{SecretVariable(apiKey), "in the file that -secret-file named"}},
		})
	}
	return steps
}

// dataRoles are the roles that users need in Azure besides the delegated permission, by resource.
var dataRoles = map[string]struct{ role, link string }{
	"storage":  {"Storage Blob Data Reader (or Contributor) on the account or container; Owner is not enough", "https://learn.microsoft.com/azure/storage/blobs/assign-azure-role-data-access"},
	"keyvault": {"Key Vault Secrets User on the vault", "https://learn.microsoft.com/azure/key-vault/general/rbac-guide"},
	"arm":      {"Reader, or what the tools need, on the subscription or resource group", "https://learn.microsoft.com/azure/role-based-access-control/role-assignments-portal"},
}

func roleSteps(spec Spec) []ManualStep {
	var steps []ManualStep
	for _, r := range spec.Resources {
		if role, ok := dataRoles[r.Name]; ok {
			steps = append(steps, ManualStep{
				Title: "Give users their role in Azure: the server acts as them in " + r.Name,
				Link:  role.link,
				Enter: []Entry{{"role", role.role}},
			})
			if r.Name == "storage" {
				steps = append(steps, ManualStep{
					Title: "Tell the example server which blobs to read, beside the variables above",
					Link:  "https://github.com/mcpentra/mcp-entra-go/blob/main/examples/server/README.md",
					Enter: []Entry{{"AZURE_STORAGE_ACCOUNT_URL", "the Blob service's URL, among the account's endpoints"}, {"AZURE_STORAGE_CONTAINER", "the container's name"}},
				})
			}
		}
	}
	return steps
}

const (
	docPages    = "https://github.com/mcpentra/mcp-entra-go/blob/main/docs"
	clientPages = docPages + "/clients"
)

// clientSteps are about one client's own dialog.
func clientSteps(spec Spec, o Outcome, c ClientOutcome) []ManualStep {
	known, ok := knownclients.ByID(c.Client.ID)
	if !ok {
		known = knownclients.Client{Name: c.Client.ID, SendsResource: true, Type: "its configuration"}
	}
	where := known.Type
	if len(spec.Servers) > 0 {
		where = strings.NewReplacer("{NAME}", spec.Name, "{URL}", spec.Servers[0], "{CLIENT_ID}", c.ClientID, "{SCOPE}", o.Scope).Replace(where)
	}
	redirects := c.Client.Redirects
	step := ManualStep{Title: "Add the server to " + known.Name, Link: clientPages + ".md"}
	if ok && known.HasPage() {
		step.Link = clientPages + "/" + known.ID + ".md"
	}
	step.Enter = append(step.Enter, Entry{"where", where})
	for _, url := range spec.Servers {
		step.Enter = append(step.Enter, Entry{"URL", url})
	}
	if c.App != "" {
		step.Enter = append(step.Enter, Entry{"client ID", c.ClientID})
	}
	if c.Secret {
		step.Enter = append(step.Enter, Entry{"client secret", "in the secret file, of application " + c.App})
	}
	scope := o.Scope
	if !known.SendsResource && c.App != "" { // Entra's URLs are typed in, too
		scope += " offline_access"
		base := authorityOf(spec) + "/" + o.Tenant + "/oauth2/v2.0"
		step.Enter = append(step.Enter, Entry{"authorization URL", base + "/authorize"}, Entry{"token and refresh URL", base + "/token"})
	}
	step.Enter = append(step.Enter, Entry{"scope", scope})
	for _, uri := range redirects {
		step.Enter = append(step.Enter, Entry{"redirect, registered", uri})
	}
	steps := []ManualStep{step}
	if c.App != "" && known.RedirectShown != "" && len(redirects) == 0 {
		steps = append(steps, ManualStep{
			Title: "Register the redirect that " + known.Name + " shows: under redirects of client " + known.ID + " in the file, then apply again; or in the portal",
			Link:  portalOf(spec) + "/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Authentication/appId/" + c.ClientID,
			Enter: []Entry{{"shown in", known.RedirectShown}, {"platform", platformName(c.Client.Platform)}},
		})
	}
	return steps
}

// authorityOf returns the authority host of the spec's cloud.
func authorityOf(spec Spec) string {
	cloud, ok := authority.CloudNamed(spec.Cloud)
	if !ok {
		return authority.Public
	}
	return cloud.Hosts[0]
}

func portalOf(spec Spec) string {
	switch spec.Cloud {
	case "usgov", "dod":
		return "https://entra.microsoft.us"
	case "china":
		return "https://entra.microsoftonline.cn"
	default:
		return "https://entra.microsoft.com"
	}
}

// platformName returns the portal's name of a platform.
func platformName(platform knownclients.Platform) string {
	return strings.NewReplacer(
		string(knownclients.Public), "Mobile and desktop applications",
		string(knownclients.SPA), "Single-page application",
		string(knownclients.Web), "Web",
	).Replace(string(platform))
}
