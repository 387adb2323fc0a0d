// Package explain checks a token against every rule of the verifier and prints a table, for the
// operator who asks "why 401?".
package explain

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

const (
	// maxInput exceeds the longest token that is checked.
	maxInput = 128 << 10
	// timeout limits fetching the tenant's keys.
	timeout = 15 * time.Second
)

// A Result is a token's result under each rule.
type Result struct {
	// Notice says that the token was checked against its own tenant or audience, because the
	// configuration lacks an ID.
	Notice string
	*entraauth.Report
}

// Run checks the token on stdin against every rule. The IDs that c lacks are the token's own. client, if
// not nil, fetches the tenant's keys; log gets what is wrong with them. An error means that the
// token could not be checked.
func Run(ctx context.Context, c serverconfig.Config, client *http.Client, stdin io.Reader, log io.Writer) (*Result, error) {
	token, err := readToken(stdin)
	if err != nil {
		return nil, err
	}
	own, err := completeFrom(&c, token)
	if err != nil {
		return nil, err
	}
	if own.audience == "" {
		own.appIDURIs = c.AppIDURIs
	}
	newVerifier := func() (*entraauth.Verifier, error) {
		return entraauth.NewVerifier(c.TenantID, c.APIAppID, &entraauth.Options{
			HTTPClient: client, AuthorityHost: c.AuthorityHost, AppIDURIs: own.appIDURIs, Policy: c.Policy(),
			Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
	}
	verifier, err := newVerifier()
	if err != nil && own.audience != "" { // no API can have this audience; check all other rules
		if own.appIDURIs == nil {
			c.APIAppID = unknownApp
		}
		own.appIDURIs = nil
		why := strings.NewReplacer("entraauth: ", "", "AppIDURIs: ", "", "client ID: ", "").Replace(printable(err.Error()))
		own.notice += "No API can have the audience " + own.audience + ":\n" + why + "\n\n"
		verifier, err = newVerifier()
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	report := verifier.Explain(ctx, token)
	if c.PublicURL != "" {
		nameScope(report, verifier, c.ResourceURL(""))
	}
	_ = verifier.Close() // flush its log before the report
	return &Result{own.notice, report}, nil
}

// readToken reads one token and removes what was copied with it: quotation marks, the word Bearer,
// the header's name.
func readToken(stdin io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(stdin, maxInput))
	if err != nil {
		return "", fmt.Errorf("the token can't be read: %w", err)
	}
	bare := func(s string) string { return strings.Trim(s, " \t\r\n\"'`") }
	token := bare(string(data))
	if header, rest, ok := strings.Cut(token, ":"); ok && strings.EqualFold(bare(header), "Authorization") {
		token = bare(rest)
	}
	if scheme, rest, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = bare(rest)
	}
	if token == "" {
		return "", errors.New("no token on standard input; pass one, as in < token.txt")
	}
	return token, nil
}

// A selfJudged is what came from the token because the configuration lacks it. It is zero if
// nothing was missing.
type selfJudged struct {
	notice    string // says what came from the token
	audience  string // the token's audience, to show; empty if API_APP_ID is configured
	appIDURIs []string
}

// unknownApp replaces an unknown application's ID; no app has it.
const unknownApp = "ffffffff-ffff-ffff-ffff-ffffffffffff"

// completeFrom takes IDs that are not configured from the token. Nobody has verified the token, so
// keys come only from the configured authority, whatever host the token names, and the report does
// not speak for the server that the token is meant for.
func completeFrom(c *serverconfig.Config, token string) (selfJudged, error) {
	var own selfJudged
	if c.TenantID != "" && c.APIAppID != "" {
		return own, nil
	}
	claims, err := DecodeClaims(token)
	if err != nil {
		return own, errors.New("TENANT_ID or API_APP_ID is not set, and the token can't be read to take it from there. Set both, or pass the token as the client sends it")
	}
	var parts []string
	if c.TenantID == "" {
		c.TenantID, _ = claims["tid"].(string)
		if err := serverconfig.CheckTenantID(c.TenantID); err != nil {
			return own, errors.New("TENANT_ID is not set, and the token's claim tid is not a tenant ID. Set TENANT_ID")
		}
		parts = append(parts, "tenant ("+c.TenantID+")")
	}
	if c.APIAppID == "" {
		audience, isText := claims["aud"].(string)
		switch {
		case claims["aud"] == nil || isText && audience == "":
			return own, errors.New("API_APP_ID is not set, and the token has no audience. Set API_APP_ID")
		case !isText: // such as a list, which Entra never sends
			own.audience = printable(serverconfig.Shorten(fmt.Sprint(claims["aud"])))
		default:
			own.audience = printable(serverconfig.Shorten(audience))
		}
		uri := strings.TrimSuffix(audience, "/")
		c.APIAppID, _, _ = strings.Cut(strings.TrimPrefix(strings.ToLower(uri), "api://"), "/")
		if serverconfig.CheckClientID(c.APIAppID) != nil {
			c.APIAppID = unknownApp
		}
		if strings.Contains(uri, "://") {
			own.appIDURIs = []string{uri}
		}
		parts = append(parts, "audience ("+own.audience+")")
	}
	host := c.AuthorityHost
	if host == "" {
		host = "https://login.microsoftonline.com"
	}
	own.notice = "TENANT_ID or API_APP_ID is not set, so the token is checked against its own " + strings.Join(parts, " and ") +
		",\nwith the keys of " + host + ". The result does not apply to the server that the token is sent to.\n\n"
	return own, nil
}

// nameScope makes remedies name the scope as the server publishes it. The rules don't know the
// server's URL.
func nameScope(report *entraauth.Report, v *entraauth.Verifier, resourceURL string) {
	rules, published := v.ScopesFor(""), v.ScopesFor(resourceURL)
	for i := range report.Checks {
		check := &report.Checks[i]
		check.Remedy = strings.ReplaceAll(check.Remedy, rules[0], published[0])
	}
}

// Print prints the result as a table, and what to do about each rule that failed.
func (r *Result) Print(w io.Writer) {
	_, _ = fmt.Fprint(w, r.Notice)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "RULE\tRESULT\tACTUAL\tEXPECTED")
	for _, c := range r.Checks {
		result := string(c.Result)
		if c.Result == entraauth.ResultFailed {
			result = "FAILED"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Rule, result, printable(c.Actual), printable(c.Expected))
	}
	_ = table.Flush()
	if r.Valid && r.Notice != "" {
		_, _ = fmt.Fprintln(w, "\nThe token is valid for its own tenant and audience. Set TENANT_ID and API_APP_ID to see whether your server accepts it.")
		return
	}
	if r.Valid {
		_, _ = fmt.Fprintln(w, "\nThe token is accepted.")
		return
	}
	_, _ = fmt.Fprintln(w, "\nThe token is rejected:")
	onItsOwn := false
	for _, c := range r.Checks {
		if c.Result == entraauth.ResultFailed {
			_, _ = fmt.Fprintf(w, "  %s: %s (docs/troubleshooting.md#%s)\n", c.Reason, c.Remedy, c.Reason)
			onItsOwn = onItsOwn || c.Rule == "kind of caller"
		}
	}
	if onItsOwn {
		_, _ = fmt.Fprintln(w, "\n"+otherPolicies)
	}
}

// otherPolicies is for a caller that is refused as the example server refuses it: a policy in code
// is not known here.
const otherPolicies = "This is the example server's policy, which lets in no application and no agent on its own.\n" +
	"Whether a server whose policy has AppRoles and Agents accepts the token, its own log says."

// printable removes control characters from a token's value, which could affect the terminal.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// DecodeClaims returns a token's claims for display only. It does not check the token; the
// resource does.
func DecodeClaims(token string) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("the token is not a signed JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("the token's payload is not base64url")
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil || claims == nil {
		return nil, errors.New("the token's payload is not a JSON object")
	}
	return claims, nil
}
