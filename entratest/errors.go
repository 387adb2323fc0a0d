package entratest

import (
	"fmt"
	"net/http"
	"strings"
)

// A rejection is an error of the token endpoint in Entra's format.
type rejection struct {
	code     int    // AADSTS code
	kind     string // error (RFC 6749 section 5.2, and Entra's own)
	status   int
	suberror string
	message  string
	claims   string
	subcode  string // error_subcode of a response at the authorize endpoint
}

// redirectKind returns the error's name at the authorize endpoint.
func (r *rejection) redirectKind() string {
	switch r.code {
	case 50058, 16000:
		return "login_required"
	case 65001:
		return "consent_required"
	case 700054:
		return "unsupported_response_type"
	}
	return r.kind
}

// Error returns the error_description without IDs.
func (r *rejection) Error() string { return fmt.Sprintf("AADSTS%d: %s", r.code, r.message) }

// reject returns the rejection for the code, with its other members.
func reject(code int, message string) *rejection {
	r := rejectionOf(code)
	r.code, r.message = code, message
	return &r
}

// missing returns the rejection for a missing parameter.
func missing(parameter string) *rejection {
	return reject(900144, fmt.Sprintf("The request body must contain the following parameter: '%s'.", parameter))
}

// rejectionOf returns the error, status and suberror that Entra sends with an AADSTS code.
func rejectionOf(code int) rejection {
	switch code {
	case 7000215, 7000218, 7000222, 700021, 700023, 700024, 700025, 700027, 5002741, 70025, 700211, 700212, 700213, 7002138, 50012, 7000112:
		return rejection{kind: "invalid_client", status: http.StatusUnauthorized}
	case 700016, 700038, 7000114, 82001, 82002, 82014, 82018:
		return rejection{kind: "unauthorized_client", status: http.StatusBadRequest}
	case 82008, 900144, 9000411, 9002313, 50027, 240002, 900561, 90009, 28000, 28003, 901002, 90015, 90023, 9002325, 9002326, 9002327,
		50011, 500113, 501491, 50059, 90002:
		return rejection{kind: "invalid_request", status: http.StatusBadRequest}
	case 70003:
		return rejection{kind: "unsupported_grant_type", status: http.StatusBadRequest}
	case 70011, 1002012, 700022:
		return rejection{kind: "invalid_scope", status: http.StatusBadRequest}
	case 500011:
		return rejection{kind: "invalid_resource", status: http.StatusBadRequest}
	case 650053, 650057, 65002:
		return rejection{kind: "invalid_client", status: http.StatusBadRequest}
	case 9010010:
		return rejection{kind: "invalid_target", status: http.StatusBadRequest}
	case 50049:
		return rejection{kind: "invalid_instance", status: http.StatusBadRequest}
	case 70016:
		return rejection{kind: "authorization_pending", status: http.StatusBadRequest}
	case 70018:
		return rejection{kind: "authorization_declined", status: http.StatusBadRequest}
	case 70019:
		return rejection{kind: "bad_verification_code", status: http.StatusBadRequest}
	case 70020:
		return rejection{kind: "expired_token", status: http.StatusBadRequest}
	case 65001, 65004, 90094, 90095:
		return rejection{kind: "invalid_grant", status: http.StatusBadRequest, suberror: "consent_required"}
	case 50072, 50074, 50076, 50078, 50079, 50158:
		return rejection{kind: "interaction_required", status: http.StatusBadRequest, suberror: "basic_action"}
	case 53000, 53001, 53002, 53003, 530032:
		return rejection{kind: "interaction_required", status: http.StatusBadRequest, suberror: "message_only"}
	case 50173, 70043, 700082:
		return rejection{kind: "invalid_grant", status: http.StatusBadRequest, suberror: "bad_token"}
	case 50033, 90006, 90024, 90033:
		return rejection{kind: "temporarily_unavailable", status: http.StatusServiceUnavailable}
	case 90055:
		return rejection{kind: "temporarily_unavailable", status: http.StatusTooManyRequests}
	default: // among them 50013, 50057, 500131, 500133 and 50196
		return rejection{kind: "invalid_grant", status: http.StatusBadRequest}
	}
}

// hasPage reports whether Entra's error with the code links to a page about it (error_uri). In
// recordings, all codes but these have the link.
func hasPage(code int) bool { return code != 70003 && code != 700038 }

// An errorBody has the members of Entra's error responses, in the same order.
type errorBody struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri,omitempty"`
	Suberror      string `json:"suberror,omitempty"`
	Claims        string `json:"claims,omitempty"` // a JSON object as text
}

// clip limits how much of a request an answer repeats.
func clip(s string) string {
	const limit = 200
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
