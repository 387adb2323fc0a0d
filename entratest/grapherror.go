package entratest

import (
	"fmt"
	"net/http"
)

// A graphFault is an error of Microsoft Graph.
type graphFault struct {
	status  int
	code    string
	message string
	detail  graphDetail // none without a code
}

// A graphDetail is an element of an error's details.
type graphDetail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target"`
}

// badRequest is the fault of a request that breaks a rule.
func badRequest(format string, args ...any) *graphFault {
	return &graphFault{status: http.StatusBadRequest, code: "Request_BadRequest", message: fmt.Sprintf(format, args...)}
}

// refused is badRequest with a code of its own.
func refused(code, format string, args ...any) *graphFault {
	f := badRequest(format, args...)
	f.code = code
	return f
}

// with adds a detail.
func (f *graphFault) with(code, target string) *graphFault {
	f.detail = graphDetail{code, f.message, target}
	return f
}

func notFound(what string) *graphFault {
	return &graphFault{status: http.StatusNotFound, code: "Request_ResourceNotFound", message: fmt.Sprintf(
		"Resource '%s' does not exist or one of its queried reference-property objects are not present.", clip(what))}
}

func denied(message string) *graphFault {
	return &graphFault{status: http.StatusForbidden, code: "Authorization_RequestDenied", message: message}
}

func conflict(code, message string) *graphFault {
	return &graphFault{status: http.StatusConflict, code: code, message: message}
}

// sameKey is the fault of creating what exists.
func sameKey(message string) *graphFault {
	return conflict("Request_MultipleObjectsWithSameKeyValue", message)
}

// invalid is the fault of a member's value.
func invalid(target, format string, args ...any) *graphFault {
	return badRequest("Invalid value specified for property '"+target+"' of resource 'Application': "+format+".", args...).
		with("InvalidValue", target)
}

// taken is the fault of a value that another object has.
func taken(target string) *graphFault {
	return badRequest("Another object with the same value for property %s already exists.", target).with("ObjectConflict", target)
}

// A graphErrorBody has the format of Microsoft Graph's errors.
type graphErrorBody struct {
	Error struct {
		Code       string          `json:"code"`
		Message    string          `json:"message"`
		Details    []graphDetail   `json:"details,omitempty"`
		InnerError graphInnerError `json:"innerError"`
	} `json:"error"`
}

type graphInnerError struct {
	Date            string `json:"date"`
	RequestID       string `json:"request-id"`
	ClientRequestID string `json:"client-request-id"`
}

func (e *exchange) failGraph(f *graphFault) {
	e.recordRefusal(0, f.code+": "+f.message)
	var body graphErrorBody
	body.Error.Code, body.Error.Message = f.code, f.message
	if f.detail.Code != "" {
		body.Error.Details = []graphDetail{f.detail}
	}
	body.Error.InnerError = graphInnerError{e.tenant.now().UTC().Format("2006-01-02T15:04:05"), e.traceID, e.correlationID}
	if f.status == http.StatusUnauthorized {
		e.response.Header().Set("WWW-Authenticate", `Bearer realm="", error="invalid_token"`)
	}
	e.tenant.options.Logger.Info("refused", "path", e.request.URL.Path, "status", f.status, "code", f.code)
	e.answer(f.status, body)
}
