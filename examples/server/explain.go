package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

const (
	// maxInput exceeds the longest token that is checked.
	maxInput = 128 << 10
	// explainTimeout limits fetching the tenant's keys.
	explainTimeout = 15 * time.Second
)

// runExplain checks the token on stdin against every rule and prints a table, for the operator who
// asks "why 401?". The exit code says whether the server would accept the token.
func runExplain(ctx context.Context, c config, authority *http.Client, stdin io.Reader, stdout, stderr io.Writer) int {
	token, err := readToken(stdin)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailed
	}
	own, err := completeFrom(&c, token)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailed
	}
	newVerifier := func() (*entraauth.Verifier, error) {
		return entraauth.NewVerifier(c.tenantID, c.apiAppID, &entraauth.Options{
			HTTPClient: authority, AuthorityHost: c.authorityHost, AppIDURIs: own.appIDURIs,
			Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
	}
	verifier, err := newVerifier()
	if err != nil && own.audience != "" { // no API can have this audience; check all other rules
		if own.appIDURIs == nil {
			c.apiAppID = unknownApp
		}
		own.appIDURIs = nil
		why := strings.NewReplacer("entraauth: ", "", "AppIDURIs: ", "", "client id: ", "").Replace(printable(err.Error()))
		own.notice += "No API can have the audience " + own.audience + ":\n" + why + "\n\n"
		verifier, err = newVerifier()
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailed
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	report := verifier.Explain(ctx, token)
	_ = verifier.Close() // flush its log before the report
	_, _ = fmt.Fprint(stdout, own.notice)
	printReport(stdout, report, own)
	if !report.Valid {
		return exitFailed
	}
	return exitOK
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
		return "", fmt.Errorf("no token on standard input. Give one: server -explain < token.txt")
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
func completeFrom(c *config, token string) (selfJudged, error) {
	var own selfJudged
	if c.tenantID != "" && c.apiAppID != "" {
		return own, nil
	}
	claims, err := decodeClaims(token)
	if err != nil {
		return own, errors.New("TENANT_ID or API_APP_ID is not set, and the token can't be read to take it from there. Set both, or pass the token as the client sends it")
	}
	var parts []string
	if c.tenantID == "" {
		c.tenantID, _ = claims["tid"].(string)
		if err := checkTenantID(c.tenantID); err != nil {
			return own, errors.New("TENANT_ID is not set, and the token's claim tid is not a tenant id. Set TENANT_ID")
		}
		parts = append(parts, "tenant ("+c.tenantID+")")
	}
	if c.apiAppID == "" {
		audience, isText := claims["aud"].(string)
		switch {
		case claims["aud"] == nil || isText && audience == "":
			return own, errors.New("API_APP_ID is not set, and the token has no audience. Set API_APP_ID")
		case !isText: // such as a list, which Entra never sends
			own.audience = printable(shorten(fmt.Sprint(claims["aud"])))
		default:
			own.audience = printable(shorten(audience))
		}
		uri := strings.TrimSuffix(audience, "/")
		c.apiAppID, _, _ = strings.Cut(strings.TrimPrefix(strings.ToLower(uri), "api://"), "/")
		if checkClientID(c.apiAppID) != nil {
			c.apiAppID = unknownApp
		}
		if strings.Contains(uri, "://") {
			own.appIDURIs = []string{uri}
		}
		parts = append(parts, "audience ("+own.audience+")")
	}
	host := c.authorityHost
	if host == "" {
		host = "https://login.microsoftonline.com"
	}
	own.notice = "TENANT_ID or API_APP_ID is not set, so the token is checked against its own " + strings.Join(parts, " and ") +
		",\nwith the keys of " + host + ". The result does not apply to the server that the token is sent to.\n\n"
	return own, nil
}

func printReport(w io.Writer, r *entraauth.Report, own selfJudged) {
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
	if r.Valid && own.notice != "" {
		_, _ = fmt.Fprintln(w, "\nThe token is valid for its own tenant and audience. Set TENANT_ID and API_APP_ID to see whether your server accepts it.")
		return
	}
	if r.Valid {
		_, _ = fmt.Fprintln(w, "\nThe token is accepted.")
		return
	}
	_, _ = fmt.Fprintln(w, "\nThe token is rejected:")
	for _, c := range r.Checks {
		if c.Result == entraauth.ResultFailed {
			_, _ = fmt.Fprintf(w, "  %s: %s (docs/troubleshooting.md#%s)\n", c.Reason, c.Remedy, c.Reason)
		}
	}
}

// printable removes control characters from a token's value, which could affect the terminal.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
