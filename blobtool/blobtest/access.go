package blobtest

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// A grant is the role of an object ID on the blobs in a container whose names begin with prefix.
type grant struct {
	objectID  string
	container string // empty: every container of the account
	prefix    string
	role      role
}

// A role is one of Azure's built-in roles, each of which may do all that those before it may.
type role int

const (
	reader      role = iota + 1
	contributor      // and write and delete
	owner            // and see and set tags, and delete versions
)

// Grant gives the user, application or managed identity with that object ID (the
// oid of its tokens) the role Storage Blob Data Reader on the blobs of the
// container whose names begin with prefix; an empty prefix is the whole
// container, and an empty container the whole account. It takes effect at
// once; in Azure it can take 10 minutes.
//
// A Reader may see how many index tags a blob has (but see [Options.HidesTagCount]), not the tags: they require
// the actions tags/read and filter/action of Microsoft.Storage. Of the built-in roles,
// only Storage Blob Data Owner has them (see [Server.GrantOwner]). A Reader's request
// with a condition on tags (x-ms-if-tags) is rejected. Listing the containers requires
// a role on the whole account.
func (s *Server) Grant(objectID, container, prefix string) {
	s.grant(grant{objectID, container, prefix, reader})
}

// GrantContributor grants the role Storage Blob Data Contributor: it may also write, append to,
// copy onto, lease, snapshot, delete and undelete blobs. It may neither read nor set tags, nor
// delete versions.
func (s *Server) GrantContributor(objectID, container, prefix string) {
	s.grant(grant{objectID, container, prefix, contributor})
}

// GrantOwner grants the role Storage Blob Data Owner. Unlike [Server.GrantContributor], this role
// can also read and set blobs' tags, also with x-ms-tags and x-ms-if-tags, delete versions, and find
// blobs by tags in the account or in a container if it covers all of it.
func (s *Server) GrantOwner(objectID, container, prefix string) {
	s.grant(grant{objectID, container, prefix, owner})
}

func (s *Server) grant(g grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants = append(s.grants, g)
}

// Revoke removes all roles of the object ID.
func (s *Server) Revoke(objectID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants = slices.DeleteFunc(s.grants, func(g grant) bool { return strings.EqualFold(g.objectID, objectID) })
}

// A need is the role that a request requires: on all names in the container that begin with prefix
// or, if container is empty, on all containers.
type need struct {
	container, prefix string
	role              role
}

// need returns the role that this request requires.
func (x *exchange) need() need {
	if x.operation == OpListBlobs {
		q := x.r.URL.Query()
		in, _ := parseInclude(q.Get("include"))
		n := need{x.container, q.Get("prefix"), reader}
		if in.tags {
			n.role = owner
		}
		return n
	}
	n := need{x.container, x.blob, reader}
	switch h := x.r.Header; {
	case x.operation.ofTags():
		n.role = owner
	case x.operation.writes() && (h.Get("X-Ms-Tags") != "" || h.Get("X-Ms-If-Tags") != "" || x.copiesTags()):
		n.role = owner
	case x.operation == OpDeleteBlob && x.r.URL.Query().Has("versionid"):
		n.role = owner
	case x.operation.writes():
		n.role = contributor
	}
	return n
}

// allowed reports whether one of the object's roles is sufficient.
func (s *Server) allowed(objectID string, n need) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.grants, func(g grant) bool {
		return strings.EqualFold(g.objectID, objectID) &&
			(g.container == "" || g.container == n.container) &&
			strings.HasPrefix(n.prefix, g.prefix) &&
			g.role >= n.role
	})
}

// countsTags reports whether the caller sees how many tags a blob of that name, or of those that
// begin with it, has.
func (x *exchange) countsTags(name string) bool {
	return !x.opts.HidesTagCount || x.allowed(x.caller, need{x.container, name, owner})
}

// A tokenVerifier identifies the caller as Azure Storage does.
type tokenVerifier struct {
	key      func(kid string) (*rsa.PublicKey, bool)
	issuer   string
	audience string // without trailing slash
	tenantID string
	parser   *jwt.Parser
}

func newTokenVerifier(o Options) *tokenVerifier {
	return &tokenVerifier{
		key:      o.Key,
		issuer:   o.Issuer,
		audience: strings.TrimSuffix(o.Audience, "/"),
		tenantID: o.TenantID,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
			jwt.WithExpirationRequired(),
			jwt.WithTimeFunc(o.Now),
		),
	}
}

// storageClaims are the checked claims of a token for Azure Storage.
type storageClaims struct {
	jwt.RegisteredClaims
	TenantID string `json:"tid"`
	ObjectID string `json:"oid"`
	Scope    string `json:"scp"`
}

// A detailError is the AuthenticationErrorDetail for a rejected token, in Azure's words.
type detailError string

func (e detailError) Error() string { return string(e) }

// errNoToken means that the request is anonymous.
var errNoToken = errors.New("no bearer token")

// caller returns the caller's object ID, errNoToken, or a detailError.
func (v *tokenVerifier) caller(r *http.Request) (string, error) {
	return v.callerOf(r.Header.Get("Authorization"))
}

// callerOf is caller for the value of a header.
func (v *tokenVerifier) callerOf(authorization string) (string, error) {
	scheme, token, ok := strings.Cut(authorization, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", errNoToken
	}
	var claims storageClaims
	_, err := v.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		key, ok := v.key(kid)
		if !ok {
			return nil, errors.New("unknown key")
		}
		return key, nil
	})
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "", detailError("Lifetime validation failed. The token is expired.")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "", detailError("Lifetime validation failed. The token is not yet valid.")
	case err != nil:
		return "", detailError("Signature validation failed. Signature verification failed.")
	}
	return claims.ObjectID, v.check(&claims)
}

// check checks the claims of a token whose signature and lifetime are valid.
func (v *tokenVerifier) check(c *storageClaims) error {
	forUs := slices.ContainsFunc(c.Audience, func(a string) bool { return strings.TrimSuffix(a, "/") == v.audience })
	switch {
	case c.Issuer != v.issuer:
		return detailError("Issuer validation failed. Issuer did not match.")
	case !forUs:
		return detailError("Audience validation failed. Audience did not match.")
	case v.tenantID != "" && c.TenantID != v.tenantID:
		return detailError("Tenant validation failed. Tenant did not match.")
	case c.ObjectID == "":
		return detailError("The token names no object (oid).")
	case c.Scope != "" && !slices.Contains(strings.Fields(c.Scope), "user_impersonation"):
		return detailError("The token lacks the scope user_impersonation.")
	}
	return nil
}

// challenge returns the WWW-Authenticate header of a 401. Azure writes it without quotes.
func (v *tokenVerifier) challenge() string {
	tenant := v.tenantID
	if tenant == "" {
		tenant = "common"
	}
	return fmt.Sprintf("Bearer authorization_uri=https://login.microsoftonline.com/%s/oauth2/authorize resource_id=%s", tenant, v.audience)
}

// tenantOf returns the tenant in a v1 issuer, or "".
func tenantOf(issuer string) string {
	tenant, ok := strings.CutPrefix(issuer, "https://sts.windows.net/")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(tenant, "/")
}

// unauthenticated answers 401 with the storage challenge.
func (x *exchange) unauthenticated(cause error) {
	x.w.Header().Set("WWW-Authenticate", x.verifier.challenge())
	if errors.Is(cause, errNoToken) {
		x.fail(http.StatusUnauthorized, "NoAuthenticationInformation",
			"Server failed to authenticate the request. Please refer to the information in the www-authenticate header.", "")
		return
	}
	x.fail(http.StatusUnauthorized, "InvalidAuthenticationInfo",
		"Server failed to authenticate the request. Please refer to the information in the www-authenticate header.", cause.Error())
}

// forbidden responds that no role of the caller allows the request.
func (x *exchange) forbidden() {
	x.fail(http.StatusForbidden, "AuthorizationPermissionMismatch",
		"This request is not authorized to perform this operation using this permission.", "")
}
