// Package azuretext explains in words why an Azure service rejected a request.
package azuretext

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// ForUser returns what the rejection means to the user, what they can do, and the service's
// request ID. It quotes neither the service's text nor its host, because it does not trust either.
func ForUser(e *azcore.ResponseError) string {
	service := serviceOf(e)
	id := serviceRequestID(e.RawResponse)
	if id == "" && e.ErrorCode == "" && isOfProxies(e.StatusCode) { // every Azure response has one of these
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

// ForLog returns the service, the status, the error code, and the request ID.
func ForLog(e *azcore.ResponseError) string {
	text := fmt.Sprintf("%s answered %d", serviceOf(e).name, e.StatusCode)
	if code := printable(e.ErrorCode); code != "" {
		text += " " + code
	}
	if id := serviceRequestID(e.RawResponse); id != "" {
		text += ", request id " + id
	}
	return text
}

// isOfProxies reports whether proxies and firewalls use the status.
func isOfProxies(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return true
	}
	return status >= http.StatusInternalServerError
}

func inSentence(name string) string { return strings.Replace(name, "The ", "the ", 1) }

// A service is an Azure service and the least privileged role that lets a user read.
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

// services maps a label of the host name, such as vault in {account}.vault.azure.net, to its
// service, in every Azure cloud. The roles are built-in roles that only read data.
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

// hosts maps the first label of the host name to services that share one host among all customers.
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

// serviceRequestID returns the ID under which the service logs the request.
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

// printable returns the text if it looks like a code or an ID, and "" otherwise, so that a service
// can't choose what the caller reads.
func printable(s string) string {
	const most = 128
	if len(s) > most || strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_' && r != '.' && r != ':'
	}) {
		return ""
	}
	return s
}
