package mcpentra

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// azureText says what an Azure service's refusal means to the user, with what finds
// the request in the service's log. The service's own words, its host and its
// response are not part of it: they can hold anything.
func azureText(e *azcore.ResponseError) string {
	service := serviceOf(e)
	id := serviceRequestID(e.RawResponse)
	if id == "" && e.ErrorCode == "" && ofProxies(e.StatusCode) { // Azure's answers have either
		return fmt.Sprintf("A proxy or firewall between this server and %s answered %d, not the service itself: its answer has no request id. "+
			"The user's permissions are not the reason. Tell this server's operator to let it reach the service.", inSentence(service.name), e.StatusCode)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s answered %d", service.name, e.StatusCode)
	if code := printable(e.ErrorCode); code != "" {
		b.WriteString(" (" + code + ")")
	}
	b.WriteString("." + service.hint(e.StatusCode))
	if id != "" {
		b.WriteString(" (request id " + id + ")")
	}
	return b.String()
}

// ofProxies reports whether proxies and firewalls answer so.
func ofProxies(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return true
	}
	return status >= http.StatusInternalServerError
}

func inSentence(name string) string { return strings.Replace(name, "The ", "the ", 1) }

// A service is what is known of one of Azure's: what it is called, and the least
// role with which a user may read there.
type service struct {
	name, role string
}

func (s service) hint(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return " It did not accept the token: its resource must be one of the exchanger's (Options.Resources), and the token of its tenant. Tell this server's operator."
	case http.StatusForbidden:
		if s.role == "" {
			return " The signed-in user lacks permission there, or its firewall does not admit this server."
		}
		return " The signed-in user lacks permission there: for reading, " + s.role +
			". If the user has that (an assignment takes up to 10 minutes), the service's firewall does not admit this server."
	case http.StatusNotFound:
		return " It does not exist, or the user may not see it."
	case http.StatusConflict, http.StatusPreconditionFailed:
		return " It was changed in the meantime, or is in a state that does not allow this. Read it again, then try again."
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return " It is busy: wait, then try again."
	}
	if status >= http.StatusInternalServerError {
		return " It failed: try again later."
	}
	return ""
}

// services are known by the label of their host name: {account}.vault.azure.net, in
// each of Azure's clouds. The roles are those of Azure's built-in ones that only
// read data.
var services = map[string]service{
	"blob":       {"Azure Blob Storage", "the role Storage Blob Data Reader"},
	"dfs":        {"Azure Data Lake Storage", "the role Storage Blob Data Reader, or an ACL entry"},
	"queue":      {"Azure Queue Storage", "the role Storage Queue Data Reader"},
	"table":      {"Azure Table Storage", "the role Storage Table Data Reader"},
	"vault":      {"Azure Key Vault", "the role Key Vault Secrets User (or Crypto User, or Certificate User)"},
	"azconfig":   {"Azure App Configuration", "the role App Configuration Data Reader"},
	"servicebus": {"Azure Service Bus", "the role Azure Service Bus Data Receiver"},
	"search":     {"Azure AI Search", "the role Search Index Data Reader"},
	"documents":  {"Azure Cosmos DB", "the data-plane role Cosmos DB Built-in Data Reader"},
	"kusto":      {"Azure Data Explorer", "the role Viewer on the database"},
	"openai":     {"Azure OpenAI", "the role Cognitive Services OpenAI User"},
}

// hosts are services of one host for all.
var hosts = map[string]service{
	"graph":      {"Microsoft Graph", "the delegated permission, consented to for this server's app registration, and the user's own rights"},
	"dod-graph":  {"Microsoft Graph", "the delegated permission, consented to for this server's app registration, and the user's own rights"},
	"management": {"Azure Resource Manager", "the role Reader on the resource or its resource group"},
}

func serviceOf(e *azcore.ResponseError) service {
	unknown := service{name: "The Azure service"}
	if e.RawResponse == nil || e.RawResponse.Request == nil || e.RawResponse.Request.URL == nil {
		return unknown
	}
	labels := strings.Split(strings.ToLower(e.RawResponse.Request.URL.Hostname()), ".")
	if s, ok := hosts[labels[0]]; ok {
		return s
	}
	if len(labels) > 2 {
		for _, label := range labels[1:3] { // a region may come first: {cluster}.westeurope.kusto…
			if s, ok := services[label]; ok {
				return s
			}
		}
	}
	return unknown
}

// serviceRequestID is what the service's own log knows the request by.
func serviceRequestID(r *http.Response) string {
	if r == nil {
		return ""
	}
	for _, name := range []string{"x-ms-request-id", "request-id", "x-ms-correlation-request-id", "x-ms-activity-id", "apim-request-id"} {
		if id := printable(r.Header.Get(name)); id != "" {
			return id
		}
	}
	return ""
}

// printable returns a code or an id, and nothing of what else a service may write
// where one belongs: what the caller reads must not be a text of the service's choice.
func printable(s string) string {
	if len(s) > maxLoggedName || strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_' && r != '.' && r != ':'
	}) {
		return ""
	}
	return s
}
