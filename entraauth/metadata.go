package entraauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// metadata is what a tenant's OpenID documents say about its tokens. The issuers
// are never derived from the authority's URL: other clouds and External ID
// write them with hosts of their own.
type metadata struct {
	issuerV1 string // of v1 tokens; empty where the authority issues none
	issuerV2 string // of v2 tokens, and of the keys
	keysURL  string
	cloud    string // cloud_instance_name; may be empty
}

const (
	// organizations is the authority's name for all tenants but the consumers'.
	organizations = "organizations"
	// template stands for the tenant in metadata and keys of more than one.
	template = "{tenantid}"
)

// fill puts a tenant into an issuer that stands for several.
func fill(issuer, tenantID string) string {
	return strings.ReplaceAll(issuer, template, tenantID)
}

// maxDocument bounds what is read of a metadata document or a key set, in bytes.
const maxDocument = 1 << 20

// A directory is where a tenant's documents are.
type directory struct {
	host     authority.Host
	tenantID string // a GUID, or organizations
	clientID string // of the API
	client   *http.Client
}

// metadata reads both documents of the tenant, for the API: an application with a
// claims-mapping policy has its own signing keys, and Entra publishes them only in
// answers to requests that name the application (appid). For other applications
// the parameter changes nothing.
func (d *directory) metadata(ctx context.Context) (metadata, error) {
	const forAPI = "?appid="
	host := d.host
	v2, err := d.openID(ctx, host.MetadataV2(d.tenantID)+forAPI+d.clientID)
	if err != nil {
		return metadata{}, err
	}
	m := metadata{issuerV2: v2.Issuer, keysURL: v2.JWKSURI, cloud: v2.CloudInstanceName}
	v1, err := d.openID(ctx, host.MetadataV1(d.tenantID)+forAPI+d.clientID)
	switch {
	case errors.Is(err, errNotFound): // External ID has no v1 tokens
	case err != nil:
		return metadata{}, err
	case v1.CloudInstanceName != v2.CloudInstanceName:
		return metadata{}, fmt.Errorf("%s: the v1 and v2 metadata are of two clouds, %q and %q",
			host, actual(v1.CloudInstanceName), actual(v2.CloudInstanceName))
	default:
		m.issuerV1 = v1.Issuer
	}
	if !strings.HasSuffix(m.issuerV2, "/v2.0") {
		return metadata{}, fmt.Errorf("%s: the issuer of the v2 metadata, %q, is that of v1 tokens", host, actual(m.issuerV2))
	}
	return m, nil
}

// keeps reports whether m has the issuers of old. They are part of a tenant's identity
// and never change, so others are a fault of whoever answered.
func (m metadata) keeps(old metadata) error {
	switch {
	case m.issuerV2 != old.issuerV2:
		return fmt.Errorf("the issuer of v2 tokens was %q before and is now %q", actual(old.issuerV2), actual(m.issuerV2))
	case old.issuerV1 != "" && m.issuerV1 == "":
		return errors.New("the v1 metadata, which was there before, is missing")
	case old.issuerV1 != "" && m.issuerV1 != old.issuerV1:
		return fmt.Errorf("the issuer of v1 tokens was %q before and is now %q", actual(old.issuerV1), actual(m.issuerV1))
	}
	return nil
}

// openIDDocument holds the members that we use of an OpenID provider's metadata.
type openIDDocument struct {
	Issuer            string `json:"issuer"`
	JWKSURI           string `json:"jwks_uri"`
	CloudInstanceName string `json:"cloud_instance_name"`
}

// openID reads and checks one document, so that a bad one never replaces a good one.
func (d *directory) openID(ctx context.Context, address string) (openIDDocument, error) {
	var doc openIDDocument
	data, err := d.get(ctx, address)
	if err != nil {
		return doc, err
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return doc, fmt.Errorf("%s: not an OpenID metadata document: %w", address, err)
	}
	tenant := template
	if d.tenantID != organizations {
		tenant, doc.Issuer = d.tenantID, fill(doc.Issuer, d.tenantID)
	}
	issuer, err := d.trusted(doc.Issuer)
	if err != nil {
		return doc, fmt.Errorf("%s: issuer: %w", address, err)
	}
	// The text is compared, because the issuers of tokens are compared as text: a URL that
	// leads to the same place but is written differently would reject every token.
	base := "https://" + strings.ToLower(issuer.Host) + "/" + tenant + "/"
	if doc.Issuer != base && doc.Issuer != base+"v2.0" || !d.host.SharesPort(issuer) {
		return doc, fmt.Errorf("%s: the issuer %q is not of tenant %s as Entra writes it (%s or %sv2.0)", address, actual(doc.Issuer), d.tenantID, actual(base), actual(base))
	}
	if _, err := d.trusted(doc.JWKSURI); err != nil {
		return doc, fmt.Errorf("%s: jwks_uri: %w", address, err)
	}
	return doc, nil
}

// trusted parses an https URL on a host that the authority may name.
func (d *directory) trusted(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%q is not an https URL", actual(address))
	case !d.host.Trusts(u.Hostname()):
		return nil, fmt.Errorf("%q is on a host that %s may not name", actual(address), d.host)
	}
	return u, nil
}

// get reads a document of at most maxDocument bytes. Its errors never hold the
// document.
func (d *directory) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %w", address, refusedBy(resp))
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("%s: longer than %d bytes", address, maxDocument)
	}
	return data, nil
}

// sameHost copies client so that it follows no redirect to another host: a key
// set is only as trustworthy as its origin.
func sameHost(client *http.Client) *http.Client {
	if client == nil {
		client = http.DefaultClient
	}
	c := *client
	next := c.CheckRedirect
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		switch {
		case req.URL.Scheme != "https" || req.URL.Host != via[0].URL.Host:
			return fmt.Errorf("redirect to another host (%s) refused", actual(req.URL.Host))
		case next != nil:
			return next(req, via)
		case len(via) >= 5:
			return errors.New("more than 5 redirects")
		}
		return nil
	}
	return &c
}

// errNotFound is a document that the authority says it does not have.
var errNotFound = errors.New("status 404")

// A tenantError says that the authority has no such tenant. Retries fail until the
// operator corrects the tenant's id or the tenant appears.
type tenantError struct{ code string }

func (e *tenantError) Error() string { return "the authority has no such tenant (" + e.code + ")" }

// tenantNotFound is the reason code for it, in refusals and in the log.
const tenantNotFound = "tenant_not_found"

// noTenant are the codes for it: the tenant is not found, its name is invalid, or
// it was blocked or deleted because nobody used it.
var noTenant = []string{"AADSTS90002", "AADSTS900023", "AADSTS5000224", "AADSTS5000225"}

var entraCode = regexp.MustCompile(`AADSTS[0-9]{4,9}\b`)

// maxRefusal bounds what is read of a refusal, in bytes.
const maxRefusal = 16 << 10

// refusedBy returns the error for a status other than 200. It keeps only Entra's
// code of the body.
func refusedBy(resp *http.Response) error {
	code := ""
	if resp.StatusCode >= http.StatusBadRequest && resp.StatusCode < http.StatusInternalServerError {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // a part is enough
		code = string(entraCode.Find(body))
	}
	switch {
	case slices.Contains(noTenant, code):
		return &tenantError{code}
	case code != "":
		return fmt.Errorf("status %d, %s", resp.StatusCode, code)
	case resp.StatusCode == http.StatusNotFound:
		return errNotFound
	}
	return fmt.Errorf("status %d", resp.StatusCode)
}
