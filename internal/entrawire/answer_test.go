package entrawire_test

import (
	"errors"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"5":                             5 * time.Second,
		" 5 ":                           5 * time.Second,
		"-1":                            0,
		"soon":                          0,
		"99999999999999999999":          0,
		"1000000":                       time.Hour,
		"Thu, 01 Jan 2026 00:00:09 GMT": 9 * time.Second,
		"Wed, 31 Dec 2025 00:00:00 GMT": 0,
		"Fri, 01 Jan 2027 00:00:00 GMT": time.Hour,
	} {
		_, err := entrawire.Parse(http.StatusTooManyRequests, http.Header{"Retry-After": {value}}, nil, now)
		if r, ok := errors.AsType[*entrawire.RefusalError](err); !ok || r.RetryAfter != want {
			t.Errorf("Retry-After %q: %+v, want a refusal with %v", value, err, want)
		}
	}
}

func TestCode(t *testing.T) {
	t.Parallel()
	known := func(code int) bool { return code == 65001 || code == 50076 }
	for body, want := range map[string]int{
		`{"error":"invalid_grant"}`:                                                               0,
		`{"error":"invalid_grant","error_codes":[1,2]}`:                                           1,
		`{"error":"invalid_grant","error_codes":[1,65001,50076]}`:                                 65001,
		`{"error":"invalid_grant","error_codes":[1],"error_description":"AADSTS65001: x"}`:        65001,
		`{"error":"invalid_grant","error_codes":["AADSTS65001"]}`:                                 65001,
		`{"error":"invalid_grant","error_codes":[1],"error_description":"text with AADSTS65001"}`: 1,
		`{"error":"invalid_grant","error_codes":[1],"Error_Codes":[65001]}`:                       1,
		`not JSON`: 0,
	} {
		_, err := entrawire.Parse(http.StatusBadRequest, http.Header{}, []byte(body), time.Time{})
		if r, ok := errors.AsType[*entrawire.RefusalError](err); !ok || r.Code(known) != want {
			t.Errorf("%s: %+v, want a refusal with code %d", body, err, want)
		}
	}
}

var (
	word = regexp.MustCompile(`^[a-z0-9_]{0,64}$`)
	guid = regexp.MustCompile(`^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?$`)
)

// FuzzParse: an answer is a token, a refusal whose members look as they should, or an
// error that holds nothing of it.
func FuzzParse(f *testing.F) {
	f.Add(400, "5", []byte(`{"error":"invalid_grant","error_codes":[65001],"suberror":"consent_required","claims":"{}","trace_id":"x"}`))
	f.Add(200, "", []byte(`{"token_type":"Bearer","access_token":"x","expires_in":"3600"}`))
	f.Add(200, "", []byte(`{"error":{"code":"x"},"error_codes":[65001]}`))
	f.Add(503, "Thu, 01 Jan 1970 00:00:09 GMT", []byte(`<html>`))
	f.Add(400, "-1", []byte(`{"error":"<b>","error_codes":[-1]}`))
	f.Add(200, "", []byte("\xef\xbb\xbfnull"))
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		s, err := entrawire.Parse(status, http.Header{"Retry-After": {retryAfter}}, body, time.Unix(0, 0))
		r, refused := errors.AsType[*entrawire.RefusalError](err)
		_, unusable := errors.AsType[*entrawire.AnswerError](err)
		switch {
		case refused:
			if !word.MatchString(r.OAuthError) || !word.MatchString(r.Suberror) || !guid.MatchString(r.CorrelationID) || !guid.MatchString(r.TraceID) ||
				len(r.Claims) > entrawire.MaxClaims || r.RetryAfter < 0 || r.RetryAfter > time.Hour || r.Code(func(int) bool { return false }) < 0 {
				t.Errorf("refusal %+v, want words, ids and bounds kept", r)
			}
		case unusable:
			if status != http.StatusOK {
				t.Errorf("status %d: error %v, want a refusal", status, err)
			}
		case status != http.StatusOK || s == nil || s.AccessToken == "" || s.Lifetime <= 0 || s.RefreshIn < 0:
			t.Errorf("status %d: %+v, %v; want a token that lives", status, s, err)
		}
	})
}
