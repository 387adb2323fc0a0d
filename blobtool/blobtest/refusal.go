package blobtest

import "net/http"

// A refusal is one of Azure's errors, found while the server is locked and sent afterwards.
type refusal struct {
	status  int
	code    string
	message string
}

// refuse sends a refusal.
func (x *exchange) refuse(r *refusal) {
	if r.status == http.StatusNotModified { // it has no body
		x.w.Header().Set("x-ms-error-code", r.code)
		x.w.WriteHeader(r.status)
		return
	}
	x.fail(r.status, r.code, r.message, "")
}

// Refusals of more than one operation. A code beside which it says "unknown" is a guess.
var (
	blobNotFound      = &refusal{http.StatusNotFound, "BlobNotFound", "The specified blob does not exist."}
	containerNotFound = &refusal{http.StatusNotFound, "ContainerNotFound", "The specified container does not exist."}
	blobExists        = &refusal{http.StatusConflict, "BlobAlreadyExists", "The specified blob already exists."}
	blobArchived      = &refusal{http.StatusConflict, "BlobArchived", "This operation is not permitted on an archived blob."}
	conditionNotMet   = &refusal{http.StatusPreconditionFailed, "ConditionNotMet",
		"The condition specified using HTTP conditional header(s) is not met."}
	invalidBlobType = &refusal{http.StatusConflict, "InvalidBlobType", "The blob type is invalid for this operation."}
	invalidXML      = &refusal{http.StatusBadRequest, "InvalidXmlDocument", "XML specified is not syntactically valid."}
	tooLarge        = &refusal{http.StatusRequestEntityTooLarge, "RequestBodyTooLarge",
		"The request body is too large and exceeds the maximum permissible limit."}

	// What Azure answers to a file in the place of a directory, or the reverse, is unknown.
	pathConflict = &refusal{http.StatusConflict, "ResourceTypeMismatch", "The specified resource type does not match the type of the existing resource."}
)

func missingHeader(name string) *refusal {
	return &refusal{http.StatusBadRequest, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified: " + name + "."}
}

func invalidValue(header string) *refusal {
	return &refusal{http.StatusBadRequest, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format: " + header + "."}
}
