package setup_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/setup"
)

const page = "../../../../docs/setup.md"

// The page's YAML can be read, and all of the plan's steps are in its table.
func TestDocs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d YAML blocks, want 2", len(blocks))
	}
	var spec setup.Spec
	for _, b := range blocks {
		if spec, err = setup.Read(page, []byte(b[1])); err != nil {
			t.Error(err)
		}
	}
	spec.Proof.Certificate = "" // a file
	withAgents := spec
	spec.Agents, spec.Sponsor = nil, ""
	withProxy := spec
	spec.AuthProxy = ""
	for _, s := range slices.Concat(planOf(t, spec).Steps, planOf(t, withProxy).Steps, planOf(t, withAgents).Steps) {
		id := regexp.MustCompile(`^(public2?|web|spa|proxy)/`).ReplaceAllString(s.ID, "KEY/")
		id = regexp.MustCompile(`^api/(create|settings|principal|permissions|certificate|federated/.*|secret)$`).ReplaceAllString(id, "KEY/$1")
		id = regexp.MustCompile(`^(?:api|KEY)/redirects-.*`).ReplaceAllString(id, "KEY/redirects-PLATFORM")
		id = regexp.MustCompile(`^grant/.*`).ReplaceAllString(id, "grant/KEY/NAME")
		id = regexp.MustCompile(`^assign/.*`).ReplaceAllString(id, "assign/ROLE/ID")
		id = regexp.MustCompile(`^inherit/.*`).ReplaceAllString(id, "inherit/NAME")
		id = regexp.MustCompile(`^resource/.*`).ReplaceAllString(id, "resource/NAME")
		if !strings.Contains(text, "`"+id+"`") {
			t.Errorf("docs/setup.md has no step %s (%s)", id, s.ID)
		}
		if !strings.Contains(text, s.Permission) || !strings.Contains(text, s.Role) {
			t.Errorf("docs/setup.md lacks what step %s needs: %s, %s", s.ID, s.Permission, s.Role)
		}
	}
}
