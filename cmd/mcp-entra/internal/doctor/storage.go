package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// storageVersion is the version of Azure Storage's protocol that requests are in. Since 2019-12-12,
// refusals name the account's tenant.
const storageVersion = "2023-11-03"

// storage finds out whether the storage account is there and answers this machine.
func (x *exam) storage(ctx context.Context) Result {
	if r := x.lacks("AZURE_STORAGE_ACCOUNT_URL", x.StorageURL); r != nil {
		return *r
	}
	if x.proxyFor(x.StorageURL) == nil {
		if _, f := x.resolve(ctx, x.StorageURL, "Check the account's name in AZURE_STORAGE_ACCOUNT_URL, and the private DNS zone if it has a private endpoint"); f != nil {
			if r := x.blamed(probe{err: errUnresolved}, x.StorageURL); r != nil {
				return *r
			}
			f.Problem = "there is no such storage account: " + f.Problem
			return failed(*f)
		}
	}
	p := x.storageRequest(ctx, "/?comp=list&maxresults=1", secret.Text{})
	if r := x.blamed(p, x.StorageURL); r != nil && (p.err != nil || p.header.Get("x-ms-request-id") == "") {
		return *r
	}
	switch code := p.header.Get("x-ms-error-code"); {
	case p.err != nil:
		return failed(x.unreachable(p, x.StorageURL))
	case p.header.Get("x-ms-request-id") == "":
		return failed(Finding{Problem: "something else than Azure Storage answers at " + hostOf(x.StorageURL), Expected: "an answer with x-ms-request-id",
			Came: fmt.Sprintf("HTTP status %d, %s", p.status, contentType(p.header)), Remedy: "Check AZURE_STORAGE_ACCOUNT_URL and any proxy on the way"})
	case code == "AuthorizationFailure":
		return failed(firewall(p))
	case p.status >= http.StatusInternalServerError:
		return failed(Finding{Problem: "Azure Storage has a problem", Expected: "a refusal for lack of a token", Came: storageAnswerText(p), Remedy: "Try again in some minutes"})
	}
	if tenant := challengedTenant(p.header); tenant != "" && x.TenantID != "" && x.blocked("tenant", "app") == nil && !strings.EqualFold(tenant, x.TenantID) {
		return failed(Finding{Problem: "the storage account belongs to another tenant", Expected: x.TenantID, Came: tenant,
			Remedy: "Use an account of the users' tenant: its subscription decides which tenant it trusts"})
	}
	return ok("%s answers", hostOf(x.StorageURL))
}

func firewall(p probe) Finding {
	return Finding{Problem: "the storage account's firewall refuses this network", Expected: "a refusal for lack of a token", Came: storageAnswerText(p),
		Remedy: "Allow this network under Networking of the storage account, or use a private endpoint. It is not a matter of roles"}
}

var authorizationURI = regexp.MustCompile(`authorization_uri="?https://[^/\s"]+/([0-9A-Fa-f-]{36})[/"\s,]`)

// challengedTenant returns the tenant that a refusal names, or nothing.
func challengedTenant(h http.Header) string {
	m := authorizationURI.FindStringSubmatch(h.Get("WWW-Authenticate"))
	if m == nil {
		return ""
	}
	return m[1]
}

// storageRequest asks for a list below the account's URL, as the user if there is a token.
func (x *exam) storageRequest(ctx context.Context, rest string, token secret.Text) probe {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(x.StorageURL, "/")+rest, nil)
	if err != nil {
		return probe{err: err}
	}
	req.Header.Set("x-ms-version", storageVersion)
	if !token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+secret.Reveal(token))
	}
	return x.do(x.client, req)
}

func storageAnswerText(p probe) string {
	return strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", p.status, printable(p.header.Get("x-ms-error-code"))))
}

// A storageAnswer is what came of listing the container as the user.
type storageAnswer struct {
	status int
	code   string
}

// dataRole lists the container as the user, which takes a role on its data.
func (x *exam) dataRole(ctx context.Context) Result {
	if r := x.lacks("AZURE_STORAGE_ACCOUNT_URL", x.StorageURL, "AZURE_STORAGE_CONTAINER", x.Container); r != nil {
		return *r
	}
	token, ok2 := x.storageToken()
	if !ok2 {
		if r := x.canExchange(); r != nil {
			return *r
		}
		return Result{Status: NotRun, Because: "exchange", Note: "exchange failed"}
	}
	p := x.storageRequest(ctx, "/"+url.PathEscape(x.Container)+"?restype=container&comp=list&maxresults=1", token)
	if p.err != nil {
		return failed(x.unreachable(p, x.StorageURL))
	}
	x.listed = &storageAnswer{p.status, p.header.Get("x-ms-error-code")}
	switch f := (Finding{Expected: "a list of the container's blobs", Came: storageAnswerText(p)}); {
	case x.listed.code == "AuthorizationFailure":
		return failed(firewall(p))
	case p.status == http.StatusForbidden:
		f.Problem = "the user has no role on the data of the container " + x.Container
		f.Remedy = "Assign Storage Blob Data Reader (or Contributor) on the container or account: Access control (IAM). Owner and Contributor give no access to data. " +
			"Compare AZURE_STORAGE_CONTAINER: a role on one container says nothing of another. " +
			"A new assignment takes up to 10 minutes; with conditions on it, the list may be refused though blobs can be read"
		return failed(f)
	case p.status == http.StatusUnauthorized:
		f.Problem, f.Remedy = "Azure Storage refuses the user's token", "Check that the account belongs to the user's tenant and cloud"
		return failed(f)
	case p.status >= http.StatusInternalServerError || p.status == http.StatusTooManyRequests:
		f.Problem, f.Remedy = "Azure Storage has a problem", "Try again in some minutes"
		return failed(f)
	}
	return ok("the user may list the container")
}

// containerExists reads the answer of the list.
func (x *exam) containerExists(context.Context) Result {
	if x.listed == nil {
		return x.like("data-role")
	}
	switch x.listed.status {
	case http.StatusOK:
		return ok("%s", x.Container)
	case http.StatusNotFound:
		return failed(Finding{Problem: "there is no container " + x.Container + " in the storage account", Expected: "HTTP status 200",
			Came: strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", x.listed.status, printable(x.listed.code))), Remedy: "Correct AZURE_STORAGE_CONTAINER, or create the container"})
	}
	return failed(Finding{Problem: "Azure Storage does not list the container " + x.Container, Expected: "HTTP status 200",
		Came:   strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", x.listed.status, printable(x.listed.code))),
		Remedy: "Check AZURE_STORAGE_ACCOUNT_URL, which is the account's blob endpoint without a path, and AZURE_STORAGE_CONTAINER"})
}
