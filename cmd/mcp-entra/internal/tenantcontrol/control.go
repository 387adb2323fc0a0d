package tenantcontrol

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A call serves one request of the control endpoint. Its error is the caller's.
type call func(r *http.Request) (answer any, err error)

// controlled serves a call to those who have the key.
func (s *server) controlled(c call, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !s.isKey(key) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			answer(w, http.StatusUnauthorized, map[string]string{"error": "send the control key: Authorization: Bearer KEY"})
			return
		}
		body, err := c(r)
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		logger.Info("control", "method", r.Method, "path", r.URL.Path)
		answer(w, http.StatusOK, body)
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(body) // an error means that the client has disconnected
}

// read reads a request's JSON object. JSON is YAML, so the reader of files gives the same errors.
func read(r *http.Request, v any) error {
	data, err := io.ReadAll(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return errors.New("the body is too large")
	}
	if err != nil {
		return errors.New("the body did not come whole")
	}
	c, err := yamlfile.Decode(data, v)
	if err != nil {
		return err
	}
	return c.Err()
}

// tenants describes what runs now: apps may have been registered through Microsoft Graph.
func (s *server) tenants(*http.Request) (any, error) {
	info := s.info
	info.Tenants = Describe(s.world).Tenants
	return info, nil
}

type clockAnswer struct {
	Now time.Time `json:"now"`
}

func (s *server) clock(*http.Request) (any, error) {
	return clockAnswer{s.world.Clock.Now().UTC()}, nil
}

func (s *server) setClock(r *http.Request) (any, error) {
	var q struct {
		Set     time.Time     `yaml:"set"`
		Advance time.Duration `yaml:"advance"`
	}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	if q.Set.IsZero() == (q.Advance == 0) {
		return nil, errors.New(`expected {"set": "2026-01-31T12:00:00Z"} or {"advance": "90m"}: one of them`)
	}
	move := func() error { return s.world.Clock.Set(q.Set) }
	if q.Advance != 0 {
		move = func() error { return s.world.Clock.Advance(q.Advance) }
	}
	if err := move(); err != nil {
		return nil, err
	}
	return s.clock(r)
}

// setFaults replaces the faults of one endpoint, or clears those of all.
func (s *server) setFaults(r *http.Request) (any, error) {
	var q struct {
		Tenant   string                 `yaml:"tenant"`
		Endpoint string                 `yaml:"endpoint"`
		Faults   []tenantfile.FaultSpec `yaml:"faults"`
		Clear    bool                   `yaml:"clear"`
	}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	t, err := s.world.Tenant(q.Tenant)
	if err != nil {
		return nil, err
	}
	if q.Clear != (len(q.Faults) == 0) {
		return nil, errors.New(`expected {"endpoint": "token", "faults": [{...}]}, {"endpoint": "token", "clear": true}, or {"clear": true} for all endpoints`)
	}
	if q.Clear && q.Endpoint == "" {
		for _, endpoint := range tenantfile.Endpoints() {
			t.Fail(endpoint)
		}
		return done{}, nil
	}
	endpoint, ok := tenantfile.Endpoint(q.Endpoint)
	if !ok {
		return nil, fmt.Errorf("endpoint: expected one of: %s", tenantfile.EndpointNames())
	}
	faults := make([]entratest.Fault, len(q.Faults))
	for i := range q.Faults {
		f := &q.Faults[i]
		f.Endpoint = q.Endpoint
		if problems := f.Check(); len(problems) > 0 {
			return nil, fmt.Errorf("faults[%d].%s: %s", i, problems[0].Key, problems[0].Text)
		}
		if faults[i], err = t.Fault(f); err != nil {
			return nil, fmt.Errorf("faults[%d]: %w", i, err)
		}
	}
	t.Fail(endpoint, faults...)
	return done{len(faults)}, nil
}

// done is the answer where there is nothing else to say.
type done struct {
	Count int `json:"count"` // how many are in place now
}

// changeKeys rotates the signing key, which all tenants share, or announces the next one.
func (s *server) changeKeys(r *http.Request) (any, error) {
	var q struct {
		Rotate   bool `yaml:"rotate"`
		Announce bool `yaml:"announce"`
	}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	t := s.world.Tenants[0]
	switch {
	case q.Rotate == q.Announce:
		return nil, errors.New(`expected {"announce": true} or {"rotate": true}: one of them`)
	case q.Announce:
		return map[string]string{"announced": t.AnnounceKey()}, nil
	}
	t.RotateKeys()
	return map[string]string{"current": t.KeyID()}, nil
}

func (s *server) revokeSessions(r *http.Request) (any, error) {
	var q struct {
		Tenant string `yaml:"tenant"`
		Revoke string `yaml:"revoke"`
	}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	t, err := s.world.Tenant(q.Tenant)
	if err != nil {
		return nil, err
	}
	user, err := t.User(q.Revoke)
	if err != nil {
		return nil, fmt.Errorf(`revoke: %w`, err)
	}
	user.RevokeSessions()
	return map[string]string{"revoked": user.UserPrincipalName}, nil
}

// requests lists the last requests of a tenant, oldest first.
func (s *server) requests(r *http.Request) (any, error) {
	query := r.URL.Query()
	t, err := s.world.Tenant(query.Get("tenant"))
	if err != nil {
		return nil, err
	}
	limit := 100
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return nil, errors.New("limit: expected a whole number from 1")
		}
	}
	return map[string][]Request{"requests": list(t, limit, query.Get("refused") == "true")}, nil
}

func (s *server) token(r *http.Request) (any, error) {
	var q tenantfile.TokenRequest
	if err := read(r, &q); err != nil {
		return nil, err
	}
	token, err := s.world.Token(q)
	if err != nil {
		return nil, err
	}
	return map[string]string{"token": token}, nil
}
