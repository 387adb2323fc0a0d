package entraauth

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// errNotFound is a document that the authority says it does not have.
var errNotFound = errors.New("status 404")

// A tenantError says that the authority has no such tenant. Retries fail until the
// operator corrects the tenant's id or the tenant appears.
type tenantError struct{ code string }

func (e *tenantError) Error() string { return "the authority has no such tenant (" + e.code + ")" }

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

// unavailable is the refusal of a token that was not judged because keys are missing.
func unavailable(after time.Duration, cause error) *Error {
	return &Error{Kind: ErrKeysUnavailable, Rule: "keys", Reason: keysUnavailable,
		Remedy: "Try again shortly; the token was not judged", RetryAfter: max(after, firstBackoff), cause: cause}
}

// unavailable says the same of this tenant's keys, or that there is no such tenant.
func (s *keySource) unavailable(cause error) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	after := s.nextTry.Sub(s.now())
	if s.missing == nil {
		return unavailable(after, cause)
	}
	return &Error{Kind: ErrKeysUnavailable, Rule: "keys", Reason: tenantNotFound,
		Expected:   fmt.Sprintf("tenant %s at %s, which answers %s", s.tenantID, s.host, s.missing.code),
		Remedy:     "This server's operator must correct the tenant id, or the authority host of another cloud; the token was not judged",
		RetryAfter: max(after, firstBackoff), cause: s.missing}
}
