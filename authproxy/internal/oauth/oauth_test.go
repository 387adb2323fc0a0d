package oauth_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

func read(t testing.TB, query, kind, body string) (url.Values, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/token", strings.NewReader(body))
	r.URL.RawQuery = query
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	form, err := oauth.ReadForm(httptest.NewRecorder(), r, "a", "b", "code", "resource")
	if r.URL.RawQuery != query {
		t.Errorf("the query is %q afterwards, want %q", r.URL.RawQuery, query)
	}
	return form, err
}

const formType = "application/x-www-form-urlencoded"

func TestReadForm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query, kind, body string
		want              url.Values
		status            int
	}{
		"plain":               {"", formType, "a=1&b=%20", url.Values{"a": {"1"}, "b": {" "}}, 0},
		"charset":             {"", formType + ";charset=UTF-8", "a=1", url.Values{"a": {"1"}}, 0},
		"query is ignored":    {"a=2&c=3", formType, "a=1", url.Values{"a": {"1"}}, 0},
		"empty is omitted":    {"", formType, "a=&b=1&a=", url.Values{"b": {"1"}}, 0},
		"once besides empty":  {"", formType, "a=&a=1", url.Values{"a": {"1"}}, 0},
		"resource may repeat": {"", formType, "resource=x&resource=y", url.Values{"resource": {"x", "y"}}, 0},
		"unknown is ignored":  {"", formType, "a=1&x=1&x=2&A=3", url.Values{"a": {"1"}}, 0},
		"nothing":             {"", formType, "", url.Values{}, 0},
		"twice":               {"", formType, "a=1&a=1", nil, 400},
		"JSON":                {"", "application/json", "{}", nil, 400},
		"no type":             {"", "", "a=1", nil, 400},
		"bad type":            {"", "application/x-www-form-urlencoded; x", "a=1", nil, 400},
		"multipart":           {"", "multipart/form-data; boundary=x", "--x--", nil, 400},
		"bad escape":          {"", formType, "a=%zz", nil, 400},
		"semicolon":           {"", formType, "a=1;b=2", nil, 400},
		"too large":           {"", formType, "a=" + strings.Repeat("x", oauth.MaxForm), nil, 413},
	} {
		got, err := read(t, c.query, c.kind, c.body)
		if c.status == 0 {
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: ReadForm = %v, %v; want %v", name, got, err, c.want)
			}
			continue
		}
		w := httptest.NewRecorder()
		oauth.Write(w, err)
		if e, ok := errors.AsType[*oauth.Error](err); !ok || e.Code != oauth.InvalidRequest || w.Code != c.status {
			t.Errorf("%s: ReadForm = %v, status %d; want invalid_request, %d", name, err, w.Code, c.status)
		}
	}
	if _, err := read(t, "", formType, "code=1&code=2"); err == nil || !strings.Contains(err.Error(), "code occurs twice") {
		t.Errorf("error %v, want the parameter's name", err)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		body   string
		header http.Header
	}{
		"plain": {oauth.Errorf(oauth.InvalidGrant, "expired"), 400, `{"error":"invalid_grant","error_description":"expired"}`, nil},
		"basic": {&oauth.Error{Code: oauth.InvalidClient, Status: 401, Basic: true}, 401, `{"error":"invalid_client"}`,
			http.Header{"Www-Authenticate": {`Basic realm="token"`}}},
		"no basic": {&oauth.Error{Code: oauth.InvalidClient, Status: 401}, 401, `{"error":"invalid_client"}`, nil},
		"later": {&oauth.Error{Code: oauth.TemporarilyUnavailable, Status: 503, RetryAfter: 1500 * time.Millisecond, Cause: errors.New("secret")}, 503,
			`{"error":"temporarily_unavailable"}`, http.Header{"Retry-After": {"2"}}},
		"another error": {errors.New("secret"), 500, `{"error":"server_error","error_description":"internal error"}`, nil},
	} {
		w := httptest.NewRecorder()
		oauth.Write(w, c.err)
		want := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}
		maps.Copy(want, c.header)
		if w.Code != c.status || strings.TrimSpace(w.Body.String()) != c.body || !reflect.DeepEqual(w.Header(), want) {
			t.Errorf("%s: %d %s %v, want %d %s %v", name, w.Code, w.Body, w.Header(), c.status, c.body, want)
		}
	}
}

// FuzzReadForm: no parameter is empty or, but for resource, there twice; errors are OAuth's.
func FuzzReadForm(f *testing.F) {
	f.Add("a=1&a=2", formType)
	f.Add("resource=a&resource=b&c=", formType+"; charset=utf-8")
	f.Add("%", "application/json")
	f.Fuzz(func(t *testing.T, body, kind string) {
		form, err := read(t, "code=1", kind, body)
		if err != nil {
			if _, ok := errors.AsType[*oauth.Error](err); !ok {
				t.Errorf("error %v of another type", err)
			}
			return
		}
		for name, values := range form {
			if len(values) == 0 || len(values) > 1 && name != "resource" || strings.Contains("\n"+strings.Join(values, "\n\n")+"\n", "\n\n\n") && values[0] == "" {
				t.Errorf("%q is %q, want one value that is not empty", name, values)
			}
		}
	})
}
