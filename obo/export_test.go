package obo

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

// What the fuzz targets and the test of the last gate need to see.

// Send sends a request as MSAL's goes, whoever has built it.
func Send(x *Exchanger, req *http.Request) error {
	_, err := x.sender.wire.Send(req)
	return err
}

func Inspect(x *Exchanger, token string) (expires time.Time, user string, err error) {
	c, err := x.inspect(token)
	return c.expires, c.user, err
}

func ResourceOf(scopes, resources []string) (string, error) {
	r, err := resourceOf(scopes, resources)
	if err != nil {
		return "", err
	}
	return r, nil
}

// Answer reads an answer of the token endpoint as an exchange does.
func Answer(x *Exchanger, status int, body []byte) *Error {
	_, err := entrawire.Parse(status, http.Header{}, body, time.Unix(0, 0))
	if err == nil {
		return nil
	}
	return x.explain(x.home, err, storageResource, storageResource+"/.default")
}

// Codes are the codes that this package knows.
func Codes() []int { return slices.Sorted(maps.Keys(verdicts)) }

// CodeTable is the table of the codes in docs/obo.md.
func CodeTable() string {
	var b strings.Builder
	b.WriteString("| AADSTS | kind | what happened | what to do |\n|---|---|---|---|\n")
	for _, kind := range []error{ErrConsentRequired, ErrInteractionRequired, ErrAssertionExpired, ErrAssertionInvalid, ErrBlocked, ErrMisconfigured, ErrThrottled, ErrUnavailable} {
		for _, code := range slices.Sorted(maps.Keys(verdicts)) {
			if v := verdicts[code]; errors.Is(v.kind, kind) {
				remedy := v.remedy
				if errors.Is(kind, ErrConsentRequired) {
					remedy = "open `ConsentURL`, or an administrator `AdminConsentURL`"
					if code == noConsentPage {
						remedy = "an administrator grants the permissions ([agents](#acting-as-an-agent-identity))"
					}
				}
				if clientcred.Outdated(code) {
					remedy += " (a new proof has been tried, except with a secret)"
				}
				fmt.Fprintf(&b, "| %d | `%s` | %s | %s |\n", code, kindNames[kind], v.problem, remedy)
			}
		}
	}
	return b.String()
}

var kindNames = map[error]string{
	ErrConsentRequired: "ErrConsentRequired", ErrInteractionRequired: "ErrInteractionRequired", ErrAssertionExpired: "ErrAssertionExpired",
	ErrAssertionInvalid: "ErrAssertionInvalid", ErrBlocked: "ErrBlocked", ErrMisconfigured: "ErrMisconfigured",
	ErrThrottled: "ErrThrottled", ErrUnavailable: "ErrUnavailable",
}

// Remembered is of how many users an exchanger knows something.
func Remembered(x *Exchanger) int {
	x.refusals.mu.Lock()
	defer x.refusals.mu.Unlock()
	return len(x.refusals.histories)
}
