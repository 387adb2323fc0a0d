package mcpentra_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpentra/mcp-entra-go/obo"
)

func auditPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/audit.md")
	must(t, err)
	return string(page)
}

// docs/audit.md names each field of the schema with its type, and no other.
func TestAuditFieldsAreDocumented(t *testing.T) {
	t.Parallel()
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| (string|integer|array) \\| ").FindAllStringSubmatch(auditPage(t), -1) {
		if documented[m[1]] != "" {
			t.Errorf("docs/audit.md has the field %s twice", m[1])
		}
		documented[m[1]] = m[2]
	}
	schema := auditSchema(t)
	var check func(prefix string, s *jsonschema.Schema)
	check = func(prefix string, s *jsonschema.Schema) {
		for name, field := range s.Properties {
			if field.Type == "object" {
				check(prefix+name+".", field)
				continue
			}
			want := field.Type
			if want == "" { // constants and lists of values
				want = "string"
			}
			if got := documented[prefix+name]; got != want {
				t.Errorf("docs/audit.md says %q of the field %s, want %s", got, prefix+name, want)
			}
			delete(documented, prefix+name)
		}
	}
	check("", schema)
	for name := range documented {
		t.Errorf("docs/audit.md has the field %s, which the schema lacks", name)
	}
}

// docs/audit.md names each reason that a line can have, and no other.
func TestAuditReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	want := map[string]bool{"internal_error": true}
	sections, err := os.ReadFile("../docs/troubleshooting.md") // which has those of the verifier and of requests' form
	must(t, err)
	for _, m := range regexp.MustCompile(`(?m)^### ([a-z_]+)$`).FindAllStringSubmatch(string(sections), -1) {
		want[m[1]] = true
	}
	for _, kind := range []error{
		obo.ErrNoAssertion, obo.ErrAssertionInvalid, obo.ErrAssertionExpired, obo.ErrScopeNotAllowed, obo.ErrTenantNotAllowed,
		obo.ErrAgentNotAllowed, obo.ErrClaimsInvalid, obo.ErrConsentRequired, obo.ErrInteractionRequired, obo.ErrBlocked,
		obo.ErrMisconfigured, obo.ErrThrottled, obo.ErrUnavailable,
	} {
		want[strings.ReplaceAll(kind.Error(), " ", "_")] = true
	}
	files, err := filepath.Glob("*.go")
	must(t, err)
	for _, file := range files {
		code, err := os.ReadFile(file)
		must(t, err)
		for _, m := range regexp.MustCompile(`(?:\breason: +|\bm\.reason = |refuseFor\()"([a-z_]+)"`).FindAllStringSubmatch(string(code), -1) {
			want[m[1]] = !strings.HasSuffix(file, "_test.go") || want[m[1]]
		}
	}
	_, reasons, _ := strings.Cut(auditPage(t), "\n## Reasons\n")
	reasons, _, _ = strings.Cut(reasons, "\n## ")
	got := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| \\[?`([a-z_]+)`").FindAllStringSubmatch(reasons, -1) {
		if got[m[1]] {
			t.Errorf("docs/audit.md has the reason %s twice", m[1])
		}
		if !want[m[1]] {
			t.Errorf("docs/audit.md has the reason %s, which no line has", m[1])
		}
		got[m[1]] = true
	}
	for reason, real := range want {
		if real && !got[reason] {
			t.Errorf("docs/audit.md lacks the reason %s", reason)
		}
	}
}

// The page shows the queries of deploy/kql, all of them, and a line that the schema describes.
func TestAuditPageShowsQueries(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../deploy/kql/*.kql")
	must(t, err)
	var want, got []string
	for _, file := range files {
		query, err := os.ReadFile(file)
		must(t, err)
		want = append(want, string(query))
	}
	page := auditPage(t)
	for _, m := range regexp.MustCompile("(?s)```kusto\n(.*?)```").FindAllStringSubmatch(page, -1) {
		got = append(got, m[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(got) == 0 {
		t.Errorf("docs/audit.md shows %d queries, and deploy/kql has %d; want the same", len(got), len(want))
	}
	resolved, err := auditSchema(t).Resolve(nil)
	must(t, err)
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(page, -1) {
		var line map[string]any
		must(t, json.Unmarshal([]byte(m[1]), &line))
		if err := resolved.Validate(line); err != nil {
			t.Errorf("the line %s does not match docs/audit.schema.json: %v", m[1], err)
		}
	}
}
