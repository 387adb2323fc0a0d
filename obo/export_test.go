package obo

import (
	"net/http"
	"time"
)

// What the fuzz targets and the test of the last gate need to see.

func CheckGrant(req *http.Request) error { return checkGrant(req) }

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
	if status == http.StatusOK && !isRefusal(body) {
		if _, err := parseSuccess(body); err != nil {
			return explainTransport(&answerError{err, false}, storageResource)
		}
		return nil
	}
	return x.explain(x.home, parseRefusal(status, http.Header{}, body, time.Unix(0, 0)), storageResource, storageResource+"/.default")
}
