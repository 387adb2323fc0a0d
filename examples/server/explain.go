package main

import (
	"context"
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
	// maxInput is more than the longest token that is judged.
	maxInput = 128 << 10
	// explainTimeout bounds the fetch of the tenant's keys.
	explainTimeout = 15 * time.Second
)

// runExplain judges the token on stdin by every rule, and prints a table for the
// operator who asks "why 401?". The exit code says whether it would be accepted.
func runExplain(ctx context.Context, c config, authority *http.Client, stdin io.Reader, stdout, stderr io.Writer) int {
	token, err := readToken(stdin)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailed
	}
	verifier, err := entraauth.NewVerifier(c.tenantID, c.apiAppID, &entraauth.Options{
		HTTPClient: authority, AuthorityHost: c.authorityHost,
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailed
	}
	defer func() { _ = verifier.Close() }()
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	report := verifier.Explain(ctx, token)
	printReport(stdout, report)
	if !report.Valid {
		return exitFailed
	}
	return exitOK
}

// readToken reads one token, with or without the word Bearer before it.
func readToken(stdin io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(stdin, maxInput))
	if err != nil {
		return "", fmt.Errorf("the token can't be read: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if scheme, rest, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(rest)
	}
	if token == "" {
		return "", fmt.Errorf("no token on standard input. Give one: server -explain < token.txt")
	}
	return token, nil
}

func printReport(w io.Writer, r *entraauth.Report) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "RULE\tRESULT\tACTUAL\tEXPECTED")
	for _, c := range r.Checks {
		result := string(c.Result)
		if c.Result == entraauth.Failed {
			result = "FAILED"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Rule, result, printable(c.Actual), printable(c.Expected))
	}
	_ = table.Flush()
	if r.Valid {
		_, _ = fmt.Fprintln(w, "\nThe token is accepted.")
		return
	}
	_, _ = fmt.Fprintln(w, "\nThe token is refused:")
	for _, c := range r.Checks {
		if c.Result == entraauth.Failed {
			_, _ = fmt.Fprintf(w, "  %s: %s (docs/troubleshooting.md#%s)\n", c.Reason, c.Remedy, c.Reason)
		}
	}
}

// printable keeps a token's value from playing with the terminal.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}
